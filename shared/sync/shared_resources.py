"""Resources that many studies refer to and that hardly ever change: the Endpoint and the Devices. Known ones are
remembered for ten minutes.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple
from weakref import WeakValueDictionary

from shared.errors import AmbiguousMatch
from shared.fhir.bundle import Entry, reference
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import ByIdentifier, EndpointByName, Identity, Resource
from shared.fhir.ownership import same_content
from shared.mapping.device import Equipment, new_device
from shared.mapping.dose.observations import DoseContent
from shared.mapping.endpoint import lay_endpoint, new_endpoint
from shared.mapping.moved import Addresses
from shared.mapping.study_layer import equipment_by_series
from shared.single_flight import SingleFlight
from shared.sync.delta import StudyDelta

# some servers take references to what is gone; after this time it is noticed
REMEMBERED_S = 600.0
Found = dict[Identity, Resource]


class EndpointLink(NamedTuple):
    """The Endpoint of the DICOM service as others refer to it. entries: what brings it there or up to date. former:
    references to Endpoints of the same service, from the time before this one.
    """

    reference: str
    entries: tuple[Entry, ...] = ()
    former: frozenset[str] = frozenset()


class SharedResources:
    """References by what they stand for."""

    def __init__(self, fhir: FhirClient, addresses: Addresses) -> None:
        self._fhir = fhir
        self._addresses = addresses
        self._endpoint: EndpointLink | None = None
        self._devices: dict[Equipment, str] = {}
        self._since = time.monotonic()
        # one search for each set of them, however many passes of a new worker begin at once
        self._searches: WeakValueDictionary[frozenset[Identity], SingleFlight[Found]] = WeakValueDictionary()
        self._endpoints: SingleFlight[EndpointLink] = SingleFlight()

    def forget(self) -> None:
        """Look for them again: a write was refused, one may be gone."""
        self._endpoint = None
        self._devices.clear()
        self._since = time.monotonic()

    async def endpoint(self) -> EndpointLink:
        """Where it is missing, or stands under a former address, with the entry that changes that."""
        if time.monotonic() - self._since > REMEMBERED_S:
            self.forget()
        return self._endpoint or await self._endpoints.run(self._look_for_endpoint)

    async def _look_for_endpoint(self) -> EndpointLink:
        identity, present = self._addresses.endpoint_identity, self._addresses.present
        hits = await self._fhir.find_all(identity)
        if not hits:
            entry = Entry.create(identity, new_endpoint(present))
            return EndpointLink(entry.target, (entry,))
        stored = _newest(identity, hits)
        laid = lay_endpoint(stored, present, self._addresses.former)
        former = frozenset(map(reference, hits)) - {reference(stored)}
        link = EndpointLink(reference(stored), former=former)
        if not same_content(laid, stored):
            return link._replace(entries=(Entry.update(laid, stored),))
        self._endpoint = link
        return link

    async def look_for(self, sought: Mapping[Equipment, ByIdentifier]) -> dict[Identity, Resource]:
        """The Devices of these that are there."""
        return await self._search(sought.values(), lambda: self._look_for_devices(sought)) if sought else {}

    async def _search(self, identities: Collection[Identity], search: Callable[[], Awaitable[Found]]) -> Found:
        flight = self._searches.setdefault(frozenset(identities), SingleFlight())
        return await flight.run(search)

    async def _look_for_devices(self, sought: Mapping[Equipment, ByIdentifier]) -> Found:
        """All with one search. Of duplicates, which nobody here makes, the one with the lowest id."""
        hits = sorted(await self._fhir.find_any(list(sought.values())), key=lambda hit: str(hit["id"]), reverse=True)
        found: Found = {identity: hit for hit in hits for identity in sought.values() if identity.matches(hit)}
        self._devices |= {one: reference(found[key]) for one, key in sought.items() if key in found}
        return found

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
        if endpoint in created:
            self._endpoint = EndpointLink(created[endpoint])
        self._devices |= {one: created[target] for one, target in devices.items() if target in created}


def equipment_in(delta: StudyDelta, dose: DoseContent | None) -> list[Equipment]:
    """Every equipment that something refers to."""
    of_reports = [one.equipment for one in (dose.observations if dose else ()) if one.equipment]
    return list(dict.fromkeys([*equipment_by_series(delta.content).values(), *of_reports]))


def _newest(identity: EndpointByName, hits: Collection[Resource]) -> Resource:
    """The Endpoint under the newest name that any of them has. Raises AmbiguousMatch where several have that name."""
    for name in (identity.name, *reversed(identity.former_names)):
        found = [hit for hit in hits if hit.get("name") == name]
        if len(found) > 1:
            raise AmbiguousMatch(f"{len(found)} Endpoint resources have the same identity")
        if found:
            return found[0]
    raise ValueError("no Endpoint of this identity")
