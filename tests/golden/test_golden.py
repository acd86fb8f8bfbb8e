"""Whole studies: DICOM JSON in, FHIR JSON out, one pair of files for each kind of object."""

import json
from pathlib import Path

import pytest

from shared.dicom.study import Truth, by_instance
from shared.dicom.values import Attributes
from shared.fhir.validation import check_valid
from shared.mapping.device import new_device
from shared.mapping.dose.observations import map_reports
from shared.mapping.observation_layer import DoseLinks, lay_observation
from shared.mapping.patient import PatientRules, demographics, lay_patient, patient_identity
from shared.mapping.provides import provided
from shared.mapping.series_layer import Links
from shared.mapping.study_identifiers import lacks, study_identity
from shared.mapping.study_layer import equipment_by_series, findings_of, lay_study, new_study
from shared.sync.delta import Before, study_delta

FOLDER = Path(__file__).parent
KINDS = sorted(path.name.removesuffix(".dicom.json") for path in FOLDER.glob("*.dicom.json"))
SOURCE = "https://dicom.example.org/"
RULES = PatientRules("urn:example:mrn")
ZONE = ""


def _read(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def _target(observation):
    return f"Observation/{observation.uid.rpartition('.')[2]}"


def _observations(dose, devices):
    links = DoseLinks(SOURCE, "ImagingStudy/s", "Patient/p", devices)
    targets = {one.uid: _target(one) for one in dose.observations}
    return [lay_observation(None, one, links, [targets[uid] for uid in one.members]) for one in dose.observations]


def mapped(datasets):
    """What a pass that reads the whole study makes of it, as resources to create."""
    uid = datasets[-1]["0020000D"]["Value"][0]
    instances, unreadable = by_instance(uid, datasets)
    assert unreadable == 0
    assert [lacks(Attributes(dataset)) for dataset in datasets] == [None] * len(datasets)
    listed = {key: sequence for sequence, key in enumerate(instances, start=1)}
    known = Before(listed=listed)
    delta = study_delta(Truth(instances, is_whole=True), provided(instances, ZONE), known, final=True)
    content = delta.content
    dose = map_reports(instances.values(), uid, ZONE, with_events=True)
    by_series = equipment_by_series(content)
    equipment = [by_series[series] for series in sorted(by_series)] + [one.equipment for one in dose.observations]
    equipment = dict.fromkeys(one for one in equipment if one)
    devices = {one: f"Device/{number}" for number, one in enumerate(equipment, start=1)}
    newest = Attributes(delta.patient.identity)
    identity = patient_identity(newest, newest, RULES)
    patient = lay_patient(None, identity, demographics(newest))
    links = Links("Patient/p", "Endpoint/e", devices)
    laid = lay_study(new_study(study_identity(uid), SOURCE), content, (), links, ZONE)
    of_newest = [one for key in delta.representatives for one in findings_of(instances[key], ZONE)]
    found = {*of_newest, *(one for some in (*laid.findings.values(), *dose.findings.values()) for one in some)}
    return {
        "Patient": patient,
        "ImagingStudy": laid.resource,
        "Device": [new_device(one) for one in devices],
        "Observation": _observations(dose, devices),
        "findings": [[finding.keyword, finding.code] for finding in sorted(found)],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_golden(kind):
    expected = _read(f"{kind}.fhir.json")
    result = mapped(_read(f"{kind}.dicom.json"))
    for name in expected:
        assert result[name] == expected[name], name
    assert result.keys() == expected.keys()
    for resource in (result["Patient"], result["ImagingStudy"], *result["Device"], *result["Observation"]):
        check_valid(resource)


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_the_answer_is_not_seen(kind):
    """Slices that come in another order make the same study, as long as the newest change is the same."""
    datasets = _read(f"{kind}.dicom.json")
    turned = [*reversed(datasets[:-1]), datasets[-1]]
    assert mapped(turned)["ImagingStudy"]["series"] == mapped(datasets)["ImagingStudy"]["series"]


def test_every_kind_is_described():
    described = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in described] == []
    assert {path.name.split(".")[0] for path in FOLDER.glob("*.json")} == set(KINDS)
