"""Find out which sources have a study, so that one that gives it up takes nothing from another."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.dicom.values import Dataset
from shared.fhir.bundle import reference
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import EndpointByName, Resource
from shared.fhir.ownership import source_of
from shared.mapping.endpoint import endpoint_identity
from shared.mapping.moved import Addresses
from shared.mapping.sources import (
    OF_UNLISTED,
    Holders,
    Shared,
    Source,
    holders_of,
    is_marked,
    services,
    union,
    united,
)
from shared.model import DEFAULT_PARTITION, InstanceKey, StudyKey
from shared.storage.study_state import StudyStateStore
from shared.sync.delta import PatientContent, StudyDelta
from shared.sync.ledger import Ledger, any_there, counted, digest, series_digest
from shared.sync.look import Look

SCHEMES = ("http://", "https://")
ENDPOINT = re.compile(r"Endpoint/[A-Za-z0-9.-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a study before a pass. adopted: all that is stored counts as written for it."""

    study: StudyKey
    ledger: Ledger
    adopted: bool


async def shared_by(
    states: StudyStateStore,
    fhir: FhirClient,
    addresses: Addresses,
    known: Known,
    stored: Resource | None,
    delta: StudyDelta,
) -> Shared | None:
    """The sources of a study after a look at one of them; None where that one alone has it, and is not in a data
    partition, or where somebody else created the study: then nothing names sources.

    addresses: of the DICOM service of this app.
    """
    service = addresses.present
    source = Source(service, known.study.partition_name)
    is_default = source.partition == DEFAULT_PARTITION
    if stored is None:
        return None if is_default else _after({}, source, delta)
    if is_marked(stored):
        holders = holders_of(stored)
        named = services(union(holders.values()))
        others = await _others(fhir, service, stored, named)
        others |= await _moved(fhir, stored, addresses, named - {service, *others}, others)
        return _after(holders, source, delta, others)
    referred = map(addresses.current, await _referred(fhir, service, stored))
    others = await _others(fhir, service, stored, {source_of(stored), *referred})
    remembered = {source.name: known.ledger}
    if not known.adopted and (not is_default or _is_leaving(delta)):
        remembered |= await _ledgers_of_others(states, known.study, service)
    if is_default and not others and len(remembered) == 1:
        return None
    owner = source.name if known.adopted else service if source_of(stored) == service else ""
    return _after(_before_sources_were_named(stored, owner, remembered, others), source, delta, others)


def represented(look: Look, shared: Shared | None) -> tuple[StudyDelta, Mapping[InstanceKey, Dataset] | None]:
    """What of a look is written, and the dose reports in it: all, where no other source has the study."""
    delta, reports = look.delta, look.reports
    if shared is None:
        return delta, reports
    delta = replace(delta, content=shared.represented(delta.content), gone=shared.removed(delta.gone))
    if not shared.is_first:
        delta = replace(delta, patient=PatientContent(), representatives=(), strays=frozenset())
    return delta, None if reports is None else {key: row for key, row in reports.items() if shared.provides(key)}


def _after(before: Holders, source: Source, delta: StudyDelta, others: Mapping[str, str] | None = None) -> Shared:
    there = [InstanceKey(uid, sop) for uid, series in delta.content.series.items() for sop in series.instances]
    left = counted(delta.ledger)
    unlisted = (key for key in before if key.sop_instance_uid == OF_UNLISTED)
    emptied = [key for key in unlisted if not left[series_digest(key.series_instance_uid)]]
    return Shared(source, united(before, source, there, {*delta.gone, *emptied}), before, frozenset(others or ()))


def _is_leaving(delta: StudyDelta) -> bool:
    return bool(delta.gone) or not any_there(delta.ledger)


async def _others(fhir: FhirClient, service: str, stored: Resource, named: set[str]) -> dict[str, str]:
    """The other services that apps like this one write for, each with its Endpoint: those that the study refers to."""
    referred = {str(row.get("reference")) for row in stored.get("endpoint", [])}
    if not referred:
        return {}
    identities = {one: _endpoint_at(one) for one in sorted(named - {service})}
    found = {one: await fhir.find(identity) for one, identity in identities.items() if identity is not None}
    endpoints = {one: reference(endpoint) for one, endpoint in found.items() if endpoint is not None}
    return {one: endpoint for one, endpoint in endpoints.items() if endpoint in referred}


async def _moved(
    fhir: FhirClient, stored: Resource, addresses: Addresses, unknown: set[str], others: Mapping[str, str]
) -> dict[str, str]:
    """The services that a study names by an address that no Endpoint has: those that moved and did not look since.
    Only apps like this one name sources, and each refers to its Endpoint, which has another address by now.
    """
    if not unknown:
        return {}
    moved = [
        endpoint
        for address, endpoint in (await _referred(fhir, addresses.present, stored)).items()
        if addresses.current(address) != addresses.present and endpoint not in others.values()
    ]
    return dict.fromkeys(unknown, moved[0]) if moved else {}


async def _referred(fhir: FhirClient, service: str, stored: Resource) -> dict[str, str]:
    """The services whose Endpoints, as apps like this one write them, a study refers to that others may have, too: one
    that refers to several, or one of somebody else. Each with its Endpoint.
    """
    referred = {str(row.get("reference")) for row in stored.get("endpoint", [])}
    if len(referred) < 2 and source_of(stored) == service:
        return {}
    named = sorted(one for one in referred if ENDPOINT.fullmatch(one))
    found = {str(one.get("address")): one for one in await fhir.read_each(named) if one is not None}
    identities = {address: _endpoint_at(address) for address in found}
    return {
        address: reference(found[address])
        for address, identity in identities.items()
        if identity and identity.matches(found[address])
    }


def _endpoint_at(address: str) -> EndpointByName | None:
    """The Endpoint that an app like this one writes for an address, which may be any text; None where it is no URL."""
    try:
        return endpoint_identity(address) if address.startswith(SCHEMES) else None
    except ValueError:
        return None


async def _ledgers_of_others(states: StudyStateStore, study: StudyKey, service: str) -> dict[str, Ledger]:
    """The ledgers of the study in other data partitions."""
    rows = [one for one in await states.partitions_of(study.study_instance_uid) if one != study]
    return {Source(service, one.partition_name).name: (await states.get(one)).ledger for one in rows}


def _before_sources_were_named(
    stored: Resource, owner: str, remembered: Mapping[str, Ledger], others: Mapping[str, str]
) -> Holders:
    """The sources of each instance of a study that names none: it is that of one service without data partitions, or
    was written by a version of this app that did not name them. Then the ledgers tell, and the Endpoint at the series.

    owner: the source that has what nothing else tells; empty where it is somebody else's.
    """
    endpoints = {
        series["uid"]: {str(row.get("reference")) for row in series.get("endpoint", [])}
        for series in stored.get("series", [])
    }
    found = {}
    for key, said in holders_of(stored).items():
        if key.sop_instance_uid == OF_UNLISTED:
            found[key] = said
            continue
        name = digest(key)
        names = {source for source, known in remembered.items() if name in known and known[name].is_there}
        names |= {one for one, endpoint in others.items() if endpoint in endpoints[key.series_instance_uid]}
        if owner and not names:
            names.add(owner)
        found[key] = frozenset(names)
    return found
