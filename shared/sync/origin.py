"""Absence is believed only from the service that the checkpoint came from: it takes resources out of FHIR."""

from shared.dicom.client import DicomClient, is_about_the_question
from shared.dicom.origin import check_reset, check_same
from shared.errors import SyncError, TransientError
from shared.single_flight import SingleFlight
from shared.storage.checkpoint import CheckpointStore


class Origin:
    """Asks the DICOM service for the entry of the change feed that the checkpoint remembers. One per worker process."""

    def __init__(self, dicom: DicomClient, checkpoints: CheckpointStore) -> None:
        self._dicom = dicom
        self._checkpoints = checkpoints
        self._asking: SingleFlight[int] = SingleFlight()
        self._begun = 0
        self._answered = 0

    async def confirm(self, seen_at: int) -> None:
        """Raise unless the service is the one that the checkpoint came from.

        It is asked after this call began, since the address may lead elsewhere from one moment to the next; one answer
        is shared by all who wait for it.

        seen_at: a sequence that the change feed is known to have had.

        Raises Misconfigured (`feed-reset`) when it is another service, TransientError (`unconfirmed`) when it does not
        say so, or when no poll has succeeded yet.
        """
        wanted = self._begun + 1
        known = 0
        while self._answered < wanted:
            known = await self._asking.run(self._ask)
        if seen_at > known:  # the checkpoint was deleted, so that the feed is read once more
            check_reset(await self._latest(), seen_at)

    async def _ask(self) -> int:
        self._begun += 1
        number = self._begun
        try:
            known = (await self._checkpoints.get()).fingerprint
            if known is None:
                raise _unconfirmed("no poll has read the change feed yet")
            await check_same(self._dicom, known)
        except SyncError as error:
            raise _not_damage(error) from None
        self._answered = number
        return known.sequence

    async def _latest(self) -> int:
        try:
            return await self._dicom.latest_sequence()
        except SyncError as error:
            raise _not_damage(error) from None


def _not_damage(error: SyncError) -> SyncError:
    """The error for a whole message where it would be taken for damage of the instance that was asked for."""
    return _unconfirmed(str(error)) if is_about_the_question(error) else error


def _unconfirmed(why: str) -> TransientError:
    text = (
        f"instances are missing in DICOM, and it is not known whether this is the service that was read so far: {why}"
    )
    return TransientError(text, code="unconfirmed")
