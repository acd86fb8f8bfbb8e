"""When the timer's schedule is due."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.schedule import next_due

FRIDAY = datetime(2026, 11, 27, 17, 58, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("0 * * * * *", datetime(2026, 11, 27, 17, 59, tzinfo=UTC)),
        ("*/2 * * * * *", datetime(2026, 11, 27, 17, 58, 32, tzinfo=UTC)),
        ("*/5 * * * *", datetime(2026, 11, 27, 18, 0, tzinfo=UTC)),
        ("0 */5 8-17 * * 1-5", datetime(2026, 11, 30, 8, 0, tzinfo=UTC)),
        ("0 0 0 1 * MON", datetime(2027, 2, 1, tzinfo=UTC)),
        ("00:10:00", FRIDAY + timedelta(minutes=10)),
        ("%SOME_SETTING%", None),
    ],
)
def test_next_due(schedule, due):
    assert next_due(schedule, FRIDAY) == due


@pytest.mark.parametrize("schedule", ["hello", "", "* *", "61 * * * * *", "0 0 0 31 2 *", "a b c d e f", "25:00:00"])
def test_what_no_timer_can_read_is_refused(schedule):
    with pytest.raises(ValueError):  # noqa: PT011 - the texts are croniter's
        next_due(schedule, FRIDAY)
