"""Any element of a stored resource may hold anything: it is refused by name, or everything that reads it can."""

from copy import deepcopy

import pytest

from shared.dicom.study import SeriesContent, StudyContent
from shared.dicom.values import Attributes
from shared.fhir.ownership import same_content, source_of
from shared.fhir.shapes import odd_element
from shared.fhir.systems import SOURCE as SOURCE_EXTENSION
from shared.fhir.systems import UNLISTED
from shared.mapping.dose.observations import map_reports
from shared.mapping.moved import addresses_of
from shared.mapping.observation_layer import DoseLinks, lay_observation, relinked, sorted_out, taken_over
from shared.mapping.series_layer import Links
from shared.mapping.sources import holders_of
from shared.mapping.study_identifiers import study_identity
from shared.mapping.study_layer import (
    classes_of,
    keys_of,
    lay_study,
    new_study,
    reports_of,
    series_of_sides,
    without_our_part,
    without_series,
)
from shared.mapping.unlisted import lists_not_all
from tests.unit.datasets import STUDY, instance_dataset, key
from tests.unit.dose.reports import ct_report

ODD = [
    None,
    True,
    5,
    1.5,
    10**401,
    float("inf"),
    "",
    "x",
    [],
    [None],
    [5],
    ["x"],
    [[]],
    {},
    {"x": 1},
    [{}],
    [{"uid": 5}],
]
SOURCE, FORMER = "https://dicom.example.org/", "https://old.example.org/"
ADDRESSES = addresses_of(SOURCE, [FORMER])
DATASETS = {
    key(series, number): instance_dataset(
        series,
        number,
        AccessionNumber="A1",
        StudyID="7",
        StudyDescription="CT head",
        StudyDate="20210301",
        PerformingPhysicianName={"Alphabetic": "Rivera^Ana"},
        NameOfPhysiciansReadingStudy={"Alphabetic": "Rivera^Ana"},
        ImageLaterality="L",
    )
    for series in (1, 2)
    for number in (1, 2)
}
CONTENT = StudyContent(
    DATASETS[key(1, 1)],
    {
        key(series).series_instance_uid: SeriesContent(
            DATASETS[key(series, 1)], {key(series, n).sop_instance_uid: DATASETS[key(series, n)] for n in (1, 2)}
        )
        for series in (1, 2)
    },
)
LINKS = Links("Patient/1", "Endpoint/1")
META = {"id": "1", "meta": {"versionId": "1", "source": SOURCE}}
REPORTS = map_reports([ct_report([1, 2])], STUDY, "", with_events=True)
DOSE = DoseLinks(SOURCE, "ImagingStudy/1", "Patient/1")


def stored_study():
    laid = lay_study(new_study(study_identity(STUDY), SOURCE), CONTENT, (), LINKS, "").resource
    source = {"url": SOURCE_EXTENSION, "valueUri": FORMER}
    parts = [{"url": "source", "valueUri": FORMER}, {"url": "count", "valueUnsignedInt": 2}]
    laid["series"][0]["extension"] = [source, {"url": UNLISTED, "extension": parts}]
    laid["series"][0]["instance"][0]["extension"] = [source]
    beside = {"_started": {"id": "dicom-started"}, "_numberOfSeries": {"id": "dicom-numberOfSeries"}}
    rest = {"extension": [source, {"url": UNLISTED, "extension": parts}], "contained": [{"resourceType": "Basic"}]}
    return {**laid, "id": "1", "meta": META["meta"], **beside, **rest}


def stored_observation():
    return {**lay_observation(None, REPORTS.observations[0], DOSE, ["Observation/2"]), **META}


def read_study(stored):
    keys_of(stored), classes_of(stored), series_of_sides(stored), reports_of(stored), source_of(stored)
    moved = ADDRESSES.at_present(stored)
    holders_of(moved), lists_not_all(moved)
    for is_theirs in (False, True):
        laid = lay_study(moved, CONTENT, [key(1, 1)], LINKS, "", is_theirs=is_theirs).resource
        same_content(laid, stored)
        without_our_part(stored, "Endpoint/1", is_theirs=is_theirs)
    without_series(stored)


def read_observation(stored):
    found = sorted_out([stored], SOURCE, with_dicom_cast=True)
    taken_over(found, [(one.kind, one.uid) for one in REPORTS.observations])
    relinked(stored, DOSE)
    lay_observation(stored, REPORTS.observations[0], DOSE, ["Observation/2"])


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in items:
        yield from places(part, (*path, name))


def replaced(resource, path, odd):
    changed = deepcopy(resource)
    node = changed
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = odd
    return changed


@pytest.mark.parametrize(("make", "read"), [(stored_study, read_study), (stored_observation, read_observation)])
def test_what_passes_can_be_read(make, read):
    resource = make()
    assert odd_element(resource) is None
    read(resource)
    paths = [path for path in places(resource) if path and path[0] not in ("resourceType", "id", "meta")]
    refused, failed = 0, []
    for path in paths:
        for odd in ODD:
            changed = replaced(resource, path, odd)
            if odd_element(changed) is not None:
                refused += 1
                continue
            try:
                read(changed)
            except Exception as error:  # noqa: BLE001 - they are what is looked for
                failed.append((".".join(map(str, path)), odd if odd != 10**401 else "digits", repr(error)[:80]))
    assert failed == []
    assert refused > 400


def test_numbers_of_any_length_are_text():
    assert Attributes({"00200013": {"vr": "IS", "Value": [10**401]}}).integer("InstanceNumber") is None
