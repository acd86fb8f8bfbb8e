"""docs/migrate.md says what a takeover changes: the same files, written by DICOM Cast itself and then by the app."""

import re

import pytest

from bench import takeover
from tests.dicom_cast import needs_dicom_cast

needs_reports = pytest.mark.skipif(
    not takeover.REPORTS.is_dir(), reason="the dose reports of vendors are not to be had: ../shared/data/rdsr"
)


@needs_dicom_cast
@needs_reports
def test_the_table_is_what_happens(monkeypatch):
    monkeypatch.delenv("DicomWeb__DefaultTimeZone", raising=False)
    found = re.search(r"<!-- bench: changes -->\n(.*?)\n<!-- end: changes -->", takeover.PAGE.read_text(), re.DOTALL)
    assert found[1].splitlines() == takeover.table().splitlines()


def resource(kind, number, **elements):
    return {"resourceType": kind, "id": str(number), **elements}


def test_a_change_is_told_once_at_its_highest_element():
    before = [resource("ImagingStudy", 1, modality=[{"system": "DCM"}], status="available")]
    based_on = [{"type": "ServiceRequest", "identifier": {"value": "ACC1"}}]
    after = [resource("ImagingStudy", 1, modality=[{"system": "urn:x"}], status="available", basedOn=based_on)]
    assert takeover.changes(before, after)[1:] == [
        ("`ImagingStudy.basedOn`", "added", "", ""),
        ("`ImagingStudy.modality.system`", "changed", "`DCM`", "`urn:x`"),
    ]


def test_values_of_persons_are_not_shown():
    before = [resource("Patient", 1, name=[{"family": "Rivera"}], gender="female")]
    after = [resource("Patient", 1, name=[{"family": "Lund"}])]
    assert takeover.changes(before, after)[1:] == [
        ("`Patient.gender`", "removed", "", ""),
        ("`Patient.name.family`", "changed", "", ""),
    ]
