"""A study that is large for the time that a small one has."""

import pytest

from shared.http import LONGEST_ANSWER_S, timeout_for
from tests.builders import make_series
from tests.flow.life import assert_nothing_left

SLOW = {"kind": "slow", "methods": ["POST"], "holds": '"type":"transaction"', "seconds": 2.0}


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize(("bytes_per_s", "outcome"), [(100, "created"), (10**9, "retrying")])
async def test_the_time_for_an_answer_grows_with_what_is_sent(stack, between, monkeypatch, bytes_per_s, outcome):
    """The server needs longer than it has for a study of no size."""
    before = await between("fhir")
    await stack.store(*make_series(instances=20))
    await stack.poll()
    texts = await stack.messages()
    await stack.app.fhir.check_capable()
    monkeypatch.setattr("shared.http.ANSWER_S", 0.5)
    monkeypatch.setattr("shared.http.BYTES_PER_S", bytes_per_s)
    before["fhir"].use([SLOW])
    assert await stack.run(*texts) == [outcome]
    if outcome == "created":
        await assert_nothing_left(stack)


def test_it_stays_within_the_time_of_a_message():
    assert [timeout_for(size).read for size in (0, 1_000_000, 10**9)] == [60.0, 70.0, LONGEST_ANSWER_S]
