"""What the scenarios put into the DICOM service."""

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    MRImageStorage,
    UltrasoundImageStorage,
    XRayRadiationDoseSRStorage,
)

from bench.bed import Bed
from dev.dose_sample import dose_report
from dev.load import store
from dev.samples import ct_study

SERIES = 5
# modality, SOP class, series and instances of a study, share of a day's studies
KINDS = (
    ("CR", ComputedRadiographyImageStorage, 1, 2, 45),
    ("US", UltrasoundImageStorage, 1, 12, 20),
    ("CT", CTImageStorage, 3, 24, 20),
    ("MR", MRImageStorage, 4, 20, 15),
)
WAIT_S = 0.05


def bulk(bed: Bed, instances: int, studies: int = 1, series: int = SERIES, seed: int = 1) -> list[str]:
    """Made-up CT studies of so many instances each; their UIDs. Microsoft's service gets them by STOW-RS."""
    per_series = max(1, instances // series)
    if bed.dicom_part.urls["part"] != "dicom":
        sizes = {"series": min(series, instances), "instances": instances}
        made = [list(ct_study(seed=seed * 1_000 + number, **sizes)) for number in range(studies)]
        for study in made:
            put(bed, study)
        return [str(study[0].StudyInstanceUID) for study in made]
    body = {
        "studies": studies,
        "series_per_study": min(series, instances),
        "instances_per_series": per_series,
        "seed": seed,
    }
    uids: list[str] = bed.http.post(f"{bed.dicom}/_dev/bulk", json=body).raise_for_status().json()["studies"]
    return uids


def put(bed: Bed, datasets: list[Dataset]) -> None:
    """Store datasets by STOW-RS."""
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f"{number:06d}.dcm" for number in range(len(datasets))]
        for path, dataset in zip(paths, datasets, strict=True):
            dataset.save_as(path, enforce_file_format=True)
        counts = store(paths, bed.dicom)
    if counts.stored != len(datasets):
        raise RuntimeError(f"only {counts.stored} of {len(datasets)} instances were stored: {dict(counts.refused)}")


def portions(datasets: list[Dataset], polls: int) -> Iterator[list[Dataset]]:
    """The datasets in as many equal parts as there are polls."""
    size = -(-len(datasets) // polls)
    return (datasets[start : start + size] for start in range(0, len(datasets), size))


def day(studies: int, seed: int = 7) -> list[Dataset]:
    """A day's mix, in the order that the modalities send: several studies grow at once. Each CT has a dose report."""
    rng = random.Random(seed)
    weights = [kind[-1] for kind in KINDS]
    queues = [_study(seed * 10_000 + number, rng.choices(KINDS, weights)[0]) for number in range(studies)]
    sent: list[Dataset] = []
    active = [queues.pop() for _ in range(min(4, len(queues)))]
    while active:
        at = rng.randrange(len(active))
        sent.append(active[at].pop(0))
        if not active[at]:
            active.pop(at)
            active += [queues.pop()] if queues else []
    return sent


def _study(seed: int, kind: tuple[str, str, int, int, int]) -> list[Dataset]:
    modality, sop_class, series, instances, _ = kind
    datasets = list(ct_study(seed=seed, series=series, instances=instances))
    for dataset in datasets:
        dataset.Modality, dataset.SOPClassUID = modality, sop_class
        dataset.file_meta.MediaStorageSOPClassUID = sop_class
    return [*datasets, dose_report(datasets[0])] if modality == "CT" else datasets


def dose_reports(datasets: list[Dataset]) -> int:
    """How many of them are dose reports."""
    return sum(dataset.SOPClassUID == XRayRadiationDoseSRStorage for dataset in datasets)


def update(bed: Bed, study: str) -> None:
    """Change a study's patient name and description, and wait until it is done."""
    change: dict[str, Any] = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "CHANGED^NAME"}]},
        "00081030": {"vr": "LO", "Value": ["Changed"]},
    }
    body = {"studyInstanceUids": [study], "changeDataset": change}
    answer = bed.http.post(f"{bed.dicom}/v2/studies/$bulkUpdate", json=body).raise_for_status()
    while (state := bed.http.get(answer.json()["href"])).status_code == 202:
        time.sleep(WAIT_S)
    if state.json()["status"] != "succeeded":
        raise RuntimeError(f"the update of a study ended as {state.json()['status']}")


def delete(bed: Bed, study: str) -> None:
    """Delete a study."""
    bed.http.delete(f"{bed.dicom}/v2/studies/{study}").raise_for_status()
