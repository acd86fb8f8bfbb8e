"""What a read of a study changes: tables over what was read and what is remembered."""

from hashlib import blake2b

import pytest

from shared.dicom.study import Truth
from shared.mapping.provides import provided
from shared.model import Finding, InstanceKey
from shared.state import LedgerRow, Provides
from shared.sync.delta import Before, study_delta, unreadable
from shared.sync.ledger import digest, series_digest
from tests.unit.datasets import dataset, instance_dataset, key

A, B, C = key(1, 1), key(1, 2), key(2, 1)
KEYS = {"a": A, "b": B, "c": C}
DESCRIPTIONS = {A: "of a", B: "of b", C: "of c"}
SETS = {
    one: instance_dataset(series, number, StudyDescription=DESCRIPTIONS[one])
    for one, series, number in ((A, 1, 1), (B, 1, 2), (C, 2, 1))
}
SAYS = provided(SETS, "")


def _ledger(**by_name):
    """Rows by name: the sequence, below zero of a deleted instance."""
    return {digest(KEYS[name]): _row(KEYS[name], at) for name, at in by_name.items()}


def _row(key, at, provides=None):
    series = series_digest(key.series_instance_uid)
    return LedgerRow(abs(at), at >= 0, (provides or SAYS[key]) if at >= 0 else None, series)


def _truth(*there, unknown=(), gone=(), is_whole=False):
    return Truth({name: SETS[name] for name in there}, frozenset(unknown), frozenset(gone), is_whole=is_whole)


def _delta(truth, *, failed=(), known=None, listed=None, stored=(), adopted=False, final=False):
    usable = {one: SAYS[one] for one in truth.instances if one not in failed}
    return study_delta(truth, usable, Before(known or {}, listed or {}, stored, adopted=adopted), final=final)


STAYS = "the description that is stored"


def _description(delta):
    """Whose description is to be written; None where nobody has one."""
    if "description" not in delta.content.elements:
        return STAYS
    provider = delta.content.elements["description"]
    return next((one for one, dataset in SETS.items() if dataset is provider), None)


@pytest.mark.parametrize(
    ("read", "description", "gone", "after"),
    [
        pytest.param({"truth": _truth(A), "listed": {A: 7}}, A, [], _ledger(a=7), id="first instance"),
        pytest.param({"truth": _truth(A, B), "listed": {A: 7, B: 8}}, B, [], _ledger(a=7, b=8), id="newest of two"),
        pytest.param(
            {"truth": _truth(A, C), "listed": {A: 7, C: 8}}, C, [], _ledger(a=7, c=8), id="newest of two series"
        ),
        pytest.param(
            {"truth": _truth(A), "listed": {A: 7}, "known": _ledger(b=9), "stored": [B]},
            STAYS,
            [],
            _ledger(a=7, b=9),
            id="older than the provider",
        ),
        pytest.param(
            {"truth": _truth(A), "listed": {A: 10}, "known": _ledger(a=7, b=9), "stored": [A, B]},
            A,
            [],
            _ledger(a=10, b=9),
            id="older one changed: it provides now",
        ),
        pytest.param(
            {"truth": _truth(gone=[A]), "listed": {A: 10}, "known": _ledger(a=7, b=9), "stored": [A, B]},
            STAYS,
            [A],
            _ledger(a=-10, b=9),
            id="deleted, provider unchanged",
        ),
        pytest.param(
            {"truth": _truth(gone=[A]), "listed": {A: 10}, "known": _ledger(a=9, b=7), "stored": [A, B], "final": True},
            STAYS,
            [A],
            _ledger(a=-10, b=7),
            id="provider deleted, last read: stored values stay",
        ),
        pytest.param(
            {"truth": _truth(gone=[A]), "listed": {A: 10}, "known": _ledger(a=9), "stored": [A]},
            None,
            [A],
            _ledger(a=-10),
            id="last instance deleted",
        ),
        pytest.param(
            {"truth": _truth(gone=[A]), "listed": {A: 7}}, None, [A], _ledger(a=-7), id="gone before it was seen"
        ),
        pytest.param(
            {"truth": _truth(A), "listed": {A: 12}, "known": _ledger(a=-11)}, A, [], _ledger(a=12), id="again"
        ),
        pytest.param(
            {"truth": _truth(A, B, is_whole=True), "listed": {A: 7}, "known": _ledger(a=6, b=5)},
            A,
            [],
            _ledger(a=7, b=5),
            id="whole study, all there",
        ),
        pytest.param(
            {
                "truth": _truth(A, gone=[B], is_whole=True),
                "listed": {A: 7},
                "known": _ledger(a=6, b=5),
                "stored": [A, B],
            },
            A,
            [B],
            _ledger(a=7, b=-5),
            id="whole study, an instance of this app is not there any more",
        ),
        pytest.param(
            {"truth": _truth(A, gone=[B], is_whole=True), "listed": {A: 7}, "known": _ledger(a=6), "stored": [A, B]},
            A,
            [],
            _ledger(a=7),
            id="whole study, instance of another source stays",
        ),
        pytest.param(
            {"truth": _truth(A, gone=[B], is_whole=True), "listed": {A: 7}, "stored": [A, B], "adopted": True},
            A,
            [B],
            _ledger(a=7) | {digest(B): _row(B, 0)._replace(is_there=False, provides=None)},
            id="adopted: everything stored counts as this app's",
        ),
        pytest.param(
            {"truth": _truth(gone=[A, B], is_whole=True), "known": _ledger(a=6, b=5), "stored": [A, B]},
            None,
            [A, B],
            _ledger(a=-6, b=-5),
            id="whole study gone",
        ),
        pytest.param(
            {"truth": _truth(is_whole=True), "known": _ledger(a=6)}, None, [], _ledger(a=-6), id="gone, and not in FHIR"
        ),
        pytest.param(
            {"truth": _truth(A, B, is_whole=True)},
            max(A, B, key=digest),
            [],
            _ledger(a=0, b=0),
            id="no sequence known: always the same provider",
        ),
        pytest.param(
            {"truth": _truth(A, B), "failed": [B], "listed": {A: 7, B: 8}},
            A,
            [B],
            _ledger(a=7, b=-8),
            id="an instance that cannot be mapped is skipped",
        ),
        pytest.param(
            {"truth": _truth(A, unknown=[B]), "listed": {A: 7, B: 8}},
            A,
            [],
            _ledger(a=7, b=-8),
            id="new instance that cannot be read",
        ),
        pytest.param(
            {"truth": _truth(A, unknown=[B]), "listed": {A: 7, B: 9}, "known": _ledger(b=8)},
            A,
            [],
            _ledger(a=7, b=9),
            id="instance that cannot be read any more: its row stays, the next one provides",
        ),
        pytest.param(
            {"truth": _truth(A, unknown=[B], is_whole=True), "known": _ledger(a=7, b=8), "stored": [A, B]},
            A,
            [],
            _ledger(a=7, b=8),
            id="whole study but one that cannot be read",
        ),
        pytest.param(
            {"truth": _truth(unknown=[B], is_whole=True), "known": _ledger(b=8), "stored": [B]},
            STAYS,
            [],
            _ledger(b=8),
            id="the only provider cannot be read",
        ),
    ],
)
def test_delta(read, description, gone, after):
    delta = _delta(**read)
    assert (_description(delta), delta.gone, delta.ledger) == (description, frozenset(gone), after)


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(
            {"truth": _truth(gone=[A]), "listed": {A: 10}, "known": _ledger(a=9, b=7), "stored": [A, B]},
            id="the provider was deleted",
        ),
        pytest.param(
            {
                "truth": _truth(A),
                "listed": {A: 10},
                "known": {**_ledger(a=7), digest(B): LedgerRow(9, is_there=True)},
                "stored": [A, B],
            },
            id="remembered by an earlier version",
        ),
        pytest.param(
            {
                "truth": _truth(A),
                "listed": {A: 10},
                "known": {digest(B): LedgerRow(9, is_there=True, provides=Provides(patient="another"))},
                "stored": [B],
            },
            id="another patient than before",
        ),
    ],
)
def test_the_whole_study_has_to_be_read(read):
    assert _delta(**read) is None


