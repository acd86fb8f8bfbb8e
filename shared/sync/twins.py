"""Take back what was created twice. It can happen where a server searches and inserts without a lock, when a worker is
paused for longer than its claims last, in the moment before it sends, and wakes up while another one creates.

Both then move the same state row on. The one that comes too late finds itself overtaken, and gives way.
"""

from shared.errors import VersionConflict
from shared.fhir.bundle import Entry, reference
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import Identity
from shared.sync.others import OtherStudies

PATIENT = "Patient"
TRIES = 5  # while others change it


async def give_way(fhir: FhirClient, created: dict[str, Identity], others: OtherStudies) -> bool:
    """Delete each of these, by `Type/id`, that somebody else created too; whether there was any. Studies that found
    ours first look again.
    """
    twins = 0
    for own, identity in reversed(created.items()):  # what refers to others was created after them
        for left in reversed(range(TRIES)):
            try:
                twins += await _give_way(fhir, own, identity, others)
                break
            except VersionConflict:
                if not left:
                    raise
    return twins > 0


async def _give_way(fhir: FhirClient, own: str, identity: Identity, others: OtherStudies) -> bool:
    same = {reference(hit): hit for hit in await fhir.find_all(identity)}
    if own not in same or len(same) == 1:
        return False
    if identity.resource_type == PATIENT:
        await others.of_patient(own)
    await fhir.transact([Entry.delete(same[own])])
    return True
