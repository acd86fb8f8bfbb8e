"""What Microsoft's FHIR server answers while its store throttles: the issue code tells, the status does not."""

import httpx
import pytest

from tests.contract.fhir_server.requests import (
    HEADERS,
    condition,
    deleted,
    patient,
    posted,
    put,
    said,
    transact,
    unique,
    update,
)

pytestmark = pytest.mark.real("fhir-server")

CRITERIA = {"identifier": "a"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SEQUENTIAL, PARALLEL = ({"x-bundle-processing-logic": logic} for logic in ("sequential", "parallel"))


@pytest.fixture
def fhir(throttled_server):
    with httpx.Client(base_url=throttled_server, headers=HEADERS, timeout=60, trust_env=False) as client:
        yield client


def chosen():
    return {**patient(), "id": unique()}


def assert_waits(response, *, told):
    """Whether the answer says when to come again: one second, and the same in milliseconds."""
    waits = [response.headers.get(name) for name in ("Retry-After", "x-ms-retry-after-ms")]
    assert waits == (["1", "200"] if told else [None, None])


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda fhir: fhir.get(f"/Patient/{unique()}"), id="read"),
        pytest.param(lambda fhir: fhir.get("/Patient", params=CRITERIA), id="search"),
        pytest.param(
            lambda fhir: fhir.post("/Patient/_search", data={"identifier": "a"}, headers=FORM), id="search-by-post"
        ),
        pytest.param(lambda fhir: fhir.post("/Patient", json=patient()), id="create"),
        pytest.param(lambda fhir: update(fhir, chosen()), id="update"),
        pytest.param(lambda fhir: fhir.delete(f"/Patient/{unique()}"), id="delete"),
    ],
)
def test_a_single_request_is_429(fhir, ask):
    answer = ask(fhir)
    assert said(answer) == "429 throttled"
    assert_waits(answer, told=True)


@pytest.mark.parametrize("mode", [SEQUENTIAL, PARALLEL], ids=["sequential", "parallel"])
@pytest.mark.parametrize("write", [lambda: posted(patient()), lambda: put(chosen())], ids=["create", "update"])
def test_a_write_in_a_transaction_is_400(fhir, mode, write):
    answer = transact(fhir, write(), write(), **mode)
    assert said(answer) == "400 processing throttled"
    assert_waits(answer, told=mode is SEQUENTIAL)


def test_a_transaction_of_one_entry_runs_as_a_parallel_one(fhir):
    answer = transact(fhir, posted(patient()), **SEQUENTIAL)
    assert said(answer) == "400 processing throttled"
    assert_waits(answer, told=False)


def test_a_deletion_in_a_sequential_transaction_stays_429(fhir):
    answer = transact(fhir, deleted(chosen()), posted(patient()), **SEQUENTIAL)
    assert said(answer) == "429 processing throttled"
    assert_waits(answer, told=True)


@pytest.mark.parametrize("mode", [SEQUENTIAL, PARALLEL], ids=["sequential", "parallel"])
def test_throttled_criteria_refuse_a_transaction_before_it_begins(fhir, mode):
    answer = transact(fhir, posted(patient(), ifNoneExist=condition(unique())), posted(patient()), **mode)
    assert said(answer) == "429 throttled"
    assert_waits(answer, told=True)


def test_an_entry_of_a_batch_is_400(fhir):
    answer = transact(fhir, posted(patient()), posted(patient()), kind="batch")
    assert said(answer) == "200 with 400 400"
    codes = [entry["response"]["outcome"]["issue"][0]["code"] for entry in answer.json()["entry"]]
    assert codes == ["throttled"] * 2
    assert_waits(answer, told=True)
