"""Pure: lay what the dose reports of a study say over its stored Observations.

All Observations of a study carry its Study Instance UID as identifier, and are told apart by that of the report or
event. Those of DICOM Cast, which have the former only, are taken over where it is clear which one it is, and replaced
otherwise.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.fhir.bundle import updated_at
from shared.fhir.identifiers import ByIdentifier, Identity, Resource, by_code
from shared.fhir.ownership import Element, lay_shared, overlay, put, replace_owned, source_of
from shared.fhir.systems import DICOM_IDENTIFIER_TYPE, DICOM_UID
from shared.mapping.device import Equipment
from shared.mapping.dose.codes import EVENT_VALUES, NUCLEAR_TOTALS, PROCEDURE_REPORTED, X_RAY_TOTALS
from shared.mapping.dose.observations import EVENT, EVENT_CODE, SUMMARY, SUMMARY_CODE, DoseObservation
from shared.mapping.study_identifiers import is_bare_accession
from shared.mapping.table import Row

COMPONENT_CODES = frozenset(
    row.concepts[0].code for row in (*X_RAY_TOTALS, *NUCLEAR_TOTALS, *EVENT_VALUES, PROCEDURE_REPORTED)
)
KINDS = {"sop-instance-uid": SUMMARY, "irradiation-event-uid": EVENT}
CODES_OF_DICOM_CAST = {"73569-6": SUMMARY, "113852": EVENT}
# ours whatever they hold
ALONE = ("status", "code", "effectiveDateTime", "valueString", "bodySite", "device")
# lists in which others may have items; what is ours is told by what it says, or by its id
TOLD_BY_CONTENT = ("identifier", "basedOn", "component")
TOLD_BY_ID = ("partOf", "focus", "performer", "hasMember")
MARK = "dicom-"
# written by DICOM Cast without any mark
OF_DICOM_CAST = ("identifier", "partOf", "component")
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DoseLinks:
    """What every Observation of a study refers to, and where it is from."""

    source: str
    study: str
    subject: str
    devices: Mapping[Equipment, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredObservations:
    """What is stored for one study. ours: by kind and UID, the first of twins; surplus: what doubles them.

    of_others: what somebody else wrote by the same guide, or made theirs.
    """

    ours: Mapping[Key, Resource]
    surplus: Sequence[Resource]
    of_dicom_cast: Sequence[Resource]
    of_others: Sequence[Resource] = ()

    @property
    def everything(self) -> list[Resource]:
        """All that this app or DICOM Cast wrote for the study."""
        return [*self.ours.values(), *self.surplus, *self.of_dicom_cast, *self.taken]

    @property
    def taken(self) -> list[Resource]:
        """What we wrote and somebody else has made theirs. It is still of the study's Patient."""
        return [one for one in self.of_others if _has_our_mark(one)]


def sorted_out(resources: Iterable[Resource], sources: Collection[str], *, with_dicom_cast: bool) -> StoredObservations:
    """The Observations that carry the identifier of a study, by whose they are.

    Ours have one of `sources` as `meta.source`, since others may write by the same guide; where somebody wrote it back
    without one, our marks tell. with_dicom_cast: the study is one that DICOM Cast may have written.
    """
    ours: dict[Key, Resource] = {}
    surplus, of_dicom_cast, of_others = [], [], []
    for resource in sorted(resources, key=lambda one: str(one["id"])):
        key = _key_of(resource)
        if key is not None and _is_ours(resource, sources):
            if key in ours:
                surplus.append(resource)
            ours.setdefault(key, resource)
        elif key is not None:
            of_others.append(resource)
        elif with_dicom_cast and _is_of_dicom_cast(resource):
            of_dicom_cast.append(resource)
    return StoredObservations(ours, surplus, of_dicom_cast, of_others)


def observation_identity(observation: DoseObservation, study: ByIdentifier) -> Identity:
    """Its own UID and that of its study: the same report in two studies gives one Observation to each. The code parts
    a report from an event that was given its UID.
    """
    coding = SUMMARY_CODE if observation.kind == SUMMARY else EVENT_CODE
    code = (coding["system"], coding["code"])
    return by_code("Observation", code, (DICOM_UID, f"urn:oid:{observation.uid}"), (study.system, study.value))


def taken_over(stored: StoredObservations, wanted: Collection[Key]) -> dict[Key, Resource]:
    """The summary of DICOM Cast that becomes this app's, where the study has one report. Its id is kept; of several,
    which DICOM Cast writes when it reads the report again, that of the first one.
    """
    summaries = [key for key in wanted if key[0] == SUMMARY]
    theirs = [resource for resource in stored.of_dicom_cast if _code_of(resource) == SUMMARY]
    if len(summaries) != 1 or not theirs or summaries[0] in stored.ours:
        return {}
    return {summaries[0]: min(theirs, key=lambda one: (updated_at(one), str(one["id"])))}


