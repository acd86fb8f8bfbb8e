"""The key that ids are made with: random, and kept in the FHIR server, since it is for all apps that write there.

It stands in a Device of this app under a fixed id. Without it an id would tell whose it is to anybody who can guess a
PatientID. Its first version counts, so two apps that begin at once agree, and one that a person changed is put back.
"""

import hmac
import secrets
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from shared.errors import VersionConflict
from shared.fhir.bundle import version_of
from shared.fhir.identifiers import Identity, Resource
from shared.single_flight import SingleFlight

DEVICE = "Device"
KEY_ID = "dicom-fhir-sync"
KEY_REFERENCE = f"{DEVICE}/{KEY_ID}"
KEY_SYSTEM = "urn:uuid:0c6e0f0e-9b0f-5d0c-8f5e-5b1c7a4d2e90"
KEY_NAME = "dicom-fhir-sync: the key of the ids that this app chooses. Do not delete it"
KEY_BYTES = 32
TRIES = 5

History = Callable[[str], Awaitable[list[Resource | None]]]
ReadEach = Callable[[Sequence[str]], Awaitable[list[Resource | None]]]
Put = Callable[[Resource, str], Awaitable[None]]


def id_of(key: str, identity: Identity, number: int = 0) -> str:
    """`Type/id` of the resource with this identity; the id has the form of a UUID.

    number: of ids before this one that hold resources of other identities.
    """
    said = f"{identity.resource_type} {identity.key}" + (f" {number}" if number else "")
    digest = hmac.digest(key.encode(), said.encode(), "sha256")
    return f"{identity.resource_type}/{uuid.UUID(bytes=digest[:16])}"


def key_in(device: Resource | None) -> str | None:
    """The key that a version of the Device holds."""
    rows = device.get("identifier") if device else None
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("system") == KEY_SYSTEM and row.get("value"):
            return str(row["value"])
    return None


class IdKey:
    """Reads the key once; makes it where there is none."""

    def __init__(self, history: History, read_each: ReadEach, put: Put) -> None:
        self._history = history
        self._read_each = read_each
        self._put = put
        self._key: str | None = None
        self._asking: SingleFlight[str] = SingleFlight()

    async def get(self) -> str:
        """The key. Raises VersionConflict while others go on changing it."""
        if self._key is None:
            self._key = await self._asking.run(self._find)
        return self._key

    def forget(self) -> None:
        """Read it again: the Device holds another one, or is gone."""
        self._key = None

    async def _find(self) -> str:
        for _ in range(TRIES):
            versions = await self._history(KEY_REFERENCE)
            (now,) = versions[:1] or await self._read_each([KEY_REFERENCE])
            if (key := _first(versions or [now])) is not None and key_in(now) == key:
                return key
            with suppress(VersionConflict):
                await self._put(_device(now, key or secrets.token_hex(KEY_BYTES)), version_of(now or {}))
        raise VersionConflict("the key of this app's resource ids keeps changing")


def _first(versions: Sequence[Resource | None]) -> str | None:
    return next((key for key in map(key_in, reversed(versions)) if key), None)


def _device(stored: Resource | None, key: str) -> Resource:
    """The Device with this key; what others say of it stays."""
    before: dict[str, Any] = stored or {"resourceType": DEVICE, "id": KEY_ID}
    rows = before.get("identifier")
    theirs = [
        row
        for row in (rows if isinstance(rows, list) else [])
        if not (isinstance(row, dict) and row.get("system") == KEY_SYSTEM)
    ]
    ours = {"type": {"text": "key of ids"}, "system": KEY_SYSTEM, "value": key}
    name = {"name": KEY_NAME, "type": "user-friendly-name"}
    return {**before, "identifier": [*theirs, ours], "deviceName": before.get("deviceName", [name])}
