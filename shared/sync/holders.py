"""Find out which sources have a study, so that one that gives it up takes nothing from another."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.dicom.values import Dataset
from shared.fhir.bundle import reference
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import Resource
from shared.fhir.ownership import source_of
from shared.mapping.endpoint import endpoint_identity
from shared.mapping.sources import Holders, Shared, Source, holders_of, is_marked, services, union, united
from shared.model import DEFAULT_PARTITION, InstanceKey, StudyKey
from shared.storage.study_state import StudyStateStore
from shared.sync import marks
from shared.sync.look import Look
from shared.sync.view import View

SCHEMES = ("http://", "https://")
ENDPOINT = re.compile(r"Endpoint/[A-Za-z0-9.-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a study before a pass. adopted: all that is stored counts as written for it."""

    study: StudyKey
    marks: marks.Marks
    adopted: bool


async def shared_by(
    states: StudyStateStore, fhir: FhirClient, service: str, known: Known, stored: Resource | None, view: View
) -> Shared | None:
    """The sources of a study after a look at one of them; None where that one alone has it, and is not in a data
    partition, or where somebody else created the study: then nothing names sources.

    service: the DICOM service of this app, as in `meta.source`.
    """
    source = Source(service, known.study.partition_name)
    is_default = source.partition == DEFAULT_PARTITION
    if stored is None:
        return None if is_default else _after({}, source, view)
    if is_marked(stored):
        holders = holders_of(stored)
        return _after(holders, source, view, await _others(fhir, service, stored, services(union(holders.values()))))
    others = await _others(fhir, service, stored, {source_of(stored), *await _referred(fhir, stored)})
    remembered = {source.name: known.marks}
    if not known.adopted and (not is_default or _is_leaving(view)):
        remembered |= await _marks_of_others(states, known.study, service)
    if is_default and not others and len(remembered) == 1:
        return None
    owner = source.name if known.adopted else service if source_of(stored) == service else ""
    return _after(_before_sources_were_named(stored, owner, remembered, others), source, view, others)


def represented(look: Look, shared: Shared | None) -> tuple[View, Mapping[InstanceKey, Dataset] | None]:
    """What of a look is written, and the dose reports in it: all, where no other source has the study."""
    view, reports = look.view, look.reports
    if shared is None:
        return view, reports
    content = shared.represented(view.content)
    newest = view.newest if content.newest is not None else None
    mine = None if reports is None else {key: row for key, row in reports.items() if shared.provides(key)}
    return replace(view, content=content, gone=shared.removed(view.gone), newest=newest), mine


def _after(before: Holders, source: Source, view: View, others: Mapping[str, str] | None = None) -> Shared:
    there = [InstanceKey(uid, sop) for uid, series in view.content.series.items() for sop in series.instances]
    return Shared(source, united(before, source, there, view.gone), before, frozenset(others or ()))


def _is_leaving(view: View) -> bool:
    return bool(view.gone) or not any(map(marks.is_there, view.marks.values()))


async def _others(fhir: FhirClient, service: str, stored: Resource, named: set[str]) -> dict[str, str]:
    """The other services that apps like this one write for, each with its Endpoint: those that the study refers to."""
    referred = {str(row.get("reference")) for row in stored.get("endpoint", [])}
    if not referred:
        return {}
    identities = {one: endpoint_identity(one) for one in sorted(named - {service}) if one.startswith(SCHEMES)}
    found = {one: await fhir.find(identity) for one, identity in identities.items()}
    endpoints = {one: reference(endpoint) for one, endpoint in found.items() if endpoint is not None}
    return {one: endpoint for one, endpoint in endpoints.items() if endpoint in referred}


async def _referred(fhir: FhirClient, stored: Resource) -> set[str]:
    """The services whose Endpoints, as apps like this one write them, a study of several refers to."""
    referred = {str(row.get("reference")) for row in stored.get("endpoint", [])}
    if len(referred) < 2:
        return set()
    named = sorted(one for one in referred if ENDPOINT.fullmatch(one))
    found = {str(one.get("address")): one for one in await fhir.read_each(named) if one is not None}
    return {
        address
        for address, one in found.items()
        if address.startswith(SCHEMES) and endpoint_identity(address).matches(one)
    }


async def _marks_of_others(states: StudyStateStore, study: StudyKey, service: str) -> dict[str, marks.Marks]:
    """The marks of the study in other data partitions."""
    rows = [one for one in await states.partitions_of(study.study_instance_uid) if one != study]
    return {Source(service, one.partition_name).name: (await states.get(one)).marks for one in rows}


def _before_sources_were_named(
    stored: Resource, owner: str, remembered: Mapping[str, marks.Marks], others: Mapping[str, str]
) -> Holders:
    """The sources of each instance of a study that names none: it is that of one service without data partitions, or
    was written by a version of this app that did not name them. Then the marks tell, and the Endpoint at the series.

    owner: the source that has what nothing else tells; empty where it is somebody else's.
    """
    endpoints = {
        series["uid"]: {str(row.get("reference")) for row in series.get("endpoint", [])}
        for series in stored.get("series", [])
    }
    found = {}
    for key in holders_of(stored):
        name = marks.digest(key)
        names = {source for source, known in remembered.items() if marks.is_there(known.get(name, marks.UNKNOWN))}
        names |= {one for one, endpoint in others.items() if endpoint in endpoints[key.series_instance_uid]}
        if owner and not names:
            names.add(owner)
        found[key] = frozenset(names)
    return found
