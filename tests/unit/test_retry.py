"""How long a server asks to wait, and what is repeated within one call."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Misconfigured, Rejected, SyncError, Throttled, Unavailable, VersionConflict
from shared.retry import LONGEST_WAIT_S, _worth_repeating, repeated, retry_after_s

# --- Retry-After ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"Retry-After": "120"}, 120.0, id="seconds"),
        pytest.param({"Retry-After": " 120 "}, 120.0, id="padded"),
        pytest.param({"Retry-After": "0"}, 0.0, id="zero"),
        pytest.param({"Retry-After": "-5"}, None, id="negative"),
        pytest.param({"Retry-After": "1.5"}, None, id="fraction, which RFC 9110 has not"),
        pytest.param({"Retry-After": ""}, None, id="empty"),
        pytest.param({"Retry-After": "soon"}, None, id="word"),
        pytest.param({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0, id="date in the past"),
        pytest.param({"Retry-After": "Fri, 31 Dec 1999"}, None, id="half a date"),
        pytest.param({"x-ms-retry-after-ms": "1500"}, 1.5, id="milliseconds"),
        pytest.param({"x-ms-retry-after-ms": "1500", "Retry-After": "9"}, 1.5, id="milliseconds are more exact"),
        pytest.param({"x-ms-retry-after-ms": "soon", "Retry-After": "9"}, 9.0, id="milliseconds unreadable"),
        pytest.param({"x-ms-retry-after-ms": "-700", "Retry-After": "9"}, 9.0, id="milliseconds negative"),
        pytest.param({"x-ms-retry-after-ms": "0"}, 0.0, id="no milliseconds"),
        pytest.param({"Retry-After": "9" * 400}, LONGEST_WAIT_S, id="absurd seconds"),
        pytest.param({"x-ms-retry-after-ms": "9" * 400}, LONGEST_WAIT_S, id="absurd milliseconds"),
        pytest.param({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_WAIT_S, id="absurd date"),
        pytest.param({"Retry-After": "Fri, 31 Dec 9999999 23:59:59 GMT"}, None, id="no date"),
        pytest.param({"Retry-After": "Mon, 01 Jan 0001 00:00:00 +2359"}, 0.0, id="before the first instant"),
    ],
)
def test_wait_that_is_asked_for(headers, seconds):
    assert retry_after_s(httpx.Headers(headers)) == seconds


def test_wait_until_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    assert 110 < retry_after_s(httpx.Headers({"Retry-After": date})) <= 120


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=40))
def test_no_header_makes_an_answer_unreadable(text):
    seconds = retry_after_s(httpx.Headers({"Retry-After": text, "x-ms-retry-after-ms": text}))
    assert seconds is None or seconds >= 0


# --- repetition ----------------------------------------------------------------------------------------------------


class Call:
    """Fails so many times, then answers."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.count = 0

    async def __call__(self):
        self.count += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def _soon(kind):
    return kind("m", retry_after_s=0.01)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.001)


@pytest.mark.parametrize(
    ("failures", "outcome", "count"),
    [
        pytest.param([], "answer", 1, id="none"),
        pytest.param([_soon(Unavailable)], "answer", 2, id="one outage"),
        pytest.param([_soon(Throttled), _soon(Unavailable)], "answer", 3, id="two"),
        pytest.param([_soon(Unavailable)] * 3, Unavailable, 3, id="too many"),
        pytest.param([Throttled("m", retry_after_s=60.0)], Throttled, 1, id="a long wait is left to the queue"),
        pytest.param([VersionConflict("m")], VersionConflict, 1, id="a conflict asks for a new pass"),
        pytest.param([Rejected("m")], Rejected, 1, id="permanent"),
        pytest.param([Misconfigured("m")], Misconfigured, 1, id="misconfigured"),
    ],
)
async def test_repetition(failures, outcome, count):
    call = Call(*failures)
    try:
        result = await repeated(call)
    except SyncError as error:
        result = type(error)
    assert (result, call.count) == (outcome, count)


async def test_only_errors_of_the_kind_are_repeated():
    call = Call(_soon(Throttled), _soon(Unavailable))
    with pytest.raises(Unavailable):
        await repeated(call, Throttled)
    assert call.count == 2


@pytest.mark.parametrize("asked", [0.0, 0.5, 2.0])
def test_who_is_told_the_same_does_not_come_back_at_once(asked):
    waits = sorted(_worth_repeating(Throttled("m", retry_after_s=asked)) for _ in range(100))
    assert asked <= waits[0] < waits[-1] <= max(asked, 0.001) * 1.25
    assert waits[0] > 0
    assert len({round(wait, 12) for wait in waits}) > 90
