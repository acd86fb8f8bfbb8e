"""Datasets in the DICOM JSON model, written by keyword."""

from typing import Any

from pydicom.datadict import dictionary_VR

from shared.dicom.values import Attributes, tag_of
from shared.model import Finding, InstanceKey
from tests.builders import series_uid, sop_uid, study_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY = study_uid(1)


def element(keyword: str, *values: Any) -> dict[str, Any]:
    """An element; without values it is empty, as the service sends it."""
    found = {"vr": dictionary_VR(keyword)}
    return {**found, "Value": list(values)} if values else found


def dataset(**attributes: Any) -> dict[str, Any]:
    """A dataset; a value that is a list stands for several values, None for an empty element."""
    elements = {}
    for keyword, value in attributes.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        elements[tag_of(keyword)] = element(keyword, *values)
    return elements


def key(series: int = 1, instance: int = 1) -> InstanceKey:
    return InstanceKey(series_uid(1, series), sop_uid(1, series, instance))


def instance_dataset(series: int = 1, instance: int = 1, **attributes: Any) -> dict[str, Any]:
    """An instance of study 1 with what the mapping asks for."""
    uids = key(series, instance)
    values = {
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": uids.series_instance_uid,
        "SOPInstanceUID": uids.sop_instance_uid,
        "SOPClassUID": CT,
        "PatientID": "MRN-0001",
        "Modality": "CT",
        "SeriesNumber": series,
        "InstanceNumber": instance,
    }
    return dataset(**(values | attributes))


def read(method: str, keyword: str, *values: Any) -> tuple[Any, list[tuple[str, str]]]:
    """What a reading method makes of the values of one attribute, and the findings as (keyword, code)."""
    return read_element(method, keyword, element(keyword, *values))


def read_element(method: str, keyword: str, found: Any) -> tuple[Any, list[tuple[str, str]]]:
    attributes = Attributes({tag_of(keyword): found})
    result = getattr(attributes, method)(keyword)
    if method == "items":
        result = [item.dataset for item in result]
    return result, codes(attributes.findings)


def codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.keyword, finding.code) for finding in findings]


# of the change feed, as v1 has it
ROW = {
    "sequence": 7,
    "partitionName": "Microsoft.Default",
    "studyInstanceUid": "1.2",
    "seriesInstanceUid": "1.2.3",
    "sopInstanceUid": "1.2.3.4",
    "action": "Create",
    "timestamp": "2021-03-01T10:15:30.1234567+00:00",
    "state": "Current",
}
