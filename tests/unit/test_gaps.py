"""Numbers that were missing from the feed: found, looked at again together, kept for a while."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.feed import Latest
from shared.model import ChangeFeedEntry, InstanceKey, SequenceRange, StudyKey
from shared.sync.gaps import GRACE, MOST_GAPS, after_look, missing, new_gaps, numbers_in, windows

NOW = datetime(2021, 3, 1, 10, 15, 30, tzinfo=UTC)
PAGE = 100


def _range(first, last, age_s=0):
    return SequenceRange(first, last, NOW - timedelta(seconds=age_s))


def _ends(gaps):
    return [(gap.first, gap.last) for gap in gaps]


def _latest(changed_at=NOW):
    """Its web server's clock is years apart from that of its database: the two are never compared."""
    entry = ChangeFeedEntry(9999, StudyKey("p", "1.2"), InstanceKey("1.2.3", "1.2.3.4"), changed_at)
    return Latest(9999, NOW + timedelta(days=1000), entry)


def _ago(seconds):
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("after", "last", "there", "ranges"),
    [
        pytest.param(0, 3, {1, 2, 3}, [], id="none"),
        pytest.param(0, 3, set(), [(1, 3)], id="all"),
        pytest.param(0, 3, {2}, [(1, 1), (3, 3)], id="both ends"),
        pytest.param(5, 9, {6, 9}, [(7, 8)], id="in the middle"),
        pytest.param(5, 9, {9}, [(6, 8)], id="at the beginning"),
        pytest.param(5, 9, {6, 7}, [(8, 9)], id="at the end"),
        pytest.param(5, 9, {1, 5, 7, 10, 99}, [(6, 6), (8, 9)], id="others do not count"),
        pytest.param(5, 5, set(), [], id="nothing looked at"),
    ],
)
def test_missing_numbers(after, last, there, ranges):
    assert missing(after, last, there) == ranges


@given(st.integers(0, 50), st.integers(0, 50), st.sets(st.integers(0, 120)))
def test_every_number_is_there_or_missing(after, width, there):
    numbers = [one for first, last in missing(after, after + width, there) for one in range(first, last + 1)]
    assert numbers == [number for number in range(after + 1, after + width + 1) if number not in there]


@pytest.mark.parametrize(
    ("behind", "newest", "is_kept"),
    [
        pytest.param(_ago(119), NOW, True, id="young"),
        pytest.param(_ago(120), NOW, False, id="as old as can be"),
        pytest.param(_ago(5000), NOW, False, id="old"),
        pytest.param(NOW + timedelta(days=1), NOW, True, id="behind the newest"),
        pytest.param(None, NOW, True, id="the row behind it has no time"),
        pytest.param(_ago(5000), None, True, id="the newest row has no time"),
    ],
)
def test_a_new_gap_is_as_old_as_the_rows_say(behind, newest, is_kept):
    found = new_gaps(5, 9, {6: NOW, 9: behind}, _latest(newest), 10)
    assert (_ends(found.kept), _ends(found.passed), found.read_to) == (
        ([(7, 8)], [], 9) if is_kept else ([], [(7, 8)], 9)
    )
    assert {gap.seen_at for gap in found.kept} <= {_latest().at}


def test_a_gap_as_wide_as_a_page_is_looked_at_twice():
    """The page may have been answered by something else than the service."""
    old = dict.fromkeys((100, 201), _ago(5000))
    found = new_gaps(0, 201, old, _latest(), 10)
    assert (_ends(found.passed), _ends(found.kept)) == ([(1, 99)], [(101, 200)])


def test_the_feed_is_read_up_to_the_first_gap_that_has_no_room():
    there = dict.fromkeys((2, 4, 6, 8), NOW)
    found = new_gaps(0, 9, there, _latest(), 2)
    assert (_ends(found.kept), found.read_to) == ([(1, 1), (3, 3)], 4)
    found = new_gaps(0, 9, there, _latest(), 0)
    assert (_ends(found.kept), found.read_to) == ([], 0)


