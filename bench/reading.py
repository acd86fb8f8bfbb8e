"""A reading of DICOM files for comparisons, by pydicom alone: what a value of a FHIR element may be, by the file.

It knows nothing of how the app or anybody else maps. An element that it has no rule for may hold any value that stands
somewhere in the file, or a word of FHIR.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydicom import DataElement, Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID_dictionary
from pydicom.valuerep import PersonName

# element -> keywords of which it may hold a value
KEYWORDS = {
    "Patient.identifier.value": ("PatientID",),
    "Patient.birthDate": ("PatientBirthDate",),
    "Patient.address.line": ("PatientAddress",),
    "ImagingStudy.identifier.value": ("StudyInstanceUID", "AccessionNumber", "StudyID"),
    "ImagingStudy.basedOn.identifier.value": ("AccessionNumber",),
    "ImagingStudy.description": ("StudyDescription",),
    "ImagingStudy.note.text": ("StudyDescription",),
    "ImagingStudy.referrer.display": ("ReferringPhysicianName",),
    "ImagingStudy.interpreter.display": ("NameOfPhysiciansReadingStudy",),
    "ImagingStudy.location.display": ("InstitutionalDepartmentName",),
    "ImagingStudy.series.uid": ("SeriesInstanceUID",),
    "ImagingStudy.series.number": ("SeriesNumber",),
    "ImagingStudy.series.description": ("SeriesDescription",),
    "ImagingStudy.series.modality.code": ("Modality",),
    "ImagingStudy.modality.code": ("Modality",),
    "ImagingStudy.series.performer.actor.display": ("PerformingPhysicianName", "OperatorsName"),
    "ImagingStudy.series.instance.uid": ("SOPInstanceUID",),
    "ImagingStudy.series.instance.number": ("InstanceNumber",),
    "ImagingStudy.series.instance.sopClass.code": ("SOPClassUID",),
    "Device.manufacturer": ("Manufacturer",),
    "Device.serialNumber": ("DeviceSerialNumber",),
    "Device.deviceName.name": ("ManufacturerModelName", "StationName"),
    "Device.version.value": ("SoftwareVersions",),
    "Observation(29463-7).valueQuantity.value": ("PatientWeight",),
    "Observation(8302-2).valueQuantity.value": ("PatientSize",),
}
# what files say of patient, study, series, instance and equipment
ATTRIBUTES = (
    *("PatientID", "PatientName", "PatientSex", "PatientBirthDate", "PatientWeight", "PatientSize"),
    *("StudyInstanceUID", "AccessionNumber", "StudyID", "StudyDescription", "StudyDate"),
    *("ReferringPhysicianName", "NameOfPhysiciansReadingStudy", "OperatorsName"),
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SeriesDate", "Modality", "BodyPartExamined"),
    *("SOPInstanceUID", "SOPClassUID", "InstanceNumber", "ImageType"),
    *("KVP", "ExposureTime", "Exposure", "XRayTubeCurrent", "ScanningSequence", "SequenceVariant", "EchoTime"),
    *("RepetitionTime", "FlipAngle", "SliceThickness", "PixelSpacing", "PixelPaddingValue", "ContrastBolusAgent"),
    *("Manufacturer", "ManufacturerModelName", "StationName", "DeviceSerialNumber", "SoftwareVersions"),
    *("DateOfLastCalibration", "InstitutionName", "InstitutionalDepartmentName", "ProtocolName"),
)
# where the same value may stand for something else, the element in which it counts
PLACES = {
    "PatientID": "Patient.identifier.value",
    "PatientName": "Patient.name",
    "PatientSex": "Patient.gender",
    "PatientBirthDate": "Patient.birthDate",
    "BodyPartExamined": "ImagingStudy.series.bodySite",
    "PatientSize": "Observation(8302-2).valueQuantity.value",
    "PatientWeight": "Observation(29463-7).valueQuantity.value",
    "StudyID": "ImagingStudy.identifier.value",
    "StudyDate": "ImagingStudy.started",
    "SeriesDate": "ImagingStudy.series.started",
    "SeriesNumber": "ImagingStudy.series.number",
    "InstanceNumber": "ImagingStudy.series.instance.number",
    "PixelPaddingValue": "Device.note",
    "DateOfLastCalibration": "Device.note",
}
SEXES = {"M": "male", "F": "female", "O": "other"}
# PS3.16 annex O, as far as the files need it
SNOMED_CT = {"T-D3000": "51185008", "P5-08000": "77477000"}
# PS3.16 annex L, as far as the files need it
BODY_PARTS = {"ABDOMEN": ("818981001", "Abdomen")}
# https://hl7.org/fhir/R4/terminologies-systems.html, the HL7 guide on dose
PUBLISHED = (
    "urn:dicom:uid",
    "urn:ietf:rfc:3986",
    "http://dicom.nema.org/resources/ontology/DCM",
    "http://loinc.org",
    "http://snomed.info/sct",
    "http://unitsofmeasure.org",
    "http://terminology.hl7.org/CodeSystem/v2-0203",
    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
    "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
    "http://terminology.hl7.org/CodeSystem/observation-category",
    "http://hl7.org/fhir/uv/radiation-dose-summary/CodeSystem/dicom-identifier-type",
)
# the German core data set, module Bildgebung
GERMAN = "https://www.medizininformatik-initiative.de/fhir/ext/modul-bildgebung/"
# codes and words of FHIR and of the code systems, each looked up; what depends on the file has a rule instead
WORDS = """available|active|final|usual|official|unknown|ACSN|SNO|PRF|SPRF|model-name|user-friendly-name|Practitioner
Location|ServiceRequest|ImagingStudy|Device|vital-signs|29463-7|8302-2|kg|m|mGy|mGy.cm|millimeter|kilovolt|milliseconds|tesla
milliampere|milliampere second|plane angle degree|Body Weight|Body Height|73569-6|113852|Irradiation Event|Study ID
Radiation exposure and protection information [Description] Document Diagnostic imaging|Accession ID|sop-instance-uid
SOP Instance UID|study-instance-uid|Study Instance UID|irradiation-event-uid|Irradiation Event UID|dicom-wado-rs
DICOM WADO-RS|application/dicom|https://dicom.example.org/|DICOM WADO-RS endpoint https://dicom.example.org/"""
FIXED = set(WORDS.replace("\n", "|").split("|"))


