"""A made-up radiation dose report of a made-up CT study (PS3.16 TID 10011)."""

from copy import deepcopy
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import XRayRadiationDoseSRStorage, generate_uid

from dev.samples import part10_meta

Concept = tuple[str, str, str]
DOSES = ((4.2, 130.5), (6.1, 188.25))  # mean CTDIvol in mGy and DLP in mGy.cm of each irradiation


def write_dose_report(folder: Path, image: Dataset) -> Path:
    """The report of the study that `image` is of."""
    path = folder / "dose.dcm"
    dose_report(image).save_as(path, enforce_file_format=True)
    return path


def dose_report(image: Dataset) -> Dataset:
    """A document with the patient, study and equipment of the image."""
    dataset = Dataset()
    for element in image:
        if element.tag.group in (0x0008, 0x0010, 0x0018) or element.keyword in ("StudyInstanceUID", "StudyID"):
            dataset.add(deepcopy(element))
    for keyword in ("ImageType", "SliceThickness", "KVP", "ConvolutionKernel", "XRayTubeCurrent", "BodyPartExamined"):
        if keyword in dataset:
            del dataset[keyword]
    dataset.SOPClassUID = XRayRadiationDoseSRStorage
    dataset.SOPInstanceUID = _uid(image, "dose report")
    dataset.SeriesInstanceUID = _uid(image, "dose series")
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "SR", 99, 1
    dataset.SeriesDescription = "Dose report"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.ReferencedPerformedProcedureStepSequence = Sequence()
    dataset.PerformedProcedureCodeSequence = Sequence()
    title = _item("CONTAINER", ("113701", "DCM", "X-Ray Radiation Dose Report"), *_content(image))
    dataset.update(title)
    del dataset.RelationshipType
    dataset.file_meta = part10_meta(dataset)
    return dataset


def _content(image: Dataset) -> list[Dataset]:
    total = sum(dlp for _, dlp in DOSES)
    procedure = _item("CODE", ("121058", "DCM", "Procedure reported"))
    procedure.ConceptCodeSequence = [_code(("77477000", "SCT", "Computed Tomography X-Ray"))]
    accumulated = _item(
        "CONTAINER",
        ("113811", "DCM", "CT Accumulated Dose Data"),
        _number(("113812", "DCM", "Total Number of Irradiation Events"), len(DOSES), "{events}"),
        _number(("113813", "DCM", "CT Dose Length Product Total"), total, "mGy.cm"),
    )
    events = [_event(image, number, *dose) for number, dose in enumerate(DOSES, start=1)]
    return [procedure, accumulated, *events]


def _event(image: Dataset, number: int, ctdi_vol_mgy: float, dlp_mgy_cm: float) -> Dataset:
    identity = _item("UIDREF", ("113769", "DCM", "Irradiation Event UID"))
    identity.UID = _uid(image, f"irradiation event {number}")
    region = _item("CODE", ("123014", "DCM", "Target Region"))
    region.ConceptCodeSequence = [_code(("816094009", "SCT", "Chest"))]
    dose = _item(
        "CONTAINER",
        ("113829", "DCM", "CT Dose"),
        _number(("113830", "DCM", "Mean CTDIvol"), ctdi_vol_mgy, "mGy"),
        _number(("113838", "DCM", "DLP"), dlp_mgy_cm, "mGy.cm"),
    )
    return _item("CONTAINER", ("113819", "DCM", "CT Acquisition"), identity, region, dose)


def _item(value_type: str, concept: Concept, *children: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = value_type
    item.ConceptNameCodeSequence = [_code(concept)]
    if value_type == "CONTAINER":
        item.ContinuityOfContent = "SEPARATE"
        item.ContentSequence = list(children)
    return item


def _number(concept: Concept, value: float, unit: str) -> Dataset:
    measured = Dataset()
    measured.NumericValue = str(value)
    measured.MeasurementUnitsCodeSequence = [_code((unit, "UCUM", unit))]
    item = _item("NUM", concept)
    item.MeasuredValueSequence = [measured]
    return item


def _code(concept: Concept) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = concept
    return code


def _uid(image: Dataset, name: str) -> str:
    return str(generate_uid(entropy_srcs=["made-up dose report", str(image.StudyInstanceUID), name]))
