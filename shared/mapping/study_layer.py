"""Pure: lay what DICOM says of a study over the stored ImagingStudy, series and instances included.

Elements and list items of others stay. Series and instances are ordered by number and UID, so that the order in which
they arrived is not seen.
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from shared.dicom.study import SeriesContent, StudyContent
from shared.dicom.values import Attributes
from shared.fhir.identifiers import ByIdentifier, Resource
from shared.fhir.ownership import Element, lay_shared, overlay, put, replace_owned
from shared.fhir.systems import ACCESSION_ID, IDENTIFIER_TYPE
from shared.mapping.device import Equipment, equipment_of
from shared.mapping.dose.report import may_be_dose_report
from shared.mapping.imaging_study import INSTANCE_ROWS, SERIES_ROWS, STUDY_ROWS
from shared.mapping.laterality import has_side, laterality
from shared.mapping.patient import demographics
from shared.mapping.study_identifiers import accession_identifiers, lacks, study_id_identifiers
from shared.mapping.table import Row, elements
from shared.model import Finding, InstanceKey

LAST = 2**31
MARK = "dicom-"
OF_IMAGES = "laterality-of-images"
INSTANCE_NAMES = [row.name for row in INSTANCE_ROWS]


@dataclass(frozen=True, slots=True)
class Links:
    """References of the ImagingStudy. `subject` is None where it stays as stored."""

    subject: str | None
    endpoint: str
    devices: Mapping[Equipment, str] = field(default_factory=dict)


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
    stored: Resource, content: StudyContent, gone: Collection[InstanceKey], links: Links, default_zone: str
) -> Laid:
    """`stored` with all of `content` laid over it and the `gone` instances taken out."""
    findings: dict[InstanceKey, list[Finding]] = {}
    result = deepcopy(stored)
    if content.newest is not None:
        result = _lay_study_level(result, _attributes(content.newest, findings), default_zone)
    if links.subject is not None:
        result["subject"] = _reference(result.get("subject"), links.subject)
    series = {row["uid"]: row for row in result.get("series", [])}
    for uid, series_content in content.series.items():
        series[uid] = _lay_series(series.get(uid, {"uid": uid}), series_content, links, default_zone, findings)
    rows = [row for row in (_without(row, gone) for row in series.values()) if row is not None]
    put(result, "series", sorted(rows, key=_order))
    put(result, "endpoint", _endpoints(result.get("endpoint", []), links.endpoint))
    _count(result, _foreign_modalities(stored))
    return Laid(result if rows else None, findings)


def without_our_part(stored: Resource, endpoint: str) -> Resource:
    """An ImagingStudy in which no instance of ours is left, and what others put there: our elements go as well."""
    result = _lay_rows(stored, STUDY_ROWS, {}, MARK)
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
    accession_identifiers(attributes)
    study_id_identifiers(attributes)
    equipment_of(attributes)
    elements((*STUDY_ROWS, *SERIES_ROWS, *INSTANCE_ROWS), attributes, default_zone)
    return attributes.findings


def equipment_by_series(content: StudyContent) -> dict[str, Equipment]:
    """The equipment of each series, by the instance that speaks for it."""
    found = {
        uid: equipment_of(Attributes(series.newest))
        for uid, series in content.series.items()
        if series.newest is not None
    }
    return {uid: equipment for uid, equipment in found.items() if equipment is not None}


def _lay_rows(stored: Element, rows: Collection[Row], ours: Mapping[str, Any], mark: str) -> Element:
    """What is ours alone is replaced; of what others write too, only that which carries our mark."""
    shared = [row.name for row in rows if row.is_shared]
    alone = [row.name for row in rows if not row.is_shared]
    result = overlay(stored, {name: value for name, value in ours.items() if name in alone}, alone)
    for name in shared:
        put(result, name, lay_shared(stored.get(name), ours.get(name), f"{mark}{name}"))
    return result


def _is_ours(element: Element | None, mark: str) -> bool:
    return element is not None and str(element.get("id", "")).startswith(mark)


def _lay_study_level(stored: Resource, attributes: Attributes, default_zone: str) -> Resource:
    ours = elements(STUDY_ROWS, attributes, default_zone)
    result = _lay_rows(stored, STUDY_ROWS, ours, MARK)
    result["status"] = "available"
    identifiers = replace_owned(stored.get("identifier", []), accession_identifiers(attributes), _is_our_accession)
    result["identifier"] = lay_shared(identifiers, study_id_identifiers(attributes), f"{MARK}study-id")
    description = ours.get("description")
    notes = [{"text": description}] if description else []
    put(result, "note", replace_owned(stored.get("note", []), notes, lambda note: _is_our_note(stored, note)))
    return result


def _is_our_accession(identifier: Element) -> bool:
    codings = identifier.get("type", {}).get("coding", [])
    return "system" not in identifier and any(
        (coding.get("system"), coding.get("code")) == (IDENTIFIER_TYPE, ACCESSION_ID) for coding in codings
    )


def _is_our_note(stored: Resource, note: Element) -> bool:
    """A bare text equal to the description that we wrote beside it."""
    return note == {"text": stored.get("description")}


def _lay_series(
    stored: Element,
    content: SeriesContent,
    links: Links,
    default_zone: str,
    findings: dict[InstanceKey, list[Finding]],
) -> Element:
    result = stored
    if content.newest is not None:
        attributes = _attributes(content.newest, findings)
        ours = elements(SERIES_ROWS, attributes, default_zone)
        device = links.devices.get(equipment) if (equipment := equipment_of(attributes)) else None
        if device is not None:
            ours["performer"] = [*ours.get("performer", []), {"actor": {"type": "Device", "reference": device}}]
        mark = f"{MARK}{stored['uid']}-"
        images = [Attributes(dataset) for dataset in content.instances.values() if has_side(dataset)]
        if images:
            ours["laterality"] = laterality(attributes, images)
        result = _lay_rows(stored, SERIES_ROWS, ours, mark)
        if images and _is_ours(result.get("laterality"), mark):
            result["laterality"]["id"] = mark + OF_IMAGES
    put(result, "endpoint", _endpoints(result.get("endpoint", []), links.endpoint))
    instances = {row["uid"]: row for row in result.get("instance", [])}
    for uid, dataset in content.instances.items():
        attributes = Attributes(dataset, findings.setdefault(InstanceKey(stored["uid"], uid), []))
        ours = elements(INSTANCE_ROWS, attributes, default_zone)
        instances[uid] = overlay(instances.get(uid, {"uid": uid}), ours, INSTANCE_NAMES)
    put(result, "instance", list(instances.values()))
    return result


def _without(series: Element, gone: Collection[InstanceKey]) -> Element | None:
    """The series in order and without what is gone; None when that empties it."""
    instances = series.get("instance", [])
    left = [row for row in instances if InstanceKey(series["uid"], row["uid"]) not in gone]
    if instances and not left:
        return None
    put(series, "instance", sorted(left, key=_order))
    return series


def _foreign_modalities(stored: Resource) -> list[Element]:
    """Modalities of the study that none of its series has: somebody else's."""
    of_series = {_coding(row["modality"]) for row in stored.get("series", []) if "modality" in row}
    return [row for row in stored.get("modality", []) if _coding(row) not in of_series]


