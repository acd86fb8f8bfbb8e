"""Twice the input is twice the work, and not four times: an instance with thousands of items blocks nobody.

Work is counted as calls, of Python and of C, and as comparisons of elements: clocks say little on a busy machine.
"""

import sys

import pytest

from shared.dicom.study import SeriesContent, StudyContent, Truth
from shared.dicom.values import Attributes
from shared.fhir.bundle import Entry
from shared.fhir.ownership import lay_shared, replace_owned
from shared.fhir.refusal import optional_elements, without
from shared.mapping.dose.observations import map_reports
from shared.mapping.imaging_study import _performers, _reasons
from shared.mapping.observation_layer import DoseLinks, lay_observation, sorted_out
from shared.mapping.optional import OPTIONAL
from shared.mapping.people import practitioners
from shared.mapping.provides import SERIES_ELEMENTS, STUDY_ELEMENTS, provided
from shared.mapping.series_layer import Links
from shared.mapping.study_identifiers import study_identity
from shared.mapping.study_layer import findings_of, lay_study, new_study
from shared.sync.delta import Before, study_delta
from tests.unit.datasets import STUDY, dataset, instance_dataset, key
from tests.unit.dose.reports import ct_event, ct_report, dose_report, person

START, MOST = 60, 2.3


class Counted(dict):
    """An element whose comparisons are counted."""

    compared = 0

    def __eq__(self, other):
        Counted.compared += 1
        return dict.__eq__(self, other)

    __hash__ = None


def work_of(call):
    count, Counted.compared = 0, 0

    def tell(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tell)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count + Counted.compared


def code(number, scheme="99X"):
    return dataset(CodeValue=f"C{number}", CodingSchemeDesignator=scheme, CodeMeaning=f"meaning {number}")


SCHEME = {"CodingSchemeUID": "1.2.3"}


def persons(count):
    """Each with a code of a scheme that the dataset declares, among many."""
    schemes = [
        dataset(CodingSchemeDesignator=f"99S{number}", CodingSchemeUID=f"1.2.{number}") for number in range(count)
    ]
    known = [dataset(PersonIdentificationCodeSequence=[code(number, "99S1")]) for number in range(count)]
    names = [{"Alphabetic": f"Rivera^Ana{number}"} for number in range(count)]
    return dataset(
        CodingSchemeIdentificationSequence=schemes,
        NameOfPhysiciansReadingStudy=names,
        PhysiciansReadingStudyIdentificationSequence=known,
        PerformingPhysicianName=names,
        PerformingPhysicianIdentificationSequence=known,
    )


def of_persons(count):
    found = persons(count)
    keywords = "NameOfPhysiciansReadingStudy", "PhysiciansReadingStudyIdentificationSequence"
    return lambda: (practitioners(Attributes(found), *keywords), _performers(Attributes(found), ""))


def of_requests(count):
    requests = [
        dataset(ReasonForRequestedProcedureCodeSequence=[code(number)], ReasonForTheRequestedProcedure=f"text {number}")
        for number in range(count)
    ]
    found = dataset(RequestAttributesSequence=requests)
    return lambda: _reasons(Attributes(found), "")


def of_an_instance(count):
    found = {**instance_dataset(), **persons(count)}
    return lambda: findings_of(found, "")


def of_instances(count):
    datasets = {key(series, number): instance_dataset(series, number) for series in (1, 2) for number in range(count)}
    series = {
        uid: SeriesContent(
            dict.fromkeys(SERIES_ELEMENTS, datasets[key(place, 0)]),
            {one.sop_instance_uid: some for one, some in datasets.items() if one.series_instance_uid == uid},
        )
        for place in (1, 2)
        for uid in [key(place).series_instance_uid]
    }
    content = StudyContent(dict.fromkeys(STUDY_ELEMENTS, datasets[key(1, 0)]), series)
    stored = new_study(study_identity(STUDY), "https://dicom.example.org/")
    return lambda: lay_study(stored, content, list(datasets)[:5], Links("Patient/1", "Endpoint/1"), "")


def of_a_delta(count):
    datasets = {key(series, 1): instance_dataset(series, 1) for series in range(count)}
    known = Before(listed=dict.fromkeys(datasets, 7), stored=list(datasets))
    return lambda: study_delta(Truth(datasets, is_whole=True), provided(datasets, ""), known, final=True)


def of_events(count):
    events = [ct_event(number) for number in range(1, count + 1)]
    people = [person(f"Somebody^{number}", "121025") for number in range(5 * count)]
    requests = [dataset(RequestedProcedureID=str(number)) for number in range(20 * count)]
    report = dose_report(*events, *people, ReferencedRequestSequence=requests)
    return lambda: map_reports([report], STUDY, "", with_events=True)


def of_reports(count):
    reports = [ct_report([number], number=number) for number in range(1, count + 1)]
    return lambda: map_reports(reports, STUDY, "", with_events=True)


def of_cumulative_reports(count):
    """Each has all that the first half has, and one event of its own. Most of the input is shared."""
    common = range(1, 20)
    reports = [ct_report([*common, 100 + number], number=number) for number in range(1, count + 1)]
    return lambda: map_reports(reports, STUDY, "", with_events=False)


def of_observations(count):
    report = ct_report(range(1, count + 1))
    content = map_reports([report], STUDY, "", with_events=True)
    links = DoseLinks("s", "ImagingStudy/1", "Patient/1")

    def lay():
        laid = [
            lay_observation(None, one, links, [f"Observation/{n}" for n in range(2)]) for one in content.observations
        ]
        sorted_out([{**one, "id": str(n)} for n, one in enumerate(laid)], "s", with_dicom_cast=True)

    return lay


def of_lists(count):
    theirs = [Counted(a=number) for number in range(count)]
    ours = [Counted(b=number) for number in range(count)]
    return lambda: (replace_owned(theirs, ours, lambda _: False), lay_shared(theirs, ours, "dicom-x"))


def of_a_refusal(count):
    """Each instance of a study is named."""
    instances = [{"uid": f"1.2.{number}", "number": number, "title": "x"} for number in range(count)]
    study = {"resourceType": "ImagingStudy", "series": [{"uid": "1.2", "instance": instances}]}
    entry = Entry.create(study_identity(STUDY), study)
    names = {f"ImagingStudy.series[1.2].instance[1.2.{number}].title" for number in range(count)}
    return lambda: (optional_elements([entry], names, OPTIONAL), without(entry, names))


ALL = [
    of_persons,
    of_requests,
    of_an_instance,
    of_instances,
    of_a_delta,
    of_events,
    of_reports,
    of_cumulative_reports,
    of_observations,
    of_lists,
    of_a_refusal,
]


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_work_grows_with_the_input(make):
    once, twice = make(START), make(2 * START)
    once()  # what is loaded with the first
    small, large = work_of(once), work_of(twice)
    assert small > START
    assert large / small <= MOST
