"""Made-up DICOM instances for tests, as Part 10 bytes."""

from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.1234"
DEFAULTS: dict[str, Any] = {
    "PatientID": "MRN-0001",
    "PatientName": "Rivera^Ana^Maria^Dr^Jr",
    "PatientSex": "F",
    "PatientBirthDate": "19700102",
    "StudyDate": "20210301",
    "StudyTime": "101530",
    "AccessionNumber": "ACC1",
    "StudyDescription": "CT head",
    "SOPClassUID": CTImageStorage,
    "Modality": "CT",
    "SeriesDescription": "axial",
}


def study_uid(number: int) -> str:
    return f"{ROOT}.{number}"


def series_uid(study: int, series: int) -> str:
    return f"{ROOT}.{study}.{series}"


def sop_uid(study: int, series: int, instance: int) -> str:
    return f"{ROOT}.{study}.{series}.{instance}"


def make_instance(study: int = 1, series: int = 1, instance: int = 1, **attributes: Any) -> Dataset:
    """One instance; an attribute of None is left out."""
    dataset = Dataset()
    values = {
        **DEFAULTS,
        "StudyInstanceUID": study_uid(study),
        "SeriesInstanceUID": series_uid(study, series),
        "SOPInstanceUID": sop_uid(study, series, instance),
        "SeriesNumber": series,
        "InstanceNumber": instance,
        **attributes,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def make_series(study: int = 1, series: int = 1, instances: int = 3, **attributes: Any) -> list[Dataset]:
    return [make_instance(study, series, number, **attributes) for number in range(1, instances + 1)]


def part10(dataset: Dataset) -> bytes:
    """The instance as the bytes of a DICOM file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
