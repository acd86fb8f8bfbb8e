"""Pure: ImagingStudy, by the DICOM Tag Mapping of https://hl7.org/fhir/R4/imagingstudy-mappings.html#dicom.

The tables are what is mapped; docs/mapping.md is printed from them.
"""

from shared.dicom.values import Attributes
from shared.fhir.ownership import as_text
from shared.fhir.systems import NUMBER_OF_FRAMES, PARTICIPATION, URI
from shared.mapping.body_part import body_site
from shared.mapping.coding import concepts, declared_systems
from shared.mapping.laterality import laterality
from shared.mapping.modality import modality
from shared.mapping.people import practitioner, practitioners
from shared.mapping.specimen import specimens
from shared.mapping.started import date_time
from shared.mapping.table import Element, Row, Value
from shared.mapping.title import title

MAX_UNSIGNED_INT = 2**31 - 1


def _procedure_codes(attributes: Attributes, _zone: str) -> list[Element]:
    return concepts(attributes, "ProcedureCodeSequence", declared_systems(attributes))


def _reasons(attributes: Attributes, _zone: str) -> list[Element]:
    declared = declared_systems(attributes)
    reasons: dict[str, Element] = {}
    for request in attributes.items("RequestAttributesSequence"):
        coded = concepts(request, "ReasonForRequestedProcedureCodeSequence", declared)
        text = request.text("ReasonForTheRequestedProcedure")
        said = [*coded, {"text": text}] if text and all(text != reason.get("text") for reason in coded) else coded
        for reason in said:
            reasons.setdefault(as_text(reason), reason)
    return list(reasons.values())


def _location(attributes: Attributes, _zone: str) -> Element | None:
    department = attributes.text("InstitutionalDepartmentName")
    return {"type": "Location", "display": department} if department else None


def _performers(attributes: Attributes, _zone: str) -> list[Element]:
    physicians = practitioners(attributes, "PerformingPhysicianName", "PerformingPhysicianIdentificationSequence")
    operators = practitioners(attributes, "OperatorsName", "OperatorIdentificationSequence")
    return [
        {"function": {"coding": [{"system": PARTICIPATION, "code": function}]}, "actor": actor}
        for function, actors in (("PRF", physicians), ("SPRF", operators))
        for actor in actors
    ]


def _unsigned(attributes: Attributes, keyword: str) -> int | None:
    """An IS value where R4 has unsignedInt."""
    number = attributes.integer(keyword)
    if number is not None and not 0 <= number <= MAX_UNSIGNED_INT:
        attributes.find(keyword, "out-of-range")
        return None
    return number


def _frames(attributes: Attributes, _zone: str) -> list[Element]:
    """R6 has an element for it. R4's form of that is refused by validators, which know no R6; IHE has published one."""
    frames = _unsigned(attributes, "NumberOfFrames")
    return [{"url": NUMBER_OF_FRAMES, "valueInteger": frames}] if frames else []


def _sop_class(attributes: Attributes, _zone: str) -> Element:
    return {"system": URI, "code": f"urn:oid:{attributes.uid('SOPClassUID')}"}


def _text(keyword: str) -> Value:
    return lambda attributes, _zone: attributes.text(keyword)


def _number(keyword: str) -> Value:
    return lambda attributes, _zone: _unsigned(attributes, keyword)


def _started(date: str, time: str) -> Value:
    return lambda attributes, zone: date_time(attributes, date, time, zone)


STUDY_ROWS = (
    Row(
        "ImagingStudy.started",
        "StudyDate, StudyTime, TimezoneOffsetFromUTC",
        "PS3.3 C.7.2.1, C.12.1.1.8",
        _started("StudyDate", "StudyTime"),
        "a time without any zone is left out: the zone is that of the dataset, else the default zone of the settings",
    ),
    Row("ImagingStudy.description", "StudyDescription", "PS3.3 C.7.2.1", _text("StudyDescription")),
    Row(
        "ImagingStudy.referrer",
        "ReferringPhysicianName, ReferringPhysicianIdentificationSequence",
        "PS3.3 C.7.2.1",
        lambda attributes, _zone: practitioner(
            attributes, "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence"
        ),
        "a Practitioner by display, and by identifier where the sequence gives one",
        is_shared=True,
    ),
    Row(
        "ImagingStudy.interpreter",
        "NameOfPhysiciansReadingStudy, PhysiciansReadingStudyIdentificationSequence",
        "PS3.3 C.7.2.2",
        lambda attributes, _zone: practitioners(
            attributes, "NameOfPhysiciansReadingStudy", "PhysiciansReadingStudyIdentificationSequence"
        ),
        "as the referrer",
        is_shared=True,
    ),
    Row("ImagingStudy.procedureCode", "ProcedureCodeSequence", "PS3.3 C.7.2.2", _procedure_codes, is_shared=True),
    Row(
        "ImagingStudy.location",
        "InstitutionalDepartmentName",
        "PS3.3 C.7.5.1",
        _location,
        "a Location by display",
        is_shared=True,
    ),
    Row(
        "ImagingStudy.reasonCode",
        "RequestAttributesSequence > ReasonForRequestedProcedureCodeSequence, ReasonForTheRequestedProcedure",
        "PS3.3 10.6",
        _reasons,
        "the text by itself where no code has it as its meaning",
        is_shared=True,
    ),
)

