"""Real reports of several vendors against what an independent walker of the content tree read from them.

The files are used where they are and never copied: they are another project's, under its licence.
"""

import json
import os
from decimal import Decimal
from pathlib import Path

import pydicom
import pytest

from shared.mapping.dose.observations import is_dose_report, may_be_dose_report
from tests.unit.dose.reports import mapped

BESIDE = Path(__file__).resolve().parents[3].parent / "shared/data/rdsr"
FOLDER = Path(os.environ.get("DICOM_TEST_DATA") or BESIDE)
EXPECTED = FOLDER / "expected.json"
MISSING = f"no sample reports: {EXPECTED.name} is not in the folder that DICOM_TEST_DATA names, nor in its usual place"
REPORTS = json.loads(EXPECTED.read_text())["reports"] if EXPECTED.exists() else []
# concepts that have no component: not of the guide, and not written by DICOM Cast
LEFT_OUT = {"113728", "113729", "113855"}
NEGATIVE = "ESR_non-dose.dcm"

pytestmark = pytest.mark.skipif(not REPORTS, reason=MISSING)
each = pytest.mark.parametrize("expected", REPORTS, ids=lambda expected: expected["file"])


def _read(name):
    return pydicom.dcmread(FOLDER / name).to_json_dict()


def _summary(expected):
    content = mapped(_read(expected["file"]), zone="+00:00")
    (found,) = [observation for observation in content.observations if observation.kind == "summary"]
    assert found.uid == expected["sop_instance_uid"]
    return found, content


def _value(component):
    if "valueInteger" in component:
        return Decimal(component["valueInteger"]), None
    if "valueQuantity" in component:
        measured = component["valueQuantity"]
        assert measured["system"] == "http://unitsofmeasure.org"
        assert measured["unit"] == measured["code"]
        return Decimal(repr(measured["value"])), measured["code"]
    return component["valueCodeableConcept"]["coding"][0]["code"], None


def _expected_value(row):
    if "derived_ig_quantity" in row:
        return Decimal(row["derived_ig_quantity"]["value"]), row["derived_ig_quantity"]["code"]
    if row["value_type"] == "NUM":
        return Decimal(row["value"]), None
    return row["derived_sct_value_code"], None


@each
def test_every_summary_value_is_there(expected):
    found, content = _summary(expected)
    values = [(component["code"]["coding"][0]["code"], *_value(component)) for component in found.elements["component"]]
    procedure = expected["derived_procedure_reported"].split()[1]
    rows = [row for row in expected["summary_values"] if row["code"] not in LEFT_OUT and not row["missing"]]
    wanted = [(row.get("ig_code", row)["code"], *_expected_value(row)) for row in rows]
    assert sorted(values, key=str) == sorted([("121058", procedure, None), *wanted], key=str)
    assert content.findings == {expected["sop_instance_uid"]: []}


@each
def test_status_start_and_identifiers(expected):
    found, _ = _summary(expected)
    assert found.elements["status"] == ("final" if expected["completion_flag"] == "COMPLETE" else "preliminary")
    candidates = expected["derived_effective_candidates"]
    start = candidates["start_of_xray_irradiation"] or candidates["earliest_event_start"]
    digits = "".join(character for character in found.elements["effectiveDateTime"][:19] if character.isdigit())
    assert digits == start[:14]
    numbers = [row["type"]["coding"][0]["code"] for row in found.elements["identifier"]]
    accession = ["ACSN"] if expected["accession_number_present"] else []
    assert numbers == ["sop-instance-uid", "study-instance-uid", *accession]


@each
def test_events_with_a_dose_are_there(expected):
    found, content = _summary(expected)
    events = {observation.uid for observation in content.observations if observation.kind == "event"}
    all_uids = [row["uid"] for row in expected["irradiation_events"]]
    without = {row["event_uid"] for row in expected["ct_acquisitions"] if row["dlp"] is None}
    assert events == set(all_uids) - without
    assert list(found.members) == [uid for uid in all_uids if uid in events]


@each
def test_doses_of_events(expected):
    _, content = _summary(expected)
    rows = {row["event_uid"]: row for row in expected["ct_acquisitions"] if row["dlp"]}
    for observation in content.observations:
        if observation.uid in rows:
            row = rows[observation.uid]
            values = {part["code"]["coding"][0]["code"]: _value(part) for part in observation.elements["component"]}
            assert values["113838"] == (Decimal(row["dlp"]["value"]), "mGy.cm")
            assert values["113830"] == (Decimal(row["mean_ctdivol"]["value"]), "mGy")
            assert values["113835"] == (row["phantom"]["code"], None)


@pytest.mark.parametrize(
    ("name", "serial_number", "performer"),
    [
        ("CT-RDSR-Siemens_Flash-TAP-SS.dcm", "73491", None),
        ("CT-RDSR-GEPixelMed.dcm", "68967b629ad77362819b2946b6ecacb0454ad278", "Nobody"),
        ("MG-RDSR-Hologic_2D.dcm", "765467656", None),
        ("RF-RDSR-Siemens-Zee.dcm", "123456", None),
    ],
)
def test_device_and_performer(name, serial_number, performer):
    found, _ = _summary(next(row for row in REPORTS if row["file"] == name))
    assert found.equipment.serial_number == serial_number
    assert found.elements["performer"][0].get("display") == performer


def test_another_document_is_none():
    dataset = _read(NEGATIVE)
    assert may_be_dose_report(dataset["00080016"]["Value"][0])
    assert not is_dose_report(dataset)
    assert mapped(dataset).observations == ()
