"""Whatever DICOM does, what a record system wrote into its ImagingStudy stays, and is all that is left at the end."""

import json
from copy import deepcopy
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicom.study import Truth
from shared.fhir.validation import check_valid
from shared.mapping.provides import provided
from shared.mapping.series_layer import Links
from shared.mapping.study_layer import equipment_by_series, keys_of, lay_study, without_our_part
from shared.model import StudyKey
from shared.sync.delta import Before, study_delta
from shared.sync.foreign import in_dicom
from shared.sync.holders import Known
from tests.property.test_providers import STEPS, _dataset
from tests.unit.datasets import CT, STUDY, key

DCM = "http://dicom.nema.org/resources/ontology/DCM"
ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
ENDPOINT = {"reference": "Endpoint/e1"}


def _instance(series, instance, **elements):
    sop_class = {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{CT}"}
    return {"uid": key(series, instance).sop_instance_uid, "sopClass": sop_class, "number": instance, **elements}


def _series(series, *instances, **elements):
    return {
        "uid": key(series).series_instance_uid,
        "modality": {"system": DCM, "code": "CT", "display": "Computed Tomography"},
        "number": series,
        "description": "theirs",
        "started": "2021-03-01T10:16:00+01:00",
        "numberOfInstances": 40,
        "endpoint": [ENDPOINT, {"reference": "Endpoint/theirs"}],
        "bodySite": {"code": "69536005", "display": "Head"},
        "performer": [{"actor": {"display": "Operators1"}}],
        "instance": list(instances),
        **elements,
    }


# everything that a record system may have written: what DICOM will say, something else, and what DICOM cannot say
ALL_OF_IT = {
    "identifier": [
        {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"},
        {"type": ACSN, "value": "A0"},
        {"type": ACSN, "value": "THEIRS"},
        {"id": "theirs", "system": "urn:theirs", "value": "A1"},
    ],
    "modality": [{"system": DCM, "code": "US", "display": "Ultrasound"}, {"system": DCM, "code": "CT"}],
    "started": "2021-03-02T10:15:30+01:00",
    "_started": {"extension": [{"url": "urn:theirs", "valueCode": "x"}]},
    "endpoint": [ENDPOINT],
    "basedOn": [{"type": "ServiceRequest", "identifier": {"type": ACSN, "value": "A0"}}],
    "referrer": {"display": "theirs"},
    "numberOfSeries": 0,
    "numberOfInstances": 7,
    "reasonCode": [{"text": "fall"}],
    "note": [{"text": "StudyDesc1"}, {"text": "theirs"}],
    "description": "StudyDesc1",
    "extension": [{"url": "urn:theirs", "valueString": "x"}],
    "series": [
        _series(2, _instance(2, 9), _instance(2, 1, title="theirs")),
        _series(1, _instance(1, 2), performer=[]),
        _series(7),
    ],
}
OPTIONAL = sorted(ALL_OF_IT.keys() - {"identifier", "series"})
OF_SERIES = ("number", "description", "started", "numberOfInstances", "endpoint", "bodySite", "performer", "instance")
LEFT_OUT = st.tuples(
    st.sets(st.sampled_from(OPTIONAL)),
    st.lists(st.sets(st.sampled_from(OF_SERIES)), max_size=3),
    st.sampled_from("nst"),
)


def _foreign(left_out):
    """A study of a record system that left some of it out."""
    of_study, of_series, kind = left_out
    said = {name: value for name, value in deepcopy(ALL_OF_IT).items() if name not in of_study}
    rows = [
        {name: value for name, value in row.items() if name not in lacks and value != []}
        for row, lacks in zip(said.pop("series"), of_series, strict=False)
    ]
    subject = {"n": {"reference": "Patient/theirs"}, "s": {"reference": "Patient/p1"}, "t": {"display": "x"}}[kind]
    study = {"resourceType": "ImagingStudy", "meta": {"source": "https://records.example.org/"}, "status": "registered"}
    return study | said | {"subject": subject} | ({"series": rows} if rows else {})


def _pass(stored, ledger, listed, truth, *, whole=False):
    """What one message makes of the stored study and what is remembered, as a pass does it."""
    known = Before(ledger, listed, keys_of(stored))
    some = {one: truth[one] for one in listed if one in truth}
    gone = frozenset(one for one in listed if one not in truth)
    delta = None if whole else study_delta(Truth(some, gone=gone), provided(some, ""), known, final=False)
    if delta is None:
        gone = frozenset(one for one in {*keys_of(stored), *listed} if one not in truth)
        delta = study_delta(Truth(truth, gone=gone, is_whole=True), provided(truth, ""), known, final=True)
    devices = {one: f"Device/{one.serial_number}" for one in equipment_by_series(delta.content).values()}
    links = Links("Patient/p1", "Endpoint/e1", devices)
    remembered = Known(StudyKey("Microsoft.Default", STUDY), ledger, adopted=False)
    series = in_dicom(remembered, stored, SimpleNamespace(truth=Truth()), delta, None)
    laid = lay_study(stored, delta.content, delta.gone, links, "", in_dicom=series, is_theirs=True)
    return laid.resource, delta.ledger


def _contains(now, theirs):
    """Whether everything of theirs is there as it was: values, and items of lists in their order."""
    if isinstance(theirs, dict):
        return isinstance(now, dict) and all(name in now and _contains(now[name], theirs[name]) for name in theirs)
    if isinstance(theirs, list):
        return isinstance(now, list) and all(map(_contains, now, theirs)) and len(now) >= len(theirs)
    return type(now) is type(theirs) and now == theirs


@settings(max_examples=300, deadline=None)
@given(left_out=LEFT_OUT, steps=STEPS)
def test_what_they_wrote_stays_and_is_left(left_out, steps):
    theirs = _foreign(left_out)
    truth, listed, stored, ledger = {}, {}, deepcopy(theirs), {}
    for sequence, (instance, said, delivered) in enumerate(steps, start=1):
        truth.pop(instance, None)
        if said is not None:
            truth[instance] = _dataset(instance, sequence, said)
        listed[instance] = sequence
        if delivered or sequence == len(steps):  # a pass for all changes that were not looked at
            stored, ledger = _pass(stored, ledger, listed, truth)
            assert _contains(stored, theirs)
            assert json.dumps(without_our_part(stored, "Endpoint/e1", is_theirs=True)) == json.dumps(theirs)
            if truth:
                check_valid(stored, theirs)
    fresh, _ = _pass(theirs, {}, listed, truth, whole=True)
    assert stored == fresh
    again, _ = _pass(stored, ledger, listed, truth, whole=True)
    assert again == stored
    left, _ = _pass(stored, ledger, listed, {})
    assert json.dumps(without_our_part(left, "Endpoint/e1", is_theirs=True)) == json.dumps(theirs)
