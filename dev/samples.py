"""Sample studies: the real files that ship with pydicom, and a made-up CT study of any size.

Nothing is downloaded. Every name, number and date of the made-up study is invented; the same seed gives the same study.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

ROWS = COLUMNS = 16  # tiny: the sync reads metadata, never pixels
STARTED = datetime(2026, 3, 2, 9, 30)  # noqa: DTZ001 - DICOM keeps local time and zone apart
ZONE = "+0100"


@dataclass(frozen=True)
class _Protocol:
    """What one series of a CT examination of the chest looks like."""

    description: str
    kernel: str
    thickness_mm: float
    image_type: tuple[str, ...]


PROTOCOLS = (
    _Protocol("Topogram  0.6  T20s", "T20s", 0.6, ("ORIGINAL", "PRIMARY", "LOCALIZER")),
    _Protocol("Thorax  5.0  B31f", "B31f", 5.0, ("ORIGINAL", "PRIMARY", "AXIAL")),
    _Protocol("Thorax  1.0  B70f", "B70f", 1.0, ("ORIGINAL", "PRIMARY", "AXIAL")),
    _Protocol("Thorax  3.0  COR", "B31f", 3.0, ("DERIVED", "SECONDARY", "REFORMATTED")),
)


def pydicom_files() -> list[Path]:
    """The files installed with pydicom, folders left out. Many are no DICOM or broken on purpose."""
    return sorted(path for path in map(Path, get_testdata_files()) if path.is_file())


def write_ct_study(folder: Path, *, seed: int = 1, series: int = 4, instances: int = 300) -> list[Path]:
    """Write the made-up study to a folder, one file per instance."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for dataset in ct_study(seed=seed, series=series, instances=instances):
        path = folder / f"{dataset.SeriesNumber:02d}-{dataset.InstanceNumber:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def ct_study(*, seed: int = 1, series: int = 4, instances: int = 300) -> Iterator[Dataset]:
    """The instances of one made-up CT study, the instances spread evenly over the series."""
    rng = random.Random(seed)
    study = _study(seed)
    for number in range(1, series + 1):
        # the first series take the rest when the division leaves one
        count = instances // series + (number <= instances % series)
        shared = _series(study, seed, number)
        for instance in range(1, count + 1):
            yield _instance(shared, seed, instance, rng)


def _uid(seed: int, *parts: object) -> str:
    return str(generate_uid(entropy_srcs=["made-up CT study", str(seed), *map(str, parts)]))


def _study(seed: int) -> Dataset:
    """Attributes that all instances share: patient and study (PS3.3 C.7.1.1, C.7.2.1), equipment (C.7.5.1)."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "DEMO^PATIENT^ONE"
    dataset.PatientID = f"DEMO-{seed:04d}"
    dataset.IssuerOfPatientID = "DEMO HOSPITAL"
    dataset.PatientBirthDate = "19700101"
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = _uid(seed, "study")
    dataset.StudyID = f"CT{seed}"
    dataset.StudyDate = f"{STARTED:%Y%m%d}"
    dataset.StudyTime = f"{STARTED:%H%M%S}"
    dataset.TimezoneOffsetFromUTC = ZONE
    dataset.AccessionNumber = f"DEMO{seed:08d}"
    dataset.StudyDescription = "CT Thorax (made up)"
    dataset.ReferringPhysicianName = "DEMO^REFERRER"
    dataset.InstitutionName = "DEMO HOSPITAL"
    dataset.InstitutionalDepartmentName = "DEMO RADIOLOGY"
    dataset.Manufacturer = "DEMO MANUFACTURER"
    dataset.ManufacturerModelName = "DEMO CT 64"
    dataset.DeviceSerialNumber = "D-0001"
    dataset.StationName = "DEMOCT1"
    dataset.SoftwareVersions = "1.0"
    return dataset


def _series(study: Dataset, seed: int, number: int) -> Dataset:
    """Attributes of one series (PS3.3 C.7.3.1) and of its acquisition."""
    protocol = PROTOCOLS[(number - 1) % len(PROTOCOLS)]
    started = STARTED + timedelta(minutes=2 * number)
    dataset = Dataset()
    dataset.update(study)
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = _uid(seed, "series", number)
    dataset.FrameOfReferenceUID = _uid(seed, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.SeriesNumber = number
    dataset.SeriesDescription = protocol.description
    dataset.SeriesDate = f"{started:%Y%m%d}"
    dataset.SeriesTime = f"{started:%H%M%S}"
    dataset.BodyPartExamined = "CHEST"
    dataset.PatientPosition = "HFS"
    dataset.PerformingPhysicianName = "DEMO^RADIOLOGIST"
    dataset.OperatorsName = "DEMO^OPERATOR"
    dataset.ProtocolName = "Thorax"
    dataset.ConvolutionKernel = protocol.kernel
    dataset.SliceThickness = str(protocol.thickness_mm)
    dataset.ImageType = list(protocol.image_type)
    dataset.KVP = "120"
    return dataset


def _instance(series: Dataset, seed: int, number: int, rng: random.Random) -> Dataset:
    """One CT image (PS3.3 A.3)."""
    taken = STARTED + timedelta(minutes=2 * int(series.SeriesNumber), seconds=number / 10)
    dataset = Dataset()
    dataset.update(series)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = _uid(seed, "instance", series.SeriesNumber, number)
    dataset.InstanceNumber = number
    dataset.AcquisitionNumber = 1
    dataset.AcquisitionDate = dataset.ContentDate = f"{taken:%Y%m%d}"
    dataset.AcquisitionTime = dataset.ContentTime = f"{taken:%H%M%S.%f}"
    position_mm = round(-number * float(series.SliceThickness), 1)
    dataset.ImagePositionPatient = ["-175.0", "-175.0", str(position_mm)]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.SliceLocation = str(position_mm)
    dataset.XRayTubeCurrent = rng.randint(120, 240)
    _add_pixels(dataset, rng)
    dataset.file_meta = part10_meta(dataset)
    return dataset


def part10_meta(dataset: Dataset) -> FileMetaDataset:
    """File meta information of an instance (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _add_pixels(dataset: Dataset, rng: random.Random) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.PixelSpacing = ["21.875", "21.875"]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
    pixels = np.frombuffer(rng.randbytes(ROWS * COLUMNS * 2), dtype="<u2") & 0x0FFF
    dataset.PixelData = pixels.tobytes()