def test_series_of_which_nothing_was_read_loses_what_nobody_provides():
    known = _ledger(a=7) | {digest(B): _row(B, 9, Provides(series=frozenset({"description"})))}
    delta = _delta(_truth(gone=[B]), listed={B: 10}, known=known, stored=[A, B])
    series = delta.content.series[A.series_instance_uid]
    assert (series.elements["description"], series.instances) == (None, {})
    assert "modality" not in series.elements


def test_what_is_known_is_not_changed():
    known = _ledger(a=7, b=9)
    _delta(_truth(A, is_whole=True), listed={A: 8}, known=known)
    assert known == _ledger(a=7, b=9)


def test_finding_for_metadata_that_cannot_be_had():
    assert unreadable(_truth(A, unknown=[B])) == {B: [Finding("the service gives none", "unreadable-metadata")]}


def _of(one, **attributes):
    return instance_dataset(*((1, 1) if one == A else (1, 2)), **attributes)


ISSUED = {"AccessionNumber": "A1", "IssuerOfAccessionNumberSequence": [dataset(LocalNamespaceEntityID="HOSP")]}


@pytest.mark.parametrize(
    ("deleted", "left", "is_enough"),
    [
        pytest.param(ISSUED, {"AccessionNumber": "A1"}, False, id="a number that hid the same without issuer"),
        pytest.param({"AccessionNumber": "A1"}, {"AccessionNumber": "A1"}, True, id="a number that the other has"),
        pytest.param({"PatientSex": "F"}, {}, False, id="the only sex"),
        pytest.param({"PatientSex": "F", "PatientID": "2"}, {}, True, id="the sex of a stray"),
        pytest.param({"StudyDescription": "CT"}, {}, True, id="the only description"),
    ],
)
def test_what_a_deletion_needs_of_the_others(deleted, left, is_enough):
    says = provided({A: _of(A, **deleted), B: _of(B, **left)}, "")
    known = {digest(one): _row(one, at, says[one]) for one, at in ((A, 1), (B, 2))}
    delta = study_delta(Truth(gone=frozenset([A])), {}, Before(known, {A: 3}, [A, B]), final=False)
    assert (delta is not None) == is_enough


def test_series_that_a_digest_of_four_bytes_took_for_one_keep_their_own_values():
    """About 77,000 UIDs are enough to find two such."""
    seen = {}
    for number in range(2_000_000):
        one = f"1.2.840.{number}"
        other = seen.setdefault(blake2b(one.encode(), digest_size=4).digest(), one)
        if other != one:
            break
    keys = {InstanceKey(uid, f"{uid}.1"): text for uid, text in ((other, "axial"), (one, "coronal"))}
    datasets = {
        key: instance_dataset(
            SeriesInstanceUID=key.series_instance_uid, SOPInstanceUID=key.sop_instance_uid, SeriesDescription=text
        )
        for key, text in keys.items()
    }
    listed = {key: sequence for sequence, key in enumerate(keys, 1)}
    delta = study_delta(Truth(datasets, is_whole=True), provided(datasets, ""), Before(listed=listed), final=True)
    assert {
        uid: series.elements["description"]["0008103E"]["Value"] for uid, series in delta.content.series.items()
    } == {other: ["axial"], one: ["coronal"]}