SERIES_ROWS = (
    Row("ImagingStudy.series.number", "SeriesNumber", "PS3.3 C.7.3.1", _number("SeriesNumber")),
    Row(
        "ImagingStudy.series.modality",
        "Modality",
        "PS3.3 C.7.3.1.1.1",
        modality,
        "`OT` where DICOM has none, since R4 requires one; no system where DICOM does not define it; the set of them "
        "is `ImagingStudy.modality`",
    ),
    Row("ImagingStudy.series.description", "SeriesDescription", "PS3.3 C.7.3.1", _text("SeriesDescription")),
    Row(
        "ImagingStudy.series.bodySite",
        "AnatomicRegionSequence, SharedFunctionalGroupsSequence > FrameAnatomySequence > AnatomicRegionSequence, "
        "BodyPartExamined",
        "PS3.3 10.5, PS3.16 annex L",
        lambda attributes, _zone: body_site(attributes),
        "SNOMED RT codes and defined terms become SNOMED CT where that is published, otherwise the text stands alone",
        is_shared=True,
    ),
    Row(
        "ImagingStudy.series.laterality",
        "Laterality, ImageLaterality, SharedFunctionalGroupsSequence > FrameAnatomySequence > FrameLaterality, "
        "AnatomicRegionSequence > AnatomicRegionModifierSequence",
        "PS3.3 C.7.3.1, C.8.11.3",
        lambda attributes, _zone: laterality(attributes),
        "the first that says one; images of both sides make it bilateral",
        is_shared=True,
    ),
    Row(
        "ImagingStudy.series.started",
        "SeriesDate, SeriesTime, TimezoneOffsetFromUTC",
        "PS3.3 C.7.3.1",
        _started("SeriesDate", "SeriesTime"),
    ),
    Row(
        "ImagingStudy.series.performer",
        "PerformingPhysicianName, PerformingPhysicianIdentificationSequence, OperatorsName, "
        "OperatorIdentificationSequence",
        "PS3.3 C.7.3.1",
        _performers,
        "physicians as PRF, operators as SPRF, and the Device of the equipment",
        is_shared=True,
    ),
    Row(
        "ImagingStudy.series.specimen",
        "SpecimenDescriptionSequence > SpecimenIdentifier, IssuerOfTheSpecimenIdentifierSequence, SpecimenUID",
        "PS3.3 C.7.6.22",
        specimens,
        "a Specimen by its identifier",
        is_shared=True,
    ),
)

INSTANCE_ROWS = (
    Row("ImagingStudy.series.instance.sopClass", "SOPClassUID", "PS3.3 C.12.1", _sop_class),
    Row("ImagingStudy.series.instance.number", "InstanceNumber", "PS3.3 C.7.6.1", _number("InstanceNumber")),
    Row(
        "ImagingStudy.series.instance.title",
        "ConceptNameCodeSequence, ContentLabel, DocumentTitle, RTPlanLabel, StructureSetLabel, RTImageLabel, "
        "ImageType, SOPClassUID",
        "PS3.3 C.17.3, 10.9, C.24.2, C.8.8, C.7.6.1.1.2",
        title,
        "the first that there is; of the SOP class its name",
    ),
    Row(
        "ImagingStudy.series.instance.extension",
        "NumberOfFrames",
        "PS3.3 C.7.6.6",
        _frames,
        "by the extension of IHE MADO; R6 has an element for it",
        is_shared=True,
    ),
)
