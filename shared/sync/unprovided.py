"""Take demographics back that this app wrote into a Patient and that no study of it provides any more."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from shared.errors import Rejected
from shared.fhir.bundle import Entry, reference
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import ByIdentifier, Resource, by_identifier, identifiers_of
from shared.fhir.ownership import same_content
from shared.fhir.replaced import is_replaced
from shared.fhir.searchset import usable
from shared.mapping.patient import PatientRules, without_demographics
from shared.state import PatientState, Written
from shared.sync.replica import is_version, written_by


class TakenBack(NamedTuple):
    """is_done: nothing is left to be taken back. written: what was written, if anything."""

    is_done: bool
    written: Written | None = None


# key and state of a Patient and references to where it may be
TakeBack = Callable[[str, PatientState, Collection[str]], Awaitable[TakenBack]]


async def take_back(
    fhir: FhirClient, rules: PatientRules, patient: str, state: PatientState, references: Collection[str]
) -> TakenBack:
    """Write the Patient without the elements that are unprovided in its state.

    patient: its key. references: where it may be, beside where it was. An element that somebody else wrote, before or
    since, stays. So do all where the server keeps no versions to tell, or refuses a Patient without them. One that is
    not found, or replaced by another, is not written, and may be used again.
    Raises VersionConflict when somebody else writes the Patient at the same moment.
    """
    places = sorted({*references, state.resource} - {""}, key=lambda one: (one != state.resource, one))
    found = usable(one for one in await fhir.read_each(places) if one is not None)
    stored, identity = next(((one, its) for one in found if (its := _identity(one, patient, rules))), (None, None))
    if stored is None or identity is None or is_replaced(stored):
        return TakenBack(is_done=False)
    as_written = await _as_written(fhir, stored, of_resource(state, reference(stored)))
    laid = without_demographics(stored, as_written, identity, state.unprovided)
    if same_content(laid, stored):
        return TakenBack(is_done=True)
    entries = [Entry.update(laid, stored)]
    try:
        answers = await fhir.transact(entries)
    except Rejected:
        return TakenBack(is_done=True)
    return TakenBack(is_done=True, written=written_by(entries, answers, fhir.clock.now_s)["Patient"])


def of_resource(state: PatientState, resource: str) -> PatientState:
    """Pure: the state for a Patient that may be another one than before: then nothing in it is known to be ours."""
    if state.resource in ("", resource):
        return state
    return replace(state, birth_date_is_ours=False, ours=(), resource="", written=None)


def _identity(stored: Resource, patient: str, rules: PatientRules) -> ByIdentifier | None:
    """The identity whose key it is; None where the resource is somebody else."""
    identities = (
        by_identifier("Patient", system, value, former)
        for system, value in identifiers_of(stored)
        for former in ((), rules.former_systems if system == rules.system else ())
    )
    return next((one for one in identities if one.key == patient), None)


async def _as_written(fhir: FhirClient, stored: Resource, state: PatientState) -> Resource:
    """The elements that this app wrote, as it wrote them last."""
    if state.written is None:
        return {}
    versions: Sequence[Resource | None] = [stored]
    if not is_version(stored, state.written):
        versions = await fhir.history(reference(stored))
    version = next((one for one in versions if one is not None and is_version(one, state.written)), {})
    return {name: value for name, value in version.items() if name in state.ours}
