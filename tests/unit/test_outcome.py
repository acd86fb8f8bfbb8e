"""What the issue codes of an OperationOutcome say about a refusal."""

import httpx
import pytest

from shared.errors import Misconfigured, Rejected, Throttled, Unavailable, VersionConflict
from shared.fhir.bundle import Entry, check_answer
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import by_identifier
from shared.fhir.outcome import CODES, codes_of, issues_of

STATEMENT = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [{"interaction": [{"code": "transaction"}]}],
}
CREATE = Entry.create(by_identifier("Patient", "", "1"), {"resourceType": "Patient"})
IDENTITY = by_identifier("Patient", "", "1")


def outcome(*codes, severity="error"):
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code} for code in codes]}


async def refused(status, body, headers=None, *, search=False):
    """The error for this answer to a transaction, or to a search."""

    def answer(request):
        if request.url.path.endswith("metadata"):
            return httpx.Response(200, json=STATEMENT)
        return httpx.Response(status, json=body, headers=headers or {})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="https://fhir.example.org/") as client:
        fhir = FhirClient(client)
        with pytest.raises(Exception) as raised:  # noqa: PT011 - which one is what is asked
            await (fhir.find(IDENTITY) if search else fhir.transact([CREATE]))
        return raised.value


@pytest.fixture(autouse=True)
def once(monkeypatch):
    monkeypatch.setattr("shared.retry.REPEATS", 1)


@pytest.mark.parametrize(
    ("status", "codes", "kind"),
    [
        (400, ["throttled"], Throttled),
        (400, ["processing", "throttled"], Throttled),
        (403, ["throttled"], Throttled),
        (400, ["invalid", "throttled"], Throttled),
        (503, ["throttled"], Throttled),
        (400, ["timeout"], Unavailable),
        (400, ["processing", "lock-error"], Unavailable),
        (423, ["lock-error"], Unavailable),
        (422, ["no-store"], Unavailable),
        (400, ["incomplete"], Unavailable),
        (400, ["transient"], Unavailable),
        (400, ["exception"], Unavailable),
        (400, ["processing", "exception"], Unavailable),
        (400, ["structure", "exception"], Rejected),
        (422, ["exception", "business-rule"], Rejected),
        (500, ["structure", "exception"], Unavailable),
        (500, ["invalid"], Unavailable),
        (400, ["invalid"], Rejected),
        (422, ["processing"], Rejected),
        (400, ["throttled-by-somebody"], Rejected),
        (409, ["conflict"], VersionConflict),
        (412, ["processing", "required"], VersionConflict),
        (404, ["not-found"], VersionConflict),
        (429, [], Throttled),
        (400, [], Misconfigured),
    ],
)
async def test_the_code_decides_before_the_status(status, codes, kind):
    assert type(await refused(status, outcome(*codes))) is kind


@pytest.mark.parametrize(("codes", "kind"), [(["throttled"], Throttled), (["timeout"], Unavailable)])
async def test_so_it_does_of_a_search(codes, kind):
    assert type(await refused(400, outcome(*codes), search=True)) is kind
    assert type(await refused(400, outcome("invalid"), search=True)) is Misconfigured


async def test_a_warning_decides_nothing():
    assert type(await refused(400, outcome("throttled", severity="warning"))) is Misconfigured


async def test_the_wait_that_is_asked_for_is_kept():
    error = await refused(400, outcome("processing", "throttled"), {"Retry-After": "7"})
    assert error.retry_after_s == 7
    assert (await refused(400, outcome("throttled"))).retry_after_s is None


@pytest.mark.parametrize(("code", "unknown"), [("timeout", True), ("lock-error", False), ("exception", False)])
async def test_after_a_timeout_the_outcome_is_unknown(code, unknown):
    assert (await refused(400, outcome(code))).outcome_unknown is unknown
    assert (await refused(504, outcome(code))).outcome_unknown is True


@pytest.mark.parametrize(
    ("codes", "kind"),
    [(["throttled"], Throttled), (["timeout"], Unavailable), (["invalid"], Unavailable), ([], Unavailable)],
)
def test_an_entry_that_failed_alone(codes, kind):
    entry = {"response": {"status": "400", "outcome": outcome(*codes)}}
    with pytest.raises(kind) as raised:
        check_answer([CREATE], {"resourceType": "Bundle", "entry": [entry]})
    assert type(raised.value) is kind
    assert all(code in str(raised.value) for code in codes)


async def test_an_entry_that_was_throttled_alone_is_not_repeated_beside_what_was_carried_out(monkeypatch):
    monkeypatch.setattr("shared.retry.REPEATS", 3)
    asked = []

    def answer(request):
        asked.append(request)
        if request.url.path.endswith("metadata"):
            return httpx.Response(200, json=STATEMENT)
        entry = {"response": {"status": "429", "outcome": outcome("throttled")}}
        return httpx.Response(200, json={"resourceType": "Bundle", "entry": [entry]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="https://fhir.example.org/") as client:
        with pytest.raises(Throttled):
            await FhirClient(client).transact([CREATE])
    assert [request.method for request in asked] == ["GET", "POST"]


def test_only_codes_of_r4_are_told():
    assert len(CODES) == 31
    assert codes_of(issues_of(outcome("MRN-0001", "invalid", "rivera"))) == ["invalid"]
    assert (
        codes_of(issues_of({"issue": [{"code": 3}, 7, {"code": {}}, {"severity": "information", "code": "invalid"}]}))
        == []
    )


@pytest.mark.parametrize("status", [500, 503, 524])
async def test_what_a_gateway_says_of_a_transaction_leaves_its_outcome_unknown(status):
    """The server behind it may go on; what the server says itself is an OperationOutcome."""
    assert (await refused(status, {"message": "not now"})).outcome_unknown is True
    assert (await refused(status, outcome("transient"))).outcome_unknown is False
    assert (await refused(status, {"message": "not now"}, search=True)).outcome_unknown is False
