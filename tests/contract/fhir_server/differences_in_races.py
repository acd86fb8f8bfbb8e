"""Probes of two requests at the same moment. Each probe races several times and returns every loser's answer."""

import concurrent.futures

from tests.contract.fhir_server.differences import differs
from tests.contract.fhir_server.requests import (
    SYSTEM,
    condition,
    create,
    etag,
    found,
    patient,
    posted,
    put,
    said,
    transact,
    unique,
    update,
)

ROUNDS = 5
PARALLEL = {"x-bundle-processing-logic": "parallel"}


def _race(request):
    """The answers to request(0) and request(1), sent at once."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(request, range(2)))


def _written(answer):
    """As `said`, with the version of the first resource written."""
    body = answer.json()
    resource = body["entry"][0]["resource"] if body.get("entry") else body
    if "versionId" not in resource.get("meta", {}) or resource["resourceType"] == "OperationOutcome":
        return said(answer)
    status = body["entry"][0]["response"]["status"][:3] if body.get("entry") else answer.status_code
    return f"{status} version {resource['meta']['versionId']}"


def _losers(fhir, write):
    """What the second of two writers of one new id is told; write(fhir, resource) sends a creation by update."""
    told = set()
    for _ in range(ROUNDS):
        chosen = unique()
        bodies = [{**patient(), "id": chosen} for _ in range(2)]
        answers = sorted(map(_written, _race(lambda n, bodies=bodies: write(fhir, bodies[n]))))
        if "201 version 1" in answers:
            answers.remove("201 version 1")
            assert "201 version 1" not in answers
        told.update(answers)
    return told


@differs("1", "1", "2", "the reason for ids that clients choose (docs/design.md)")
def patients_made_by_two_conditional_creates(fhir):
    made = set()
    for _ in range(ROUNDS):
        value = unique()
        entries = [posted(patient(value), ifNoneExist=condition(value)) for _ in range(2)]
        answers = _race(lambda n, entries=entries: transact(fhir, entries[n], posted(patient())))
        assert {answer.status_code for answer in answers} <= {200, 409, 412}
        made.add(str(len(found(fhir, "Patient", identifier=f"{SYSTEM}|{value}"))))
    return made


@differs("1", "1", "2", "they carry two identifiers, so their condition has three criteria")
def observations_made_by_two_conditional_creates(fhir):
    made = set()
    for _ in range(ROUNDS):
        values = [unique(), unique()]
        resource = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": SYSTEM, "code": "dose"}]},
            "identifier": [{"system": SYSTEM, "value": value} for value in values],
        }
        criteria = "&".join([f"code={SYSTEM}%7Cdose", *map(condition, values)])
        entries = [posted(resource, ifNoneExist=criteria) for _ in range(2)]
        answers = _race(lambda n, entries=entries: transact(fhir, entries[n], posted(patient())))
        assert {answer.status_code for answer in answers} <= {200, 409, 412}
        made.add(str(len(found(fhir, "Observation", identifier=f"{SYSTEM}|{values[0]}"))))
    return made


@differs(
    "404 not-found",
    "409 processing or 200 version 2",
    "200 version 2",
    "only 201 says first: the second overwrites it",
)
def second_of_two_creations_by_update(fhir):
    return _losers(fhir, update)


@differs("404 not-found", "409 processing or 200 version 2", "200 version 2", "Microsoft's runs these as parallel ones")
def second_of_two_creations_in_transactions_of_one_entry(fhir):
    return _losers(fhir, lambda fhir, body: transact(fhir, put(body)))


@differs(
    "404 not-found",
    "409 processing or 200 version 2",
    "409 processing conflict or 200 version 2",
    "Microsoft's default, sequential",
)
def second_of_two_creations_in_transactions_of_two_entries(fhir):
    return _losers(fhir, lambda fhir, body: transact(fhir, put(body), posted(patient())))


@differs("404 not-found", "409 processing or 200 version 2", "200 version 2", "the second overwrites the first")
def second_of_two_creations_in_parallel_transactions(fhir):
    return _losers(fhir, lambda fhir, body: transact(fhir, put(body), posted(patient()), **PARALLEL))


@differs("404 not-found", "409 processing or 200 version 1", "200 version 1", "the same content, no second version")
def second_of_two_identical_creations_by_update(fhir):
    return _losers(
        fhir, lambda fhir, body: update(fhir, {**body, "identifier": [{"system": SYSTEM, "value": body["id"]}]})
    )


def _update_losers(fhir, **headers):
    told = set()
    for _ in range(ROUNDS):
        stored = create(fhir, patient())
        entries = [put({**stored, "gender": each}, ifMatch=etag(stored)) for each in ("male", "female")]
        answers = _race(lambda n, entries=entries: transact(fhir, entries[n], posted(patient()), **headers))
        assert [answer.status_code for answer in answers].count(200) == 1
        told.update(said(answer) for answer in answers if answer.status_code != 200)
    return told


@differs(
    "412 processing",
    "409 processing",
    "412 processing required or 409 processing conflict",
    "409 and 412 lead to new reads",
)
def second_of_two_updates_in_transactions(fhir):
    return _update_losers(fhir)


@differs("412 processing", "409 processing", "412 processing required", "409 and 412 lead to new reads")
def second_of_two_updates_in_parallel_transactions(fhir):
    return _update_losers(fhir, **PARALLEL)