def lay_observation(
    stored: Resource | None, observation: DoseObservation, links: DoseLinks, members: Sequence[str]
) -> Resource:
    """The Observation as it should be. `members` are the targets of its events."""
    base = stored or {"resourceType": "Observation"}
    is_new = _key_of(base) is None  # or DICOM Cast's
    if is_new:
        base = {name: value for name, value in base.items() if name not in OF_DICOM_CAST}
    if is_new or not source_of(base):
        base = {**base, "meta": {**base.get("meta", {}), "source": links.source}}
    said = dict(observation.elements)
    device = links.devices.get(observation.equipment) if observation.equipment else None
    if device is not None:
        said["device"] = {"reference": device}
    said["partOf"] = [{**part, "reference": links.study} for part in said.get("partOf", [])]
    said["focus"] = [{"reference": links.study}]
    said["hasMember"] = [{"reference": member} for member in members]
    result = overlay(base, {name: said[name] for name in ALONE if name in said}, ALONE)
    result["subject"] = _subject(base, links)
    for name in TOLD_BY_CONTENT:
        put(result, name, replace_owned(base.get(name, []), said.get(name, []), IS_OURS[name]))
    for name in TOLD_BY_ID:
        put(result, name, lay_shared(base.get(name), said[name], MARK + name))
    return result


def relinked(stored: Resource, links: DoseLinks) -> Resource:
    """An Observation whose report was not looked at, of a study that has another Patient now."""
    return {**stored, "subject": _subject(stored, links)}


def _subject(stored: Resource, links: DoseLinks) -> Element:
    subject = stored.get("subject")
    return subject if subject and subject.get("reference") == links.subject else {"reference": links.subject}


def _is_our_identifier(identifier: Element) -> bool:
    return identifier.get("system") == DICOM_UID or is_bare_accession(identifier)


def _is_our_request(request: Element) -> bool:
    return "reference" not in request and is_bare_accession(request.get("identifier", {}))


def _is_our_component(component: Element) -> bool:
    return any(coding.get("code") in COMPONENT_CODES for coding in component.get("code", {}).get("coding", []))


IS_OURS = {"identifier": _is_our_identifier, "basedOn": _is_our_request, "component": _is_our_component}


def _key_of(resource: Resource) -> Key | None:
    for identifier in resource.get("identifier", []):
        for coding in identifier.get("type", {}).get("coding", []):
            kind = KINDS.get(coding.get("code"))
            if kind and coding.get("system") == DICOM_IDENTIFIER_TYPE and identifier.get("value"):
                return kind, str(identifier["value"]).removeprefix("urn:oid:")
    return None


def _is_ours(resource: Resource, sources: Collection[str]) -> bool:
    return source_of(resource) in sources or (not source_of(resource) and _has_our_mark(resource))


def _has_our_mark(resource: Resource) -> bool:
    return any(str(row.get("id", "")).startswith(MARK) for row in resource.get("focus", []))


def _is_of_dicom_cast(resource: Resource) -> bool:
    return resource.get("status") == "preliminary" and _code_of(resource) is not None


def _code_of(resource: Resource) -> str | None:
    codings = resource.get("code", {}).get("coding", [])
    return next((CODES_OF_DICOM_CAST[row["code"]] for row in codings if row.get("code") in CODES_OF_DICOM_CAST), None)


OBSERVATION_ROWS = (
    Row(
        "Observation.identifier",
        "SOPInstanceUID, or the irradiation event's UID",
        "PS3.16 TID 10003, 10013, 10022",
        note="type `sop-instance-uid` or `irradiation-event-uid`",
    ),
    Row(
        "Observation.identifier",
        "StudyInstanceUID",
        "PS3.3 C.7.2.1",
        note="type `study-instance-uid`; so in `partOf`",
    ),
    Row(
        "Observation.basedOn",
        "AccessionNumber, ReferencedRequestSequence > AccessionNumber",
        "PS3.3 C.7.2.1, C.17.2",
        note="as identifier too",
        is_shared=True,
    ),
    Row(
        "Observation.status",
        "CompletionFlag, PredecessorDocumentsSequence, the irradiation events",
        "PS3.3 C.17.2",
        note="`final`; `preliminary` where partial, or included in a later report of the study",
    ),
    Row("Observation.code", "ConceptNameCodeSequence", "PS3.16 TID 10001", note="LOINC 73569-6, DCM 113852"),
    Row(
        "Observation.effectiveDateTime",
        "DCM 111526, 113809, 123003, SeriesDate, SeriesTime, ContentDate, ContentTime, StudyDate, StudyTime",
        "PS3.16 TID 10003, 10011, 10022",
        note="the first irradiation; else the first of the others that there is",
    ),
    Row("Observation.valueString", "the components", "HL7 guide", note="the values as a sentence"),
    Row(
        "Observation.performer",
        "DCM 113870 in the role 113850, PerformingPhysicianName",
        "PS3.16 TID 1020",
        note="a Practitioner by display; `unknown` where nobody is named",
        is_shared=True,
    ),
    Row("Observation.device", "DCM 113876 in the role 113859, 121012 to 121017, Manufacturer", "PS3.16 TID 1021, 1004"),
    Row("Observation.bodySite", "DCM 123014", "PS3.16 TID 10013, 10003", note="of an event"),
    Row("Observation.component", "see below", "PS3.16 TID 10004 to 10022", is_shared=True),
    Row("Observation.hasMember", "the irradiation events", "PS3.16 TID 10003, 10013, 10022", is_shared=True),
)
