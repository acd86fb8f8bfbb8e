"""`python -m bench.comparison [FILE ...]`: what this app and dicom2fhir make of the same files, element by element.

dicom2fhir runs in a virtual environment of its own, made for the run, since its pins conflict with those of the app
(`--python` names one that is there already). Every value is held against the file, as read by `reading`, which shares
no code with either. Written to bench/out/comparison.json are element names and kinds of defects, never values.
"""

import argparse
import json
import subprocess
import tempfile
import venv
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom
from rich.console import Console
from rich.table import Table

from bench import reading
from shared.dicom.study import SeriesContent, StudyContent
from shared.dicom.values import Attributes
from shared.errors import InvalidStudy
from shared.fhir.validation import check_valid
from shared.mapping.device import equipment_of, new_device
from shared.mapping.dose.observations import EVENT, map_reports
from shared.mapping.endpoint import new_endpoint
from shared.mapping.observation_layer import DoseLinks, lay_observation
from shared.mapping.patient import PatientRules, demographics, lay_patient, patient_identity
from shared.mapping.provides import SERIES_ELEMENTS, STUDY_ELEMENTS
from shared.mapping.series_layer import Links
from shared.mapping.study_identifiers import lacks, study_identity
from shared.mapping.study_layer import lay_study, new_study

Resource = dict[str, Any]
PACKAGE = "dicom2fhir==0.1.25"
# the newest with which it works
PINS = ("fhir.resources==8.1.0", "fhir-core==1.1.4", "pydantic<2.12", "annotated-types<0.8")
ZONE = "Europe/Berlin"
DICOM_URL = "https://dicom.example.org/"
# as its README shows it, with everything switched on; twice, since what a run makes up differs
THEIRS = f"""
import asyncio, json, logging, sys
from dicom2fhir.dicom2fhir import from_directory
logging.disable(logging.CRITICAL)
def run():
    generator = {{"imaging_study": {{"add_instances": True}}, "observation": {{"add_vital_signs": True}}}}
    config = {{"dicom_timezone": "{ZONE}", "generator": generator}}
    return json.loads(asyncio.run(from_directory(sys.argv[1], config=config)).model_dump_json())
print(json.dumps([run(), run()]))
"""
SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
REPORTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "rdsr"
DOSE_REPORT = REPORTS / "CT-RDSR-Siemens-Multi-2.dcm"
# the last but one for what the others lack: a body part, an address, a height
NAMES = ("CT_small.dcm", "MR_small.dcm", "reportsi.dcm", "waveform_ecg.dcm", "examples_overlay.dcm")
FILES = [SAMPLES / name for name in NAMES]
FILES.append(DOSE_REPORT if DOSE_REPORT.exists() else SAMPLES / "rtplan.dcm")
OUT = Path(__file__).parent / "out" / "comparison.json"


def environment(folder: Path) -> Path:
    """A virtual environment with dicom2fhir; its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", PACKAGE, *PINS], check=True)
    return python


def theirs(python: Path, file: Path) -> tuple[list[Resource], list[Resource]]:
    """The resources of two runs."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / file.name).write_bytes(file.read_bytes())
        done = subprocess.run([python, "-c", THEIRS, folder], check=True, capture_output=True, text=True)
    first, second = ([entry["resource"] for entry in bundle["entry"]] for bundle in json.loads(done.stdout))
    return first, second


