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
from shared.fhir.ownership import Element, lay_shared, put, replace_owned
from shared.fhir.systems import ACCESSION_ID, DICOM_UID, IDENTIFIER_TYPE
from shared.mapping.device import Equipment, equipment_of
from shared.mapping.dose.report import may_be_dose_report
from shared.mapping.element_layer import attributes_of, is_ours, lay_rows, unmarked, values_of
from shared.mapping.imaging_study import INSTANCE_ROWS, SERIES_ROWS, STUDY_ROWS
from shared.mapping.patient import demographics
from shared.mapping.provides import DEVICE, STUDY_ID
from shared.mapping.series_layer import MARK, OF_IMAGES, Links, lay_series, order_of, with_endpoint, without_instances
from shared.mapping.study_identifiers import distinct, lacks, request_digest, requests_of, study_id_identifiers
from shared.mapping.table import elements
from shared.mapping.unlisted import EVERYTHING, Listing, number_in
from shared.model import Finding, InstanceKey

# what somebody else set and what DICOM cannot know (https://hl7.org/fhir/R4/valueset-imagingstudy-status.html)
RETIRED = ("cancelled", "entered-in-error")


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
) -> Laid:
    """`stored` with all of `content` laid over it and the `gone` instances taken out."""
    findings: dict[InstanceKey, list[Finding]] = {}
    result = deepcopy(stored)
    result = _lay_study_level(result, content, default_zone, findings)
    if links.subject is not None:
        result["subject"] = _reference(result.get("subject"), links.subject)
    series = {row["uid"]: row for row in result.get("series", [])}
    for uid, series_content in content.series.items():
        of_series = series.get(uid, {"uid": uid})
        series[uid] = lay_series(of_series, series_content, links, default_zone, findings, lists=listing.lists)
    rows = [row for row in (without_instances(row, gone, listing) for row in series.values()) if row is not None]
    put(result, "series", sorted(rows, key=order_of))
    put(result, "endpoint", with_endpoint(result.get("endpoint", []), links.endpoint))
    _count(result, _foreign_modalities(stored))
    return Laid(result if rows else None, findings)


def without_our_part(stored: Resource, endpoint: str) -> Resource:
    """An ImagingStudy in which no instance of ours is left, and what others put there: our elements go as well."""
    result = lay_rows(stored, STUDY_ROWS, dict.fromkeys(row.name for row in STUDY_ROWS), MARK)
    put(result, "basedOn", lay_shared(stored.get("basedOn"), None, MARK))
    identifiers = [row for row in stored.get("identifier", []) if not _is_our_accession(row)]
    put(result, "identifier", lay_shared(identifiers, None, MARK))
    put(result, "note", [note for note in stored.get("note", []) if not _is_our_note(stored, note)])
    put(result, "endpoint", [row for row in stored.get("endpoint", []) if row.get("reference") != endpoint])
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


def _lay_study_level(
    stored: Resource, content: StudyContent, default_zone: str, findings: dict[InstanceKey, list[Finding]]
) -> Resource:
    values = values_of(STUDY_ROWS, content.elements, default_zone, findings)
    result = lay_rows(stored, STUDY_ROWS, values, MARK)
    if stored.get("status") not in RETIRED:
        result["status"] = "available"
    requests = _requests(stored, content, findings)
    identifiers = replace_owned(stored.get("identifier", []), requests, _is_our_accession)
    study_ids = [unmarked(row) for row in identifiers if is_ours(row, MARK)]
    if STUDY_ID in content.elements:
        dataset = content.elements[STUDY_ID]
        study_ids = study_id_identifiers(attributes_of(dataset, findings)) if dataset else []
    identifiers = lay_shared(identifiers, study_ids, f"{MARK}study-id")
    put(result, "identifier", identifiers)
    orders = [{"type": "ServiceRequest", "identifier": request} for request in requests]
    put(result, "basedOn", lay_shared(stored.get("basedOn"), orders, f"{MARK}basedOn"))
    if "description" in values:
        notes = [{"text": values["description"]}] if values["description"] else []
        put(result, "note", replace_owned(stored.get("note", []), notes, lambda note: _is_our_note(stored, note)))
    return result


def _requests(stored: Resource, content: StudyContent, findings: dict[InstanceKey, list[Finding]]) -> list[Element]:
    """The accession numbers of all instances: those that are stored and still named, and those that were read."""
    uids = [row["value"] for row in stored["identifier"] if row.get("system") == DICOM_UID and "value" in row]
    study_instance_uid = next(iter(uids), "").removeprefix("urn:oid:")
    known = [row for row in stored["identifier"] if _is_our_accession(row) and "value" in row]
    read = [one for dataset in content.requesting for one in requests_of(attributes_of(dataset, findings))]
    found = [
        one
        for one in (*known, *read)
        if content.requests is None or request_digest(study_instance_uid, one) in content.requests
    ]
    return sorted(distinct(found), key=lambda one: (one["value"], str(one.get("assigner"))))


def _is_our_accession(identifier: Element) -> bool:
    codings = identifier.get("type", {}).get("coding", [])
    return "system" not in identifier and any(
        (coding.get("system"), coding.get("code")) == (IDENTIFIER_TYPE, ACCESSION_ID) for coding in codings
    )


def _is_our_note(stored: Resource, note: Element) -> bool:
    """A bare text equal to the description that we wrote beside it."""
    return note == {"text": stored.get("description")}


def _foreign_modalities(stored: Resource) -> list[Element]:
    """Modalities of the study that none of its series has: somebody else's."""
    of_series = {_coding(row["modality"]) for row in stored.get("series", []) if "modality" in row}
    return [row for row in stored.get("modality", []) if _coding(row) not in of_series]


def _count(result: Resource, foreign_modalities: list[Element]) -> None:
    for series in result.get("series", []):
        if number := number_in(series):
            series["numberOfInstances"] = number
    rows = result.get("series", [])
    result["numberOfSeries"] = len(rows)
    result["numberOfInstances"] = sum(row.get("numberOfInstances", 0) for row in rows)
    modalities = {_coding(row): row for row in foreign_modalities}
    modalities |= {_coding(row["modality"]): row["modality"] for row in rows if "modality" in row}
    put(result, "modality", [modalities[coding] for coding in sorted(modalities)])


def _coding(modality: Element) -> tuple[str, str]:
    return modality.get("code", ""), modality.get("system", "")


def _reference(stored: Element | None, ours: str) -> Element:
    # a server or somebody else may have added a display to the reference that we wrote
    return stored if stored and stored.get("reference") == ours else {"reference": ours}
