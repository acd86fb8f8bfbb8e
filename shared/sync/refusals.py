"""Write a study without the elements that the FHIR server refuses, and remember them until DICOM changes."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from shared.errors import Rejected
from shared.fhir.bundle import Entry
from shared.fhir.refusal import keys_in, optional_elements, path_of, paths_in, without
from shared.fhir.refused import STUDY_TOO_LARGE
from shared.mapping.optional import OPTIONAL, REFUSED_ELEMENT
from shared.model import Finding, InstanceKey, Outcome, StudyChange
from shared.state import StudyState
from shared.sync.attempt import Attempt
from shared.sync.look import Look
from shared.sync.plan import Plan

# of the writes of one message: from the tenth on what is named is left out wherever it is, and with the last all that
# may be missing is. Some servers name one element at a time, and a study can have thousands
MOST_NAMED = 10
MOST_REFUSALS = 20
# more would not fit their column; what is forgotten is refused once more
MOST_REMEMBERED = 50


def may_be_left_out(entries: Iterable[Entry], names: Collection[str]) -> frozenset[str]:
    """Of the elements that a refusal names, or what contains them, those that the entries can be without."""
    return optional_elements(entries, names, OPTIONAL)


def remembered(state: StudyState, change: StudyChange) -> frozenset[str]:
    """The elements that were refused already. A message of a later poll may bring a value that the server takes, and
    whoever has a study looked at again may have changed the server: then all are tried again.
    """
    return frozenset(state.refused if change.part >= 0 and change.poll <= state.refused_at else ())


def remember(state: StudyState, change: StudyChange, refused: Collection[str]) -> StudyState:
    """The state with the elements that the study was written without."""
    kept = tuple(sorted(refused)[:MOST_REMEMBERED])
    return replace(state, refused=kept, refused_at=max(change.poll, state.refused_at) if kept else 0)


def is_news(attempt: Attempt, plan: Plan, error: Rejected, *, is_last: bool) -> bool:
    """Whether another pass may end otherwise: the first refusal may be of something that was read, or remembered, and
    is gone; later ones may name further elements. After the last pass of a delivery only the first refusal is worth
    another delivery. A study that is too large is written without its instances.
    """
    if error.code == STUDY_TOO_LARGE and plan.listed:
        attempt.too_large.add(plan.listed)
        return True
    attempt.refusals.append(error)
    if len(attempt.refusals) == 1:
        return True
    named = may_be_left_out(plan.entries, error.elements) - attempt.refused
    if named and len(attempt.refusals) >= MOST_NAMED:
        named = frozenset(map(path_of, named))
    if named and len(attempt.refusals) == MOST_REFUSALS:
        attempt.refused.clear()
        named = paths_in(plan.entries, OPTIONAL)
    attempt.refused.update(named)
    return bool(named) and not is_last and len(attempt.refusals) <= MOST_REFUSALS


def leave_out(plan: Plan, refused: Collection[str], look: Look) -> Plan:
    """The plan without these elements, each with a finding."""
    if not refused:
        return plan
    entries: dict[int, Entry | None] = {}
    findings = {key: set(found) for key, found in plan.findings.items()}
    first_of: dict[str, InstanceKey] = {}
    for key in look.truth.instances:
        first_of.setdefault(key.series_instance_uid, key)
    for entry in plan.entries:
        entries[id(entry)], left_out = without(entry, {*refused, *_notes(entry, refused)})
        for name in left_out:
            if (found_in := _instance_of(name, look, first_of)) is not None:
                findings.setdefault(found_in, set()).add(Finding(path_of(name), REFUSED_ELEMENT))
    patient = plan.patient
    if patient is not None and patient.entry is not None:
        patient = replace(patient, entry=entries[id(patient.entry)])
    left = [entry for entry in entries.values() if entry is not None]
    return replace(
        plan,
        outcome=plan.outcome if left or not plan.entries else Outcome.UNCHANGED,
        entries=left,
        patient=patient,
        findings={key: sorted(found) for key, found in findings.items()},
    )


def _notes(entry: Entry, refused: Collection[str]) -> list[str]:
    """The notes that repeat a refused description: only beside it are they known to be of this app."""
    study = entry.resource if entry.resource and f"{entry.resource_type}.description" in refused else {}
    notes, same = study.get("note", []), {"text": study.get("description")}
    return [f"{entry.resource_type}.note[{place}]" for place, note in enumerate(notes) if note == same]


def _instance_of(name: str, look: Look, first_of: Mapping[str, InstanceKey]) -> InstanceKey | None:
    """An instance that the value came from, of those that were read. first_of: one of each series."""
    keys = keys_in(name)
    series, read = keys.get("series", ""), look.truth.instances
    of_report = next((key for key in look.reports or () if key.sop_instance_uid in name), None)
    named = InstanceKey(series, keys.get("instance", ""))
    of_instance = named if named in read else None
    return (
        of_report
        or of_instance
        or first_of.get(series)
        or next(iter(look.delta.representatives), None)
        or next(iter(read), None)
    )
