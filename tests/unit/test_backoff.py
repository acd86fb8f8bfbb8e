"""How long a message waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sync.backoff import delay_s

DRAWS = 200


@pytest.mark.parametrize(
    ("attempt", "low", "high"),
    [
        pytest.param(1, 2, 4, id="first retry"),
        pytest.param(2, 4, 8, id="second"),
        pytest.param(5, 32, 64, id="fifth"),
        pytest.param(8, 256, 512, id="eighth"),
        pytest.param(9, 450, 900, id="never more than a quarter of an hour"),
        pytest.param(1_000_000, 450, 900, id="after days"),
    ],
)
def test_delay_doubles_up_to_a_limit(attempt, low, high):
    delays = [delay_s(attempt) for _ in range(DRAWS)]
    assert low <= min(delays) < max(delays) <= high


@pytest.mark.parametrize("retry_after_s", [30.0, 3600.0], ids=["half a minute", "an hour"])
def test_delay_is_never_shorter_than_asked_and_spread(retry_after_s):
    delays = [delay_s(1, retry_after_s) for _ in range(DRAWS)]
    assert retry_after_s <= min(delays) < max(delays) <= retry_after_s * 1.25


def test_what_is_asked_does_not_shorten_the_delay():
    assert min(delay_s(9, 1.0) for _ in range(DRAWS)) >= 450


@given(st.integers(1, 10**9), st.none() | st.floats(0, 10**9))
def test_delay_has_bounds(attempt, retry_after_s):
    asked = retry_after_s or 0
    assert max(2.0, asked) <= delay_s(attempt, retry_after_s) <= max(900.0, asked * 1.25)
