"""Resources that many studies refer to and that never change: the Endpoint and the Devices. Known ones are remembered
for ten minutes.
"""

import time
from collections.abc import Collection, Mapping

from shared.fhir.bundle import Entry, reference
from shared.fhir.identifiers import ByIdentifier, Identity, Resource
from shared.mapping.device import Equipment, new_device
from shared.mapping.endpoint import check_address, endpoint_identity, new_endpoint
from shared.sync.claiming import Claims

# some servers take references to what is gone; after this time it is noticed
REMEMBERED_S = 600.0


class SharedResources:
    """References by what they stand for."""

    def __init__(self, dicom_endpoint: str) -> None:
        self._dicom_endpoint = dicom_endpoint
        self._endpoint: str | None = None
        self._devices: dict[Equipment, str] = {}
        self._since = time.monotonic()

    @property
    def remembers(self) -> bool:
        """Whether anything is known that may be gone by now."""
        return self._endpoint is not None or bool(self._devices)

    def forget(self) -> None:
        """Look for them again: a write was refused, one may be gone."""
        self._endpoint = None
        self._devices.clear()
        self._since = time.monotonic()

    async def endpoint(self, claims: Claims) -> tuple[str, list[Entry]]:
        """Its reference, and the entry that creates it where it is missing."""
        if time.monotonic() - self._since > REMEMBERED_S:
            self.forget()
        if self._endpoint is not None:
            return self._endpoint, []
        stored = await claims.find(endpoint_identity(self._dicom_endpoint), likely_new=False)
        if stored is None:
            entry = Entry.create(endpoint_identity(self._dicom_endpoint), new_endpoint(self._dicom_endpoint))
            return entry.target, [entry]
        check_address(stored, self._dicom_endpoint)
        self._endpoint = reference(stored)
        return self._endpoint, []

    def known(self, wanted: Collection[Equipment]) -> dict[Equipment, str]:
        """A reference for each equipment whose Device does not have to be looked for. To be asked once in a pass:
        another one may forget them at any moment.
        """
        return {one: self._devices[one] for one in wanted if one in self._devices}

    def devices(
        self, sought: Mapping[Equipment, ByIdentifier], found: Mapping[Identity, Resource]
    ) -> tuple[dict[Equipment, str], list[Entry]]:
        """A reference for each equipment that was looked for, and the entries that create those not found."""
        there = {one: reference(found[key]) for one, key in sought.items() if key in found}
        self._devices |= there
        entries = {one: Entry.create(key, new_device(one)) for one, key in sought.items() if key not in found}
        return there | {one: entry.target for one, entry in entries.items()}, list(entries.values())

    def learn(self, devices: Mapping[Equipment, str], endpoint: str, created: Mapping[str, str]) -> None:
        """Remember what a transaction created; `created` is the reference by full URL."""
        self._endpoint = created.get(endpoint, self._endpoint)
        self._devices |= {one: created[target] for one, target in devices.items() if target in created}
