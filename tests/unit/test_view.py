"""What a look makes of the truth: tables over what was read and what is remembered."""

import pytest

from shared.dicom.study import SeriesContent, StudyContent, Truth
from shared.model import Finding, InstanceKey
from shared.sync import marks
from shared.sync.view import View, unreadable, view_of
from tests.unit.datasets import instance_dataset, key

A, B, C = key(1, 1), key(1, 2), key(2, 1)
KEYS = {"a": A, "b": B, "c": C}
SETS = {A: instance_dataset(1, 1), B: instance_dataset(1, 2), C: instance_dataset(2, 1)}


def _marks(**by_name):
    return {marks.digest(KEYS[name]): mark for name, mark in by_name.items()}


def _truth(*there, unknown=(), gone=(), is_whole=False):
    return Truth({name: SETS[name] for name in there}, frozenset(unknown), frozenset(gone), is_whole=is_whole)


def _content(newest, **series):
    """Series as `one` or `two`: who speaks for it, and its instances."""
    uids = {"one": A.series_instance_uid, "two": C.series_instance_uid}
    return StudyContent(
        SETS.get(newest),
        {
            uids[name]: SeriesContent(
                SETS.get(speaker), {instance.sop_instance_uid: SETS[instance] for instance in instances}
            )
            for name, (speaker, instances) in series.items()
        },
    )


def _view(truth, *, failed=(), known=None, listed=None, stored=(), adopted=False, final=False):
    return view_of(truth, failed, known or {}, listed or {}, stored, adopted=adopted, final=final)


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        pytest.param(
            {"truth": _truth(A), "listed": {A: 7}},
            View(_content(A, one=(A, [A])), frozenset(), _marks(a=7), A, 7),
            id="first instance",
        ),
        pytest.param(
            {"truth": _truth(A, B), "listed": {A: 7, B: 8}},
            View(_content(B, one=(B, [A, B])), frozenset(), _marks(a=7, b=8), B, 8),
            id="newest of two speaks",
        ),
        pytest.param(
            {"truth": _truth(A, C), "listed": {A: 7, C: 8}},
            View(_content(C, one=(A, [A]), two=(C, [C])), frozenset(), _marks(a=7, c=8), C, 8),
            id="two series, each with its speaker",
        ),
        pytest.param(
            {"truth": _truth(A), "listed": {A: 7}, "known": _marks(b=9), "stored": [B]},
            View(_content(None, one=(None, [A])), frozenset(), _marks(a=7, b=9), None, 9),
            id="older than what is stored: stored values stay",
        ),
        pytest.param(
            {"truth": _truth(A), "listed": {A: 10}, "known": _marks(a=7, b=9), "stored": [A, B]},
            View(_content(A, one=(A, [A])), frozenset(), _marks(a=10, b=9), A, 10),
            id="older one changed: it speaks now",
        ),
        pytest.param(
            {"truth": _truth(C), "listed": {C: 8}, "known": _marks(a=7, b=9), "stored": [A, B]},
            View(_content(None, two=(C, [C])), frozenset(), _marks(a=7, b=9, c=8), None, 9),
            id="new series, older than the study's speaker",
        ),
        pytest.param(
            {"truth": _truth(gone=[A]), "listed": {A: 10}, "known": _marks(a=7, b=9), "stored": [A, B]},
            View(_content(None), frozenset([A]), _marks(a=-11, b=9), None, 9),
            id="deleted, another one speaks as before",
        ),
        pytest.param(
            {"truth": _truth(gone=[A]), "listed": {A: 10}, "known": _marks(a=9, b=7), "stored": [A, B]},
            None,
            id="speaker deleted: another has to be read",
        ),
        pytest.param(
            {"truth": _truth(gone=[A]), "listed": {A: 10}, "known": _marks(a=9, b=7), "stored": [A, B], "final": True},
            View(_content(None), frozenset([A]), _marks(a=-11, b=7), None, 7),
            id="speaker deleted, last look: stored values stay",
        ),
        pytest.param(
            {"truth": _truth(gone=[C]), "listed": {C: 10}, "known": _marks(a=9, c=7), "stored": [A, C]},
            View(_content(None), frozenset([C]), _marks(a=9, c=-11), None, 9),
            id="only instance of a series deleted",
        ),
        pytest.param(
            {"truth": _truth(gone=[A]), "listed": {A: 10}, "known": _marks(a=9), "stored": [A]},
            View(_content(None), frozenset([A]), _marks(a=-11), None, 0),
            id="last instance deleted",
        ),
        pytest.param(
            {"truth": _truth(gone=[A]), "listed": {A: 7}},
            View(_content(None), frozenset([A]), _marks(a=-8), None, 0),
            id="gone before it was ever seen",
        ),
        pytest.param(
            {"truth": _truth(A), "listed": {A: 12}, "known": _marks(a=-11)},
            View(_content(A, one=(A, [A])), frozenset(), _marks(a=12), A, 12),
            id="stored again",
        ),
        pytest.param(
            {"truth": _truth(A, B, is_whole=True), "listed": {A: 7}, "known": _marks(a=6, b=5)},
            View(_content(A, one=(A, [A, B])), frozenset(), _marks(a=7, b=5), A, 7),
            id="whole study, all there",
        ),
        pytest.param(
            {
                "truth": _truth(A, gone=[B], is_whole=True),
                "listed": {A: 7},
                "known": _marks(a=6, b=5),
                "stored": [A, B],
            },
            View(_content(A, one=(A, [A])), frozenset([B]), _marks(a=7, b=-6), A, 7),
            id="whole study, one of ours is not there any more",
        ),
        pytest.param(
            {"truth": _truth(A, gone=[B], is_whole=True), "listed": {A: 7}, "known": _marks(a=6), "stored": [A, B]},
            View(_content(A, one=(A, [A])), frozenset(), _marks(a=7), A, 7),
            id="whole study, instance of another source stays",
        ),
        pytest.param(
            {"truth": _truth(A, gone=[B], is_whole=True), "listed": {A: 7}, "stored": [A, B], "adopted": True},
            View(_content(A, one=(A, [A])), frozenset([B]), _marks(a=7, b=-1), A, 7),
            id="adopted: everything stored counts as ours",
        ),
        pytest.param(
            {"truth": _truth(gone=[A, B], is_whole=True), "known": _marks(a=6, b=5), "stored": [A, B]},
            View(_content(None), frozenset([A, B]), _marks(a=-7, b=-6), None, 0),
            id="whole study gone",
        ),
        pytest.param(
            {"truth": _truth(is_whole=True), "known": _marks(a=6), "stored": []},
            View(_content(None), frozenset(), _marks(a=-7), None, 0),
            id="whole study gone, and not in FHIR either",
        ),
        pytest.param(
            {"truth": _truth(A, B, is_whole=True)},
            View(
                _content(max(A, B, key=marks.digest), one=(max(A, B, key=marks.digest), [A, B])),
                frozenset(),
                _marks(a=0, b=0),
                max(A, B, key=marks.digest),
                0,
            ),
            id="released: no sequence known, the same one speaks every time",
        ),
        pytest.param(
            {"truth": _truth(A, B), "failed": [B], "listed": {A: 7, B: 8}},
            View(_content(A, one=(A, [A])), frozenset([B]), _marks(a=7, b=-9), A, 7),
            id="instance that cannot be mapped is kept out and does not speak",
        ),
        pytest.param(
            {"truth": _truth(A, unknown=[B]), "failed": [B], "listed": {A: 7, B: 8}},
            View(_content(A, one=(A, [A])), frozenset(), _marks(a=7, b=-9), A, 7),
            id="new instance that cannot be read: it was looked at and does not speak",
        ),
        pytest.param(
            {"truth": _truth(A, unknown=[B]), "failed": [B], "listed": {A: 7, B: 9}, "known": _marks(b=8)},
            View(_content(A, one=(A, [A])), frozenset(), _marks(a=7, b=9), A, 7),
            id="instance that cannot be read any more: its mark stays, the next one speaks",
        ),
        pytest.param(
            {"truth": _truth(A, unknown=[B], is_whole=True), "known": _marks(a=7, b=8), "stored": [A, B]},
            View(_content(A, one=(A, [A])), frozenset(), _marks(a=7, b=8), A, 7),
            id="whole study but one that cannot be read: it stays, and does not speak",
        ),
        pytest.param(
            {"truth": _truth(A, is_whole=True), "listed": {A: 7}, "known": _marks(a=6, b=5), "stored": [A, B]},
            View(_content(A, one=(A, [A])), frozenset(), _marks(a=7, b=-6), A, 7),
            id="nothing is taken out that was not asked for",
        ),
    ],
)
def test_view(look, expected):
    assert _view(**look) == expected