def is_published(system: str) -> bool:
    """Whether a standard or a national guide defines this system or profile."""
    return system in PUBLISHED or system.startswith(GERMAN)


def said(dataset: Dataset, path: str) -> set[Any]:
    """The values that an element may have."""
    if path in KEYWORDS:
        return {form for keyword in KEYWORDS[path] if keyword in dataset for form in forms(dataset[keyword])}
    rule = next((rule for ending, rule in RULES.items() if ending in path), None)
    if rule is not None:
        return set(rule(dataset))
    if path.startswith("Patient.name."):
        return name_parts(dataset.get("PatientName"), path.rpartition(".")[2])
    everything = {form for element in dataset.iterall() for form in forms(element)}
    return everything | FIXED | {SNOMED_CT[code] for code in SNOMED_CT.keys() & everything}


def stands_in(element: DataElement, leaves: Iterable[tuple[str, Any]]) -> bool:
    """Whether a leaf holds a value of this attribute; dates also as part of a time or a note."""
    place = PLACES.get(element.keyword, "")
    values = [value for path, value in leaves if path.startswith(place) and not isinstance(value, bool)]
    if element.keyword == "PatientSex":
        return SEXES.get(element.value) in values
    if element.keyword == "BodyPartExamined":
        return bool(values)  # as text or as a code
    if element.VR == "DA" or element.keyword in ("ImageType", "PixelPaddingValue"):
        wanted = ["\\".join(element.value)] if element.keyword == "ImageType" else []
        return any(str(form) in str(value) for value in values for form in [*forms(element), *wanted])
    return any(form in values for form in forms(element))


