"""Transaction Bundles, and the answers of three servers to them."""

import re

import pytest

from shared.errors import Unavailable, VersionConflict
from shared.fhir.bundle import Entry, bundles, check_answer, check_unchanged, reference, transaction
from shared.fhir.capabilities import capabilities_of
from shared.fhir.identifiers import by_identifier

IDENTITY = by_identifier("Patient", "urn:x", "MRN1")
STORED = {"resourceType": "ImagingStudy", "id": "s1", "meta": {"versionId": "7"}, "status": "available"}
CREATE = Entry.create(by_identifier("Patient", "urn:x", "MRN1"), {"resourceType": "Patient"})
PLAIN_CREATE = Entry("POST", "Observation", {"resourceType": "Observation"}, "urn:uuid:2")
UPDATE = Entry("PUT", "ImagingStudy/s1", STORED, if_match='W/"7"')
DELETE = Entry("DELETE", "ImagingStudy/s1")
BASE = "https://fhir.example.org/"


def _answer(*entries):
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": list(entries)}


def _entry(status, resource=None, **response):
    answer = {"response": {"status": status} | response}
    return answer | {"resource": resource} if resource else answer


def test_conditional_create():
    entry = Entry.create(IDENTITY, {"resourceType": "Patient"})
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", entry.target)
    assert entry.to_json() == {
        "fullUrl": entry.target,
        "resource": {"resourceType": "Patient"},
        "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn%3Ax%7CMRN1"},
    }


def test_each_create_has_a_full_url_of_its_own():
    assert len({Entry.create(IDENTITY, {}).full_url for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("version", "if_match"),
    [("7", 'W/"7"'), ("0b9d4a3e-2f6c", 'W/"0b9d4a3e-2f6c"')],
    ids=["number", "Medplum's UUID"],
)
def test_update_is_of_the_version_that_was_read(version, if_match):
    stored = STORED | {"meta": {"versionId": version}}
    entry = Entry.update(stored, stored)
    assert (entry.target, entry.to_json()) == (
        "ImagingStudy/s1",
        {"resource": stored, "request": {"method": "PUT", "url": "ImagingStudy/s1", "ifMatch": if_match}},
    )


def test_delete():
    entry = Entry.delete(STORED)
    assert entry.to_json() == {"request": {"method": "DELETE", "url": "ImagingStudy/s1"}}


def test_reference_of_a_stored_resource():
    assert reference(STORED) == "ImagingStudy/s1"


def test_transaction_keeps_the_order_of_its_entries():
    assert transaction([CREATE, UPDATE, DELETE]) == {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [CREATE.to_json(), UPDATE.to_json(), DELETE.to_json()],
    }


PATIENT = {"resourceType": "Patient", "id": "p1", "meta": {"versionId": "1"}}
MICROSOFT = {"etag": 'W/"1"', "lastModified": "2021-03-01T10:15:30+00:00"}
HAPI = {"etag": "1", "lastModified": "2021-03-01T10:15:30.123+00:00", "outcome": {"resourceType": "OperationOutcome"}}
MEDPLUM = {"outcome": {"resourceType": "OperationOutcome", "id": "created"}}


@pytest.mark.parametrize(
    ("entry", "answer", "expected"),
    [
        pytest.param(
            CREATE,
            _entry("201", PATIENT, location=BASE + "Patient/p1/_history/1", **MICROSOFT),
            "Patient/p1",
            id="Microsoft, conditional create",
        ),
        pytest.param(
            UPDATE,
            _entry("200", STORED | {"meta": {"versionId": "8"}}, etag='W/"8"'),
            "ImagingStudy/s1",
            id="Microsoft, update, no location",
        ),
        pytest.param(DELETE, _entry("204", etag='W/"8"'), "", id="Microsoft, delete"),
        pytest.param(
            CREATE,
            _entry("201 Created", PATIENT, location="Patient/p1/_history/1", **HAPI),
            "Patient/p1",
            id="HAPI, conditional create, representation",
        ),
        pytest.param(
            CREATE,
            _entry("201 Created", location="Patient/p1/_history/1", **HAPI),
            "Patient/p1",
            id="HAPI, conditional create, minimal",
        ),
        pytest.param(
            UPDATE,
            _entry("200 OK", location="ImagingStudy/s1/_history/8", etag="8"),
            "ImagingStudy/s1",
            id="HAPI, update, minimal",
        ),
        pytest.param(DELETE, _entry("204 No Content", etag="8"), "", id="HAPI, delete"),
        pytest.param(
            CREATE,
            _entry("201", PATIENT, location="Patient/p1", **MEDPLUM),
            "Patient/p1",
            id="Medplum, conditional create",
        ),
        pytest.param(UPDATE, _entry("200", STORED, **MEDPLUM), "ImagingStudy/s1", id="Medplum, update"),
        pytest.param(DELETE, _entry("200", **MEDPLUM), "", id="Medplum, delete"),
        pytest.param(CREATE, _entry("201", PATIENT), "Patient/p1", id="no location, no etag"),
        pytest.param(CREATE, _entry("201", location="Patient/p1"), "Patient/p1", id="relative location only"),
        pytest.param(
            CREATE, _entry("201", location=BASE + "Patient/p1"), "Patient/p1", id="absolute location, no version"
        ),
        pytest.param(
            CREATE, _entry("201", location=BASE + "Patient/p1/"), "Patient/p1", id="location with a slash at the end"
        ),
        pytest.param(
            CREATE,
            _entry("201", location=BASE + "fhir/R4/Patient/p1/_history/1"),
            "Patient/p1",
            id="location below a path",
        ),
        pytest.param(UPDATE, _entry("200"), "ImagingStudy/s1", id="update, nothing but a status"),
        pytest.param(UPDATE, _entry("201", STORED), "ImagingStudy/s1", id="update that created"),
        pytest.param(PLAIN_CREATE, _entry("201", location="Observation/o1"), "Observation/o1", id="plain create"),
        pytest.param(CREATE, {"response": {"status": 201}, "resource": PATIENT}, "Patient/p1", id="status a number"),
    ],
)
def test_answer_to_one_entry(entry, answer, expected):
    assert [one.reference for one in check_answer([entry], _answer(answer))] == [expected]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_entry("200", PATIENT, location=BASE + "Patient/p1/_history/1", **MICROSOFT), id="Microsoft"),
        pytest.param(_entry("200 OK", PATIENT, location="Patient/p1/_history/1", etag="1"), id="HAPI"),
        pytest.param(_entry("200", PATIENT, location="Patient/p1", outcome={"id": "ok"}), id="Medplum"),
        pytest.param(_entry("204"), id="no content"),
    ],
)
def test_conditional_create_that_met_another_is_a_conflict(answer):
    with pytest.raises(VersionConflict):
        check_answer([UPDATE, CREATE], _answer(_entry("200", STORED), answer))


