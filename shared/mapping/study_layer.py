"""Pure: lay what DICOM says of a study over the stored ImagingStudy, series and instances included.

Elements and list items of others stay. Series and instances are ordered by number and UID, so that the order in which
they arrived is not seen.
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from shared.dicom.study import StudyContent
from shared.dicom.values import Attributes
from shared.fhir.identifiers import ByIdentifier, Resource
from shared.fhir.ownership import Element, as_text, lay_shared, put, put_shared, replace_owned, take_back
from shared.mapping.device import Equipment, equipment_of
from shared.mapping.dose.report import may_be_dose_report
from shared.mapping.element_layer import attributes_of, is_ours, lay_rows, unmarked, values_of
from shared.mapping.foreign_study import as_others_wrote, coding_of, count, series_left
from shared.mapping.imaging_study import INSTANCE_ROWS, SERIES_ROWS, STUDY_ROWS
from shared.mapping.patient import demographics
from shared.mapping.provides import DEVICE, STUDY_ID
from shared.mapping.series_layer import (
    MARK,
    OF_IMAGES,
    Links,
    by_uid,
    lay_series,
    new_row,
    order_of,
    with_endpoint,
    without_instances,
)
from shared.mapping.study_identifiers import (
    ACCESSION,
    distinct,
    is_bare_accession,
    lacks,
    request_digest,
    requests_of,
    study_id_identifiers,
    uid_of,
)
from shared.mapping.table import elements
from shared.mapping.unlisted import EVERYTHING, Listing, number_in, unlisted_in
from shared.model import Finding, InstanceKey

# what somebody else set and what DICOM cannot know (https://hl7.org/fhir/R4/valueset-imagingstudy-status.html)
RETIRED = ("cancelled", "entered-in-error")
OF_STUDY_ID = f"{MARK}study-id"


@dataclass(frozen=True, slots=True)
class Laid:
    """The ImagingStudy as it should be, None when nothing is left in it, and what was found in each instance."""

    resource: Resource | None
    findings: Mapping[InstanceKey, Collection[Finding]]


def new_study(identity: ByIdentifier, source: str) -> Resource:
    """What an ImagingStudy of ours begins with."""
    return {
        "resourceType": "ImagingStudy",
        "meta": {"source": source},
        "identifier": [{"system": identity.system, "value": identity.value}],
        "status": "available",
    }


def lay_study(
    stored: Resource,
    content: StudyContent,
    gone: Collection[InstanceKey],
    links: Links,
    default_zone: str,
    listing: Listing = EVERYTHING,
    *,
    in_dicom: Collection[str] | None = None,
    is_theirs: bool = False,
) -> Laid:
    """`stored` with all of `content` laid over it and the `gone` instances taken out.

    in_dicom: the series that DICOM has something of, None where all that are left count. is_theirs: somebody else wrote
    `stored`, so all that this app writes there is marked.
    """
    findings: dict[InstanceKey, list[Finding]] = {}
    result = deepcopy(stored)
    result = _lay_study_level(result, content, default_zone, findings, is_theirs=is_theirs)
    if links.subject is not None and is_theirs:
        put_shared(result, "subject", {"reference": links.subject}, f"{MARK}subject")
    elif links.subject is not None:
        result["subject"] = _reference(result.get("subject"), links.subject)
    stored_rows = result.get("series", [])
    series = by_uid(stored_rows) if is_theirs else {row["uid"]: row for row in stored_rows}
    for uid, one in content.series.items():
        row = series[uid] if uid in series else new_row(uid, is_marked=is_theirs)
        of_others = is_theirs and not is_ours(row, MARK)
        series[uid] = lay_series(row, one, links, default_zone, findings, lists=listing.lists, is_theirs=of_others)
    rows = _rows_left(series, gone, listing, in_dicom, links.endpoint, is_theirs=is_theirs)
    put(result, "series", rows)
    endpoint_mark = f"{MARK}endpoint" if is_theirs else ""
    put(result, "endpoint", with_endpoint(result.get("endpoint", []), links.endpoint, endpoint_mark))
    if is_theirs:
        count(result)
    else:
        _count(result, _foreign_modalities(stored))
    return Laid(result if rows or is_theirs else None, findings)


def without_our_part(stored: Resource, endpoint: str, *, is_theirs: bool = False) -> Resource:
    """An ImagingStudy in which no instance of ours is left, and what others put there: our elements go as well."""
    if is_theirs:
        return as_others_wrote(stored)
    result = lay_rows(stored, STUDY_ROWS, dict.fromkeys(row.name for row in STUDY_ROWS), MARK)
    put(result, "basedOn", lay_shared(stored.get("basedOn"), None, MARK))
    put(result, "identifier", _identifiers_by_owner(stored, is_theirs=False)[0])
    put(result, "note", [note for note in stored.get("note", []) if not _is_our_note(stored, note)])
    put(result, "endpoint", _without_reference(stored.get("endpoint", []), endpoint))
    return result


def without_series(stored: Resource) -> Resource:
    """An ImagingStudy of which no series is left."""
    result = deepcopy(stored)
    put(result, "series", [])
    _count(result, _foreign_modalities(stored))
    return result


def keys_of(stored: Mapping[str, Any] | None) -> list[InstanceKey]:
    """The instances that an ImagingStudy lists."""
    return [
        InstanceKey(series["uid"], instance["uid"])
        for series in (stored or {}).get("series", [])
        for instance in series.get("instance", [])
    ]


def classes_of(stored: Mapping[str, Any] | None) -> dict[InstanceKey, str]:
    """SOP Class UID of each instance that an ImagingStudy lists; DICOM Cast wrote some without `urn:oid:`."""
    return {
        InstanceKey(series["uid"], instance["uid"]): instance.get("sopClass", {})
        .get("code", "")
        .removeprefix("urn:oid:")
        for series in (stored or {}).get("series", [])
        for instance in series.get("instance", [])
    }


def series_of_sides(stored: Mapping[str, Any] | None) -> set[str]:
    """Series whose laterality was made of that of all their images."""
    rows = (stored or {}).get("series", [])
    return {row["uid"] for row in rows if str(row.get("laterality", {}).get("id", "")).endswith(OF_IMAGES)}


def reports_of(stored: Mapping[str, Any] | None) -> set[InstanceKey]:
    """Instances that an ImagingStudy lists and that may be dose reports."""
    return {key for key, uid in classes_of(stored).items() if may_be_dose_report(uid)}


def findings_of(dataset: Mapping[str, Any], default_zone: str) -> list[Finding]:
    """What is found when everything that an instance says is mapped."""
    attributes = Attributes(dataset)
    lacks(attributes)
    demographics(attributes)
    requests_of(attributes)
    study_id_identifiers(attributes)
    equipment_of(attributes)
    elements((*STUDY_ROWS, *SERIES_ROWS, *INSTANCE_ROWS), attributes, default_zone)
    return attributes.findings


def equipment_by_series(content: StudyContent) -> dict[str, Equipment]:
    """The equipment of each series whose provider was read."""
    providers = {uid: series.elements.get(DEVICE) for uid, series in content.series.items()}
    found = {uid: equipment_of(Attributes(dataset)) for uid, dataset in providers.items() if dataset is not None}
    return {uid: equipment for uid, equipment in found.items() if equipment is not None}


def _rows_left(
    series: Mapping[str, Element],
    gone: Collection[InstanceKey],
    listing: Listing,
    in_dicom: Collection[str] | None,
    endpoint: str,
    *,
    is_theirs: bool,
) -> list[Element]:
    there = series.keys() if in_dicom is None else in_dicom
    if is_theirs:
        return series_left(series.values(), gone, listing, there)
    unlisted = {uid for uid, row in series.items() if listing.source in unlisted_in(row)}
    left_over = ({key.series_instance_uid for key in gone} | unlisted) - set(there)
    left = [row for row in (without_instances(row, gone, listing) for row in series.values()) if row is not None]
    return sorted((_released(row, endpoint) if row["uid"] in left_over else row for row in left), key=order_of)


def _released(series: Element, endpoint: str) -> Element:
    """A series of which only what others put there is left."""
    result = take_back(series, MARK)
    put(result, "endpoint", _without_reference(result.get("endpoint", []), endpoint))
    return result


def _without_reference(rows: list[Element], endpoint: str) -> list[Element]:
    return [row for row in rows if row.get("reference") != endpoint]


def _lay_study_level(
    stored: Resource,
    content: StudyContent,
    default_zone: str,
    findings: dict[InstanceKey, list[Finding]],
    *,
    is_theirs: bool,
) -> Resource:
    values = values_of(STUDY_ROWS, content.elements, default_zone, findings)
    result = lay_rows(stored, STUDY_ROWS, values, MARK, is_theirs=is_theirs)
    if not is_theirs and stored.get("status") not in RETIRED:
        result["status"] = "available"
    others, ours = _identifiers_by_owner(stored, is_theirs=is_theirs)
    requests = _requests(stored, ours, content, findings)
    study_ids = [unmarked(row) for row in ours if is_ours(row, OF_STUDY_ID)]
    if STUDY_ID in content.elements:
        dataset = content.elements[STUDY_ID]
        study_ids = study_id_identifiers(attributes_of(dataset, findings)) if dataset else []
    with_study_ids = lay_shared(others, study_ids, OF_STUDY_ID)
    put(result, "identifier", [*lay_shared(others, requests, ACCESSION), *with_study_ids[len(others) :]])
    orders = [{"type": "ServiceRequest", "identifier": request} for request in requests]
    put(result, "basedOn", lay_shared(stored.get("basedOn"), orders, f"{MARK}basedOn"))
    if "description" in values:
        notes = [{"text": values["description"]}] if values["description"] else []
        stored_notes = stored.get("note", [])
        if is_theirs:
            put(result, "note", lay_shared(stored_notes, notes, f"{MARK}note"))
        else:
            put(result, "note", replace_owned(stored_notes, notes, lambda note: _is_our_note(stored, note)))
    return result


def _requests(
    stored: Resource, ours: list[Element], content: StudyContent, findings: dict[InstanceKey, list[Finding]]
) -> list[Element]:
    """The accession numbers of all instances: those that are stored and still named, and those that were read."""
    known = [unmarked(row) for row in ours if is_bare_accession(row) and "value" in row]
    read = [one for dataset in content.requesting for one in requests_of(attributes_of(dataset, findings))]
    found = [
        one
        for one in (*known, *read)
        if content.requests is None or request_digest(uid_of(stored), one) in content.requests
    ]
    return sorted(distinct(found), key=lambda one: (one["value"], str(one.get("assigner"))))


def _identifiers_by_owner(stored: Resource, *, is_theirs: bool) -> tuple[list[Element], list[Element]]:
    """Those of others, and this app's: these carry the mark, or are those of our requests, since versions before this
    one marked only the requests.
    """
    orders = [] if is_theirs else [row for row in stored.get("basedOn", []) if is_ours(row, MARK)]
    requests = {as_text(row.get("identifier")) for row in orders}
    others: list[Element] = []
    ours: list[Element] = []
    for row in stored.get("identifier", []):
        (ours if is_ours(row, MARK) or as_text(row) in requests else others).append(row)
    return others, ours


def _is_our_note(stored: Resource, note: Element) -> bool:
    """A bare text equal to the description that we wrote beside it."""
    return note == {"text": stored.get("description")}


def _foreign_modalities(stored: Resource) -> list[Element]:
    """Modalities of the study that none of its series has: somebody else's."""
    of_series = {coding_of(row["modality"]) for row in stored.get("series", []) if "modality" in row}
    return [row for row in stored.get("modality", []) if coding_of(row) not in of_series]


def _count(result: Resource, foreign_modalities: list[Element]) -> None:
    for series in result.get("series", []):
        if number := number_in(series):
            series["numberOfInstances"] = number
    rows = result.get("series", [])
    result["numberOfSeries"] = len(rows)
    result["numberOfInstances"] = sum(row.get("numberOfInstances", 0) for row in rows)
    modalities = {coding_of(row): row for row in foreign_modalities}
    modalities |= {coding_of(row["modality"]): row["modality"] for row in rows if "modality" in row}
    put(result, "modality", [modalities[coding] for coding in sorted(modalities)])


def _reference(stored: Element | None, ours: str) -> Element:
    # a server or somebody else may have added a display to the reference that we wrote
    return stored if stored and stored.get("reference") == ours else {"reference": ours}
