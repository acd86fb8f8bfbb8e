"""Pure: which studies of a Patient contradict it, as its state remembers them."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from shared.mapping.contradiction import Demographics, contradictions

# studies of a Patient that are recorded: one is enough to be looked into, and each is looked at again when it changes
MOST = 8
Codes = Mapping[str, tuple[str, ...]]  # by Study Instance UID


class Conflicts(NamedTuple):
    """codes: of each study that contradicts. asked: studies to be looked at again, to record or to clear it."""

    codes: Codes
    asked: frozenset[str] = frozenset()


def conflicts_of(
    before: Codes,
    study_instance_uid: str,
    said: Demographics | None,
    was: Demographics,
    now: Demographics,
    providers: Collection[str],
) -> Conflicts:
    """What contradicts the Patient once a study has written it.

    said: what the study says; None where not all of it was read. was, now: what the Patient has before and after.
    providers: studies that provided what the study replaces.
    """
    codes = {uid: some for uid, some in before.items() if uid != study_instance_uid}
    asked = set(codes) if was != now else set()
    found = before.get(study_instance_uid, ()) if said is None else tuple(sorted(contradictions(said, now)))
    contradicted = tuple(sorted(contradictions(was, now)))
    new = dict.fromkeys(sorted(set(providers) - {study_instance_uid}), contradicted) | {study_instance_uid: found}
    for uid, some in new.items():
        if some and (uid in codes or len(codes) < MOST):
            codes[uid] = some
            asked |= {uid} - {study_instance_uid}
    return Conflicts(codes, frozenset(asked))


def without_study(codes: Codes, study_instance_uid: str) -> Codes:
    """The same when a study is no longer of the Patient."""
    return {uid: some for uid, some in codes.items() if uid != study_instance_uid}