@pytest.mark.parametrize(
    ("gaps", "there", "looked_to", "kept", "passed"),
    [
        pytest.param([], set(), 0, [], [], id="none"),
        pytest.param([(7, 9, 119)], set(), 50, [(7, 9)], [], id="young"),
        pytest.param([(7, 9, 120)], set(), 50, [], [(7, 9)], id="old"),
        pytest.param([(7, 9, 120)], set(), 6, [(7, 9)], [], id="old and not looked at"),
        pytest.param([(7, 9, 120)], set(), 7, [(8, 9)], [(7, 7)], id="old and looked at in part"),
        pytest.param([(7, 9, 0)], {8}, 50, [(7, 7), (9, 9)], [], id="young, some are there"),
        pytest.param([(7, 9, 120)], {8}, 50, [], [(7, 7), (9, 9)], id="old, some are there"),
        pytest.param([(7, 9, 0)], {7, 8, 9}, 50, [], [], id="all are there"),
        pytest.param([(7, 9, 5000), (11, 11, 1)], set(), 50, [(11, 11)], [(7, 9)], id="one of two old"),
        pytest.param([(1, 15_000, 1)], set(), 15_000, [(1, 15_000)], [], id="wide"),
    ],
)
def test_what_is_left_after_a_look(gaps, there, looked_to, kept, passed):
    found = after_look([_range(*gap) for gap in gaps], there, looked_to, NOW)
    assert (_ends(found.kept), _ends(found.passed)) == (kept, passed)


GAPS = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 250), st.sampled_from([0, 119, 120, 9999])), max_size=8)


def _apart(rows):
    gaps, last = [], 0
    for distance, width, age_s in rows:
        gaps.append(_range(last + distance + 1, last + distance + 1 + width, age_s))
        last = gaps[-1].last
    return gaps


def _numbers(gaps):
    return [number for gap in gaps for number in range(gap.first, gap.last + 1)]


@given(GAPS, st.sets(st.integers(1, 3000)), st.integers(0, 3000))
def test_no_missing_number_is_forgotten_before_its_time(rows, there, looked_to):
    gaps = _apart(rows)
    there = {number for number in there if number <= looked_to}
    found = after_look(gaps, there, looked_to, NOW)
    kept, passed = set(_numbers(found.kept)), set(_numbers(found.passed))
    absent = [(number, gap) for gap in gaps for number in range(gap.first, gap.last + 1) if number not in there]
    assert kept >= {n for n, gap in absent if gap.seen_at > NOW - GRACE or n > looked_to}
    assert passed == {n for n, gap in absent if gap.seen_at <= NOW - GRACE and n <= looked_to}
    assert not kept & passed


def test_a_gap_that_falls_into_too_many_pieces_is_kept_whole():
    gaps = [_range(number, number) for number in range(1, 2 * MOST_GAPS - 3, 2)] + [_range(5000, 5010)]
    assert len(gaps) == MOST_GAPS - 1
    kept = after_look(gaps, {5005}, 9999, NOW).kept
    assert (len(kept), _ends(kept[-2:])) == (MOST_GAPS, [(5000, 5004), (5006, 5010)])
    kept = after_look(gaps, {5003, 5005}, 9999, NOW).kept
    assert (len(kept), _ends(kept[-1:])) == (MOST_GAPS - 1, [(5000, 5010)])


@pytest.mark.parametrize(
    ("gaps", "pages"),
    [
        pytest.param([], [], id="none"),
        pytest.param([(7, 9)], [(7, 9)], id="one"),
        pytest.param([(7, 9), (20, 20), (106, 106)], [(7, 106)], id="within a page"),
        pytest.param([(7, 9), (107, 107)], [(7, 9), (107, 107)], id="one number too far"),
        pytest.param([(7, 9), (50, 120)], [(7, 9), (50, 120)], id="the second would not fit"),
        pytest.param([(1, 100)], [(1, 100)], id="a whole page"),
        pytest.param([(1, 101)], [(1, 100), (101, 101)], id="more than a page"),
        pytest.param([(1, 250), (260, 260)], [(1, 100), (101, 200), (201, 260)], id="pages and more"),
    ],
)
def test_windows_of_a_page(gaps, pages):
    assert windows([_range(*ends) for ends in gaps], PAGE) == pages


@given(GAPS)
def test_windows_hold_each_number_once_and_fit_a_page(rows):
    gaps = _apart(rows)
    pages = windows(gaps, PAGE)
    held = [number for first, last in pages for number in range(first, last + 1)]
    assert len(held) == len(set(held))
    assert set(held) >= set(_numbers(gaps))
    assert all(last - first < PAGE for first, last in pages)
    assert all(one[1] < other[0] for one, other in pairwise(pages))


def test_numbers_are_counted():
    assert numbers_in([_range(7, 9), _range(11, 11)]) == 4
