"""What becomes of a checkpoint that somebody else moved."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Misconfigured
from shared.model import Checkpoint, OtherReaders, SequenceRange
from shared.sync.other_readers import QUIET, after_others, check_alone, is_at_work

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=10)
LATEST = 500
EVERY_MINUTE, HOURLY = "0 * * * * *", "0 0 * * * *"


def checkpoint(sequence, moved_to=None, others=None, gaps=()):
    return Checkpoint(sequence, poll=7, etag="e", synced=sequence, moved_to=moved_to, others=others, gaps=gaps)


@pytest.mark.parametrize(
    ("others", "moved_to", "sequence", "expected"),
    [
        pytest.param(None, None, 100, OtherReaders(100, NOW), id="first poll"),
        pytest.param(OtherReaders(80, BEFORE), None, 100, OtherReaders(80, BEFORE), id="not moved"),
        pytest.param(OtherReaders(80, NOW - QUIET), None, 100, OtherReaders(100, NOW), id="quiet for an hour"),
        pytest.param(
            OtherReaders(80, BEFORE, 80, NOW - QUIET), None, 100, OtherReaders(80, BEFORE, 80, NOW - QUIET), id="looked"
        ),
        pytest.param(
            OtherReaders(80, NOW - QUIET, 80, NOW - QUIET), None, 100, OtherReaders(80, NOW, 90), id="stopped in a page"
        ),
        pytest.param(
            OtherReaders(80, NOW - QUIET, 80, NOW - QUIET), None, 85, OtherReaders(80, NOW, 85), id="in the last page"
        ),
        pytest.param(
            OtherReaders(80, NOW - QUIET, 90), None, 100, OtherReaders(80, NOW - QUIET, 90), id="not all sent yet"
        ),
        pytest.param(OtherReaders(80, BEFORE), 90, 100, OtherReaders(80, BEFORE, 90, NOW), id="moved behind it"),
        pytest.param(OtherReaders(80, BEFORE), 100, 100, OtherReaders(80, BEFORE, 100, NOW), id="moved as far"),
        pytest.param(OtherReaders(80, BEFORE), 300, 100, OtherReaders(80, BEFORE, 300, NOW), id="moved ahead"),
        pytest.param(OtherReaders(80, BEFORE), 900, 100, OtherReaders(80, BEFORE, LATEST, NOW), id="beyond the feed"),
        pytest.param(
            OtherReaders(80, BEFORE, 95, BEFORE), 90, 100, OtherReaders(80, BEFORE, 95, NOW), id="moved once more"
        ),
    ],
)
def test_rows_that_others_passed_are_processed_again(others, moved_to, sequence, expected):
    found = after_others(checkpoint(sequence, moved_to, others), LATEST, NOW, is_at_work=True)
    assert (found.sequence, found.others) == (sequence, expected)


def test_one_that_is_stopped_after_the_takeover_may_have_been_in_a_page():
    """The site started this app first: nothing shows what DICOM Cast wrote of the page that it was in."""
    taken_over = Checkpoint(100, etag="e", synced=100)
    first = after_others(taken_over, LATEST, NOW, is_at_work=False)
    check_alone(first, EVERY_MINUTE, NOW)
    later = after_others(replace(first, sequence=LATEST, poll=7), LATEST, NOW + QUIET, is_at_work=False)
    assert later.others == OtherReaders(100, NOW + QUIET, 110)


def test_a_row_that_was_set_back_reads_the_feed_from_there():
    gaps = (SequenceRange(5, 6, BEFORE), SequenceRange(70, 75, BEFORE))
    found = after_others(checkpoint(100, 20, OtherReaders(80, BEFORE, 90, BEFORE), gaps), LATEST, NOW, is_at_work=True)
    assert (found.sequence, found.gaps, found.others) == (20, gaps[:1], OtherReaders(20, NOW, moved_at=NOW))


@pytest.mark.parametrize(
    ("moved_to", "others", "minutes"),
    [
        (None, None, None),
        (None, OtherReaders(1, BEFORE), None),
        (None, OtherReaders(1, BEFORE, moved_at=NOW - QUIET), None),
        (None, OtherReaders(1, BEFORE, moved_at=BEFORE), "10 minutes"),
        (9, OtherReaders(1, BEFORE), "1 minute"),
    ],
)
def test_a_second_reader_is_said_for_an_hour(moved_to, others, minutes):
    one = checkpoint(5, moved_to, others)
    if minutes is None:
        check_alone(one, EVERY_MINUTE, NOW)
        return
    with pytest.raises(Misconfigured, match=f"moved the checkpoint {minutes} ago") as raised:
        check_alone(one, EVERY_MINUTE, NOW)
    assert raised.value.code == "two-readers"


@pytest.mark.parametrize(
    ("schedule", "minutes", "moved_to", "expected"),
    [
        pytest.param(EVERY_MINUTE, 5, 9, True, id="polled as always"),
        pytest.param(EVERY_MINUTE, 10, 9, True, id="one poll late"),
        pytest.param(EVERY_MINUTE, 12, 9, False, id="after a pause"),
        pytest.param(HOURLY, 60, 9, True, id="polled hourly"),
        pytest.param(HOURLY, 180, 9, False, id="hourly, after a pause"),
        pytest.param(EVERY_MINUTE, 5, None, False, id="not moved"),
        pytest.param("0 0 0 30 2 *", 5, 9, True, id="never due"),
        pytest.param("%NAME%", 500, 9, True, id="a schedule that only the host knows"),
    ],
)
def test_a_move_after_a_pause_of_this_app_is_a_return(schedule, minutes, moved_to, expected):
    one = replace(checkpoint(5, moved_to, OtherReaders(1, BEFORE)), saved_at=NOW - timedelta(minutes=minutes))
    assert is_at_work(one, schedule, NOW) is expected
    found = after_others(one, LATEST, NOW, is_at_work=expected)
    assert (found.others.again_to, found.others.moved_at) == (moved_to or 0, NOW if expected else None)