def ours(file: Path) -> list[Resource]:
    """The resources that the app would write for a study of this one instance; none where it is kept out."""
    dataset = pydicom.dcmread(file, stop_before_pixels=True).to_json_dict()
    attributes = Attributes(dataset)
    identity = patient_identity(attributes, attributes, PatientRules())
    if lacks(attributes) or identity is None:
        return []
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    study, series, instance = (attributes.uid(keyword) or "" for keyword in keywords)
    reports = map_reports([dataset], study, ZONE, with_events=True)
    equipment = {equipment_of(attributes), *(one.equipment for one in reports.observations)} - {None}
    devices = {one: f"Device/{number}" for number, one in enumerate(sorted(equipment, key=str)) if one}
    links = Links("Patient/1", "Endpoint/1", devices)
    content = StudyContent(
        dict.fromkeys(STUDY_ELEMENTS, dataset),
        {series: SeriesContent(dict.fromkeys(SERIES_ELEMENTS, dataset), {instance: dataset})},
    )
    laid = lay_study(new_study(study_identity(study), DICOM_URL), content, set(), links, ZONE)
    found = [
        {"id": "1", **(laid.resource or {})},
        {"id": "1", **lay_patient(None, identity, demographics(attributes))},
        {"id": "1", **new_endpoint(DICOM_URL)},
        *({"id": target.split("/")[1], **new_device(one)} for one, target in devices.items()),
    ]
    targets = {one.uid: f"Observation/{number}" for number, one in enumerate(reports.observations)}
    for one in sorted(reports.observations, key=lambda one: one.kind != EVENT):
        members = [targets[uid] for uid in one.members]
        dose_links = DoseLinks(DICOM_URL, "ImagingStudy/1", "Patient/1", devices)
        laid_one = lay_observation(None, one, dose_links, members)
        found.append({"id": targets[one.uid].split("/")[1], **laid_one})
    return found


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Element paths without indices, and values. Element ids are left out; extensions are named by their URL."""
    if value and isinstance(value, dict):
        for name, inner in value.items():
            if name == "extension":
                for one in inner:
                    rest = {key: within for key, within in one.items() if key != "url"}
                    yield from leaves(rest, f"{path}.extension({one['url'].rpartition('/')[2]})")
            elif name not in ("id", "resourceType"):
                yield from leaves(inner, f"{path}.{name}")
    elif value and isinstance(value, list):
        for one in value:
            yield from leaves(one, path)
    else:
        yield path, value


def elements(resources: list[Resource]) -> list[tuple[str, Any]]:
    """Leaves of all; an Observation is named with its code."""
    found = []
    for resource in resources:
        name = resource["resourceType"]
        if name == "Observation":
            name += f"({resource['code']['coding'][0]['code']})"
        found += list(leaves(resource, name))
    return found


def empties(value: Any, path: str) -> Iterator[str]:
    """Elements that are there and empty (R4, json.html: objects and arrays are never empty)."""
    if value in ([], {}, "", None):
        yield path
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield from empties(inner, f"{path}.{name}")
    for inner in value if isinstance(value, list) else ():
        yield from empties(inner, path)


def wrong_time(text: str, dataset: pydicom.Dataset, path: str) -> str | None:
    """What is wrong with a dateTime, if anything."""
    wanted = reading.instants(dataset, ZONE, path)
    if "T" in text and datetime.fromisoformat(text).tzinfo is None:
        return "time without a zone"
    offsets = [abs((datetime.fromisoformat(text) - instant).total_seconds()) for instant in wanted if "T" in text]
    if not offsets:
        return "not in the file"
    if min(offsets) >= 1:
        return "another instant than the file says"
    return "fraction of the second lost" if min(offsets) else None


def defect(path: str, value: Any, dataset: pydicom.Dataset, targets: set[str]) -> str | None:
    """What is wrong with one value, by the file and R4."""
    name = path.rpartition(".")[2]
    if name == "reference":
        return None if value in targets else "leads nowhere"
    if name in ("started", "effectiveDateTime"):
        return wrong_time(value, dataset, path)
    if name in ("system", "profile"):
        return None if reading.is_published(value) else "system that nobody publishes"
    if path == "Observation(8302-2).valueQuantity.code" and value not in ("cm", "[in_i]"):
        return "unit that R4 does not allow here"  # https://hl7.org/fhir/R4/bodyheight.html
    if path == "Device.identifier.value" and value.startswith("urn:uuid:"):
        return None  # a name that the app gives, the same at each run
    parts = value.split("; ") if path.endswith(").valueString") else [value]
    return None if set(parts) <= reading.said(dataset, path) else "not in the file"


def defects(resources: list[Resource], again: list[Resource], file: Path) -> Counter[tuple[str, str]]:
    """Element and kind of every defect of one side."""
    dataset = pydicom.dcmread(file, stop_before_pixels=True)
    targets = {f"{resource['resourceType']}/{resource['id']}" for resource in resources}
    found: Counter[tuple[str, str]] = Counter()
    for resource, other in zip(resources, again, strict=True):
        name = resource["resourceType"]
        found.update((path, "empty") for path in empties(resource, name))
        try:
            check_valid(resource)
        except InvalidStudy as error:
            found[name, str(error)] += 1
        if resource["id"] != other["id"]:
            found[f"{name}.id", "another one at each run"] += 1
    for path, value in elements(resources):
        kind = defect(path, value, dataset, targets) if value not in ([], {}, "", None) else None
        if kind:
            found[path, kind] += 1
    return found


def carried(resources: list[Resource], file: Path) -> dict[str, bool]:
    """Which attributes of the file stand in FHIR with their value, in whatever element."""
    dataset = pydicom.dcmread(file, stop_before_pixels=True)
    found = [(path, value) for path, value in elements(resources) if value != []]
    stated = [keyword for keyword in reading.ATTRIBUTES if dataset.get(keyword) not in (None, "", [])]
    return {keyword: reading.stands_in(dataset[keyword], found) for keyword in stated}


def compare(python: Path, file: Path) -> dict[str, Any]:
    """One file: elements that both, or only one side has, and the defects of each."""
    mine, (other, again) = ours(file), theirs(python, file)
    names = {path for path, value in elements(mine)}, {path for path, value in elements(other) if value != []}
    sides = {"ours": defects(mine, mine, file), "theirs": defects(other, again, file)}
    return {
        "file": file.name,
        "both": sorted(names[0] & names[1]),
        "ours_only": sorted(names[0] - names[1]),
        "theirs_only": sorted(names[1] - names[0]),
        "values": {"ours": len(elements(mine)), "theirs": len(elements(other))},
        "carried": {"ours": carried(mine, file), "theirs": carried(other, file)},
        "defects": {side: [[*key, count] for key, count in sorted(found.items())] for side, found in sides.items()},
    }


def main() -> None:
    """Compare, print the counts and the defects, write everything."""
    parser = argparse.ArgumentParser(description="this app's mapping and that of dicom2fhir, side by side")
    parser.add_argument("files", nargs="*", type=Path, default=FILES, metavar="FILE")
    parser.add_argument("--python", type=Path, help="of an environment that has dicom2fhir")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = arguments.python or environment(Path(folder))
        results = [compare(python, file) for file in arguments.files]
    table = Table("file", "elements of both", "ours only", "theirs only", "defects of ours", "of theirs")
    for result in results:
        counts = [str(len(result[name])) for name in ("both", "ours_only", "theirs_only")]
        wrong = [str(sum(count for *_, count in result["defects"][side])) for side in ("ours", "theirs")]
        table.add_row(result["file"], *counts, *wrong)
    Console().print(table)
    for result in results:
        for side in ("ours", "theirs"):
            for path, kind, count in result["defects"][side]:
                print(f"{result['file']} | {side} | {path} | {kind} | {count}")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