def test_marks_that_are_known_are_not_changed():
    known = _marks(a=7, b=9)
    _view(_truth(A, is_whole=True), listed={A: 8}, known=known)
    assert known == _marks(a=7, b=9)


def test_finding_for_metadata_that_cannot_be_had():
    assert unreadable(_truth(A, unknown=[B])) == {B: [Finding("the service gives none", "unreadable-metadata")]}


# --- two series of one digest --------------------------------------------------------------------------------------


def _of_one_digest():
    """Four bytes: about 77,000 names are enough to find two."""
    seen = {}
    for number in range(2_000_000):
        uid = f"1.2.840.{number}"
        other = seen.setdefault(marks.series_digest(uid), uid)
        if other != uid:
            return other, uid
    raise AssertionError("no two of them")


@pytest.fixture(scope="module")
def alike():
    """Two instances in each of two series that have one digest, by number, and their datasets."""
    one, two = _of_one_digest()
    keys = {
        1: InstanceKey(one, "1.1"),
        2: InstanceKey(one, "1.2"),
        3: InstanceKey(two, "2.1"),
        4: InstanceKey(two, "2.2"),
    }
    sets = {
        key: instance_dataset(SeriesInstanceUID=key.series_instance_uid, SOPInstanceUID=key.sop_instance_uid)
        for key in keys.values()
    }
    return keys, sets


@pytest.mark.parametrize("newest", [1, 2, 3, 4])
def test_each_of_two_series_of_one_digest_has_its_own_values(alike, newest):
    keys, sets = alike
    listed = {key: 10 + (20 if number == newest else number) for number, key in keys.items()}
    view = _view(Truth(sets, is_whole=True), listed=listed, final=True)
    expected = {1: (1, 4), 2: (2, 4), 3: (2, 3), 4: (2, 4)}[newest]
    assert [content.newest for content in view.content.series.values()] == [sets[keys[number]] for number in expected]
    assert view.newest == keys[newest]


@pytest.mark.parametrize("other_is", ["stored", "listed"])
def test_of_two_series_of_one_digest_the_whole_study_is_read(alike, other_is):
    keys, sets = alike
    known = {marks.digest(key): number for number, key in keys.items()}
    stored = keys.values() if other_is == "stored" else [keys[1]]
    listed = {keys[1]: 50} if other_is == "stored" else {keys[1]: 50, keys[3]: 51}
    assert _view(Truth({keys[1]: sets[keys[1]]}), known=known, listed=listed, stored=stored) is None