def test_answers_are_taken_in_the_order_of_the_entries_and_surplus_ones_ignored():
    answer = _answer(_entry("201", PATIENT), _entry("200", STORED), _entry("204"), _entry("200", {"id": "audit"}))
    answers = check_answer([CREATE, UPDATE, DELETE], answer)
    assert [one.reference for one in answers] == ["Patient/p1", "ImagingStudy/s1", ""]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="list"),
        pytest.param("ok", id="text"),
        pytest.param({}, id="empty object"),
        pytest.param({"resourceType": "OperationOutcome", "issue": []}, id="OperationOutcome"),
        pytest.param({"resourceType": "Bundle", "entry": None}, id="entries null"),
        pytest.param(_answer(), id="no entries"),
        pytest.param(_answer(_entry("201", PATIENT)), id="too few entries"),
        pytest.param(_answer(_entry("201", PATIENT), _entry("412")), id="entry failed"),
        pytest.param(_answer(_entry("201", PATIENT), _entry("404 Not Found")), id="entry failed, in words"),
        pytest.param(_answer(_entry("201", PATIENT), _entry("500")), id="entry failed by the server"),
        pytest.param(_answer(_entry("201", PATIENT), {}), id="entry without response"),
        pytest.param(_answer(_entry("201", PATIENT), {"response": {}}), id="response without status"),
        pytest.param(_answer(_entry("201", PATIENT), {"response": {"status": None}}), id="status null"),
        pytest.param(_answer(_entry("201", PATIENT), _entry("")), id="status empty"),
        pytest.param(_answer(_entry("201", PATIENT), _entry("OK")), id="status without a number"),
        pytest.param(_answer(_entry("201", PATIENT), None), id="entry null"),
        pytest.param(_answer(_entry("201"), _entry("200", STORED)), id="create without resource and location"),
    ],
)
def test_answer_that_is_not_that_of_a_transaction(answer):
    with pytest.raises(Unavailable):
        check_answer([CREATE, UPDATE], answer)


@pytest.mark.parametrize("odd", [{"resourceType": "Patient", "id": {"a": 1}}, {"resourceType": "Group", "id": "7"}])
def test_a_resource_of_an_answer_that_cannot_be_it_is_not_referred_to(odd):
    answer = _answer(_entry("201", odd, location="Patient/p1/_history/1"))
    assert [one.reference for one in check_answer([CREATE], answer)] == ["Patient/p1"]


def test_a_delete_is_of_the_version_that_was_read():
    check_unchanged([Entry.delete(STORED)], [STORED])
    for found in ([], [STORED | {"meta": {"versionId": "8"}}]):
        with pytest.raises(VersionConflict):
            check_unchanged([Entry.delete(STORED)], found)


@pytest.mark.parametrize(
    ("software", "sizes"),
    [
        pytest.param("medplum", [8, 8, 4], id="Medplum takes few where one is a conditional create"),
        pytest.param("HAPI FHIR Server", [20], id="others take them all"),
        pytest.param("", [20], id="not said"),
    ],
)
def test_creations_by_condition_in_one_bundle(software, sizes):
    most = capabilities_of({"software": {"name": software}}).most_with_condition
    entries = [
        Entry.create(by_identifier("Observation", "urn:x", str(number)), {"resourceType": "Observation"})
        for number in range(20)
    ]
    assert [len(one) for one in bundles(entries, most)] == sizes
