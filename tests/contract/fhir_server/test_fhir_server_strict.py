"""A strict parser reads every kind of answer."""

import pytest

from tests import strict
from tests.contract.fhir_server.requests import (
    condition,
    create,
    deleted,
    etag,
    found,
    patient,
    posted,
    put,
    reference,
    study,
    transact,
    unique,
    update,
)


def _stored(fhir):
    return create(fhir, patient(name=[{"family": "Doe"}], gender="female"))


def _gone(fhir):
    created = _stored(fhir)
    fhir.delete(f"/{reference(created)}")
    return created


def _everything_at_once(fhir):
    old, kept, person = _stored(fhir), _stored(fhir), posted(patient(), ifNoneExist=condition(unique()))
    update_of_kept = put({**kept, "gender": "other"}, ifMatch=etag(kept))
    return transact(fhir, deleted(old), update_of_kept, person, posted(study(person["fullUrl"])))


def _history(fhir):
    created = _stored(fhir)
    update(fhir, {**created, "gender": "male"})
    fhir.delete(f"/{reference(created)}")
    return fhir.get(f"/{reference(created)}/_history")


def _several(fhir):
    value = unique()
    for _ in range(2):
        create(fhir, patient(value))
    return fhir.post("/Patient", json=patient(value), headers={"If-None-Exist": condition(value)})


def _stale(fhir, **mode):
    first = _stored(fhir)
    update(fhir, {**first, "gender": "male"})
    return transact(fhir, put({**first, "gender": "other"}, ifMatch=etag(first)), posted(patient()), **mode)


def _page(fhir):
    created = [_stored(fhir) for _ in range(2)]
    return fhir.get("/Patient", params={"_id": ",".join(one["id"] for one in created), "_count": 1})


ANSWERS = {
    "metadata": lambda fhir: fhir.get("/metadata"),
    "created": lambda fhir: fhir.post("/ImagingStudy", json=study()),
    "read": lambda fhir: fhir.get(f"/{reference(_stored(fhir))}"),
    "updated": lambda fhir: update(fhir, {**_stored(fhir), "gender": "male"}),
    "unchanged": lambda fhir: update(fhir, _stored(fhir)),
    "deleted": lambda fhir: fhir.delete(f"/{reference(_stored(fhir))}"),
    "deleted again": lambda fhir: fhir.delete(f"/{reference(_gone(fhir))}"),
    "patched": lambda fhir: fhir.patch(
        f"/{reference(_stored(fhir))}",
        content='[{"op": "add", "path": "/active", "value": true}]',
        headers={"Content-Type": "application/json-patch+json"},
    ),
    "version": lambda fhir: fhir.get(f"/{reference(_stored(fhir))}/_history/x"),
    "history": _history,
    "search": lambda fhir: fhir.get("/Patient", params={"_id": _stored(fhir)["id"], "_total": "accurate"}),
    "search without a hit": lambda fhir: fhir.get("/Patient", params={"_id": unique()}),
    "search by post": lambda fhir: fhir.post(
        "/Patient/_search",
        data={"_id": _stored(fhir)["id"]},
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    ),
    "page": _page,
    "transaction": _everything_at_once,
    "empty transaction": lambda fhir: fhir.post("/", json={"resourceType": "Bundle", "type": "transaction"}),
    "batch": lambda fhir: _stale(fhir, kind="batch"),
    "stale version": _stale,
    "several matches": _several,
    "read of a deleted resource": lambda fhir: fhir.get(f"/{reference(_gone(fhir))}"),
    "read of an unknown id": lambda fhir: fhir.get(f"/Patient/{unique()}"),
    "unknown type": lambda fhir: fhir.get("/Nonsense"),
    "unknown parameter": lambda fhir: fhir.get("/Patient?nonsense=1", headers={"Prefer": "handling=strict"}),
    "malformed body": lambda fhir: fhir.post("/Patient", content="{"),
    "no body": lambda fhir: fhir.post("/Patient", content=""),
    "wrong type of a value": lambda fhir: fhir.post("/Patient", json=patient(gender=5)),
    "other id than in the path": lambda fhir: fhir.put(f"/Patient/{unique()}", json=_stored(fhir)),
    "body that is no FHIR": lambda fhir: fhir.post("/", json=[1]),
}
# seen on the real servers, and theirs to keep
INVALID = {"fhir": set(), "hapi": set(), "microsoft": {"read of a deleted resource", "empty transaction"}}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_valid_r4(fhir, tested_server, kind):
    answer = ANSWERS[kind](fhir)
    if not answer.content:
        assert answer.status_code == 204
        return
    media_type, _, parameters = answer.headers["Content-Type"].partition(";")
    assert (media_type, parameters.strip().lower()) == ("application/fhir+json", "charset=utf-8")
    if kind in INVALID[tested_server.name]:
        with pytest.raises(ValueError, match=r"issue|Bundle\.id is null"):
            strict.read(answer.text)
        return
    read = strict.read(answer.text)
    assert (answer.status_code >= 400) == (
        read["resourceType"] == "OperationOutcome" and kind not in ("deleted", "deleted again")
    )


def test_stored_resources_are_valid_r4(fhir):
    created = create(fhir, study())
    (hit,) = found(fhir, "ImagingStudy", _id=created["id"])
    assert hit == created


@pytest.mark.parametrize(
    "text",
    [
        '{"resourceType": "Patient", "name": []}',
        '{"resourceType": "Patient", "name": [{}]}',
        '{"resourceType": "Patient", "gender": ""}',
        '{"resourceType": "Patient", "active": null}',
        '{"resourceType": "Patient", "active": true, "active": true}',
        '{"resourceType": "Patient", "nonsense": "x"}',
        '{"resourceType": "Patient", "name": [{"given": [null]}]}',
        '{"resourceType": "OperationOutcome"}',
        '{"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueQuantity": {"value": NaN}}',
        '{"resourceType": "Bundle", "type": "history", "entry": [{"resource": {"resourceType": "Patient"}}]}',
        '{"resourceType": "Bundle", "type": "transaction-response", "total": 1}',
    ],
)
def test_the_parser_is_strict(text):
    with pytest.raises((ValueError, KeyError)):
        strict.read(text)
