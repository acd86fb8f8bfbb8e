"""The made-up dose report says what a modality would."""

import json

import pydicom
from pydicom import config

from dev.dose_sample import DOSES, write_dose_report
from dev.samples import ct_study
from shared.mapping.dose.observations import map_reports


def test_it_is_valid_dicom_and_becomes_a_summary_with_its_events(tmp_path, monkeypatch):
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.RAISE)
    image = next(ct_study())
    dataset = pydicom.dcmread(write_dose_report(tmp_path, image))
    dataset.decode()
    assert (dataset.StudyInstanceUID, dataset.PatientID) == (image.StudyInstanceUID, image.PatientID)
    content = map_reports([json.loads(dataset.to_json())], dataset.StudyInstanceUID, "", with_events=True)
    assert [one.kind for one in content.observations] == ["event"] * len(DOSES) + ["summary"]
    assert content.findings == {dataset.SOPInstanceUID: []}
    summary = content.observations[-1].elements
    totals = [row["valueQuantity"]["value"] for row in summary["component"] if "valueQuantity" in row]
    assert totals == [sum(dlp for _, dlp in DOSES)]