def _count(result: Resource, foreign_modalities: list[Element]) -> None:
    for series in result.get("series", []):
        if "instance" in series:
            series["numberOfInstances"] = len(series["instance"])
    rows = result.get("series", [])
    result["numberOfSeries"] = len(rows)
    result["numberOfInstances"] = sum(row.get("numberOfInstances", 0) for row in rows)
    modalities = {_coding(row): row for row in foreign_modalities}
    modalities |= {_coding(row["modality"]): row["modality"] for row in rows if "modality" in row}
    put(result, "modality", [modalities[coding] for coding in sorted(modalities)])


def _coding(modality: Element) -> tuple[str, str]:
    return modality.get("code", ""), modality.get("system", "")


def _endpoints(stored: list[Element], ours: str) -> list[Element]:
    return stored if any(row.get("reference") == ours for row in stored) else [*stored, {"reference": ours}]


def _reference(stored: Element | None, ours: str) -> Element:
    # a server or somebody else may have added a display to the reference that we wrote
    return stored if stored and stored.get("reference") == ours else {"reference": ours}


def _order(row: Element) -> tuple[int, str]:
    return row.get("number", LAST), row["uid"]


def _attributes(dataset: Mapping[str, Any], findings: dict[InstanceKey, list[Finding]]) -> Attributes:
    identity = Attributes(dataset)
    key = InstanceKey(identity.uid("SeriesInstanceUID") or "", identity.uid("SOPInstanceUID") or "")
    return Attributes(dataset, findings.setdefault(key, []))