def forms(element: DataElement) -> Iterator[Any]:
    """One value of a file in the forms that it can have in FHIR."""
    values = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    for value in values if element.VR not in ("SQ", "OB", "OW", "OB or OW") else ():
        text = str(value).strip()
        if not text or value is None:
            continue
        yield text
        if element.VR == "UI":
            yield f"urn:oid:{value}"
        elif element.VR == "DA":
            yield f"{text[:4]}-{text[4:6]}-{text[6:8]}"
        elif element.VR == "PN":
            family, given, middle, prefix, suffix = (*text.split("^"), *[""] * 4)[:5]
            yield " ".join(part for part in (prefix, given, middle, family, suffix) if part)
            yield family
        elif element.VR in ("DS", "IS", "US", "SS", "FD", "FL"):
            yield float(value)


def name_parts(name: PersonName | None, part: str) -> set[str]:
    """The components of a PN value by their names in FHIR (PS3.5 6.2.1)."""
    family, given, middle, prefix, suffix = (*str(name or "").split("^"), *[""] * 4)[:5]
    parts = {"family": {family}, "given": {given, middle}, "prefix": {prefix}, "suffix": {suffix}, "use": {"usual"}}
    return parts[part] - {""}


def measured(dataset: Dataset) -> Iterator[str]:
    """The coded and measured values of a report, each as `concept: value unit`."""
    for item in dataset.get("ContentSequence", []):
        concept = item.ConceptNameCodeSequence[0].CodeMeaning
        if item.ValueType == "CODE":
            yield f"{concept}: {item.ConceptCodeSequence[0].CodeMeaning}"
        if item.ValueType == "NUM":
            value = item.MeasuredValueSequence[0]
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            yield f"{concept}: {value.NumericValue}" + ("" if unit.startswith("{") else f" {unit}")
        yield from measured(item)


def instants(dataset: Dataset, zone: str, path: str) -> list[datetime]:
    """The instants that an element may name: by the offset of the file, else by the zone (PS3.3 C.12.1.1.8)."""
    if path.startswith(("Observation(73569-6)", "Observation(113852)")):
        texts = [str(element.value) for element in dataset.iterall() if element.VR == "DT"]
    else:
        level = "Series" if ".series." in path else "Study"
        texts = [f"{dataset.get(level + 'Date') or ''}{dataset.get(level + 'Time') or ''}"]
    offset = str(dataset.get("TimezoneOffsetFromUTC") or "")
    return [_instant(text, offset, zone) for text in texts if len(text) > len("20210301")]


def _instant(text: str, offset: str, zone: str) -> datetime:
    found = datetime.fromisoformat(f"{text[:8]}T{text[8:]}{offset}")
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))


def _calibration(dataset: Dataset) -> Iterator[str]:
    yield f"Last calibration: {dataset.get('DateOfLastCalibration', '')}{dataset.get('TimeOfLastCalibration', '')}"
    yield f"Pixel padding value: {dataset.get('PixelPaddingValue')}"


def _titles(dataset: Dataset) -> Iterator[str]:
    yield "\\".join(dataset.get("ImageType", []))
    yield UID_dictionary[dataset.SOPClassUID][0].removesuffix(" Storage")
    yield from (item.CodeMeaning for item in dataset.get("ConceptNameCodeSequence", []))
    yield str(dataset.get("RTPlanLabel"))


# part of an element path -> what the file says of it
RULES: dict[str, Callable[[Dataset], Iterable[Any]]] = {
    "Patient.gender": lambda dataset: [SEXES.get(str(dataset.get("PatientSex") or ""), "unknown")],
    "(contrastBolus).valueBoolean": lambda dataset: [True] if dataset.get("ContrastBolusAgent") else [],
    ".series.bodySite.": lambda dataset: [dataset.BodyPartExamined, *BODY_PARTS.get(dataset.BodyPartExamined, ())],
    ".numberOf": lambda _dataset: [1],
    ".instance.title": _titles,
    "Device.note.text": _calibration,
    "Observation(73569-6).valueString": measured,
    "Observation(113852).valueString": measured,
}
