"""Numbers that were missing from the feed: found, looked at again together, kept for a while."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import SequenceRange
from shared.sync.poller import _kept, _missing, _windows

NOW = datetime(2021, 3, 1, 10, 15, 30, tzinfo=UTC)
PAGE = 100


def _range(first, last, age_s=0):
    return SequenceRange(first, last, NOW - timedelta(seconds=age_s))


@pytest.mark.parametrize(
    ("after", "last", "there", "missing"),
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
def test_missing_numbers(after, last, there, missing):
    assert _missing(after, last, dict.fromkeys(there, NOW), NOW) == [_range(*ends) for ends in missing]


@given(st.integers(0, 50), st.integers(0, 50), st.sets(st.integers(0, 120)))
def test_every_number_is_there_or_missing(after, width, there):
    found = _missing(after, after + width, dict.fromkeys(there, NOW), NOW)
    numbers = [number for hole in found for number in range(hole.first, hole.last + 1)]
    assert numbers == [number for number in range(after + 1, after + width + 1) if number not in there]


@pytest.mark.parametrize(
    ("holes", "windows"),
    [
        pytest.param([], [], id="none"),
        pytest.param([(7, 9)], [[(7, 9)]], id="one"),
        pytest.param([(7, 9), (20, 20), (106, 106)], [[(7, 9), (20, 20), (106, 106)]], id="within a page"),
        pytest.param([(7, 9), (107, 107)], [[(7, 9)], [(107, 107)]], id="one number too far"),
        pytest.param([(7, 9), (50, 120)], [[(7, 9)], [(50, 120)]], id="the second would not fit"),
        pytest.param([(1, 100)], [[(1, 100)]], id="a whole page"),
        pytest.param([(1, 101)], [[(1, 100)], [(101, 101)]], id="more than a page"),
        pytest.param([(1, 250), (260, 260)], [[(1, 100)], [(101, 200)], [(201, 250), (260, 260)]], id="pages and more"),
    ],
)
def test_windows_of_a_page(holes, windows):
    found = _windows([_range(*ends) for ends in holes])
    assert found == [[_range(*ends) for ends in window] for window in windows]


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 250)), max_size=8))
def test_windows_cover_each_number_once_and_fit_a_page(rows):
    holes, last = [], 0
    for gap, width in rows:
        holes.append(_range(last + gap + 1, last + gap + 1 + width))
        last = holes[-1].last
    windows = _windows(holes)
    covered = [number for window in windows for hole in window for number in range(hole.first, hole.last + 1)]
    assert covered == [number for hole in holes for number in range(hole.first, hole.last + 1)]
    assert all(window[-1].last - window[0].first < PAGE for window in windows)
    assert all(one[-1].last < other[0].first for one, other in pairwise(windows))


@pytest.mark.parametrize(
    ("holes", "kept"),
    [
        pytest.param([], [], id="none"),
        pytest.param([(7, 9, 0), (11, 11, 119)], [(7, 9, 0), (11, 11, 119)], id="young"),
        pytest.param([(7, 9, 120)], [], id="grown old"),
        pytest.param([(7, 9, 5000), (11, 11, 1)], [(11, 11, 1)], id="one of two old"),
        pytest.param([(11, 11, 1), (7, 9, 1)], [(7, 9, 1), (11, 11, 1)], id="put in order"),
        pytest.param([(1, 1000, 1)], [(1, 1000, 1)], id="wide"),
        pytest.param([(1, 1001, 1)], [], id="too wide: skipped for good by a restart"),
    ],
)
def test_holes_that_are_kept(holes, kept):
    assert _kept([_range(*hole) for hole in holes], NOW) == [_range(*hole) for hole in kept]


def test_the_latest_holes_are_kept_when_there_are_too_many():
    holes = [_range(number, number) for number in range(1, 501, 2)]
    assert _kept(reversed(holes), NOW) == holes[-200:]
