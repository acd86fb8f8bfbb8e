"""`python -m bench.mapping`: what mapping an instance costs, as a ratio to decoding the JSON that it came in."""

import gc
import json
import time
from collections.abc import Callable
from typing import Any

import pydicom
from pydicom.data import get_testdata_file
from rich.console import Console

from shared.dicom.sharing import Sharing
from shared.dicom.study import Truth, by_instance
from shared.fhir.validation import check_valid
from shared.mapping.provides import provided
from shared.mapping.series_layer import Links
from shared.mapping.study_identifiers import study_identity
from shared.mapping.study_layer import lay_study, new_study
from shared.sync.delta import Before, study_delta
from shared.wiring import COLLECT_AFTER

FILES = {"CT": "CT_small.dcm", "MR": "MR_small.dcm", "segmentation": "liver_1frame.dcm", "RT plan": "rtplan.dcm"}
INSTANCES = 500
RUNS = 5


def metadata(name: str) -> str:
    """The answer of a DICOM service for a study of many such instances."""
    path = get_testdata_file(name)
    dataset = pydicom.dcmread(str(path))
    if "PixelData" in dataset:
        del dataset.PixelData
    one = dataset.to_json_dict(suppress_invalid_tags=True)
    numbered = ({**one, "00080018": {"vr": "UI", "Value": [f"1.2.3.{number}"]}} for number in range(INSTANCES))
    return json.dumps(list(numbered))


def map_all(datasets: list[Any]) -> dict[str, Any]:
    """The ImagingStudy of these datasets, by the way that a first look takes."""
    uid = datasets[0]["0020000D"]["Value"][0]
    instances, _ = by_instance(uid, datasets)
    listed = dict.fromkeys(instances, 1)
    delta = study_delta(Truth(instances, is_whole=True), provided(instances, ""), Before(listed=listed), final=True)
    assert delta is not None
    study = new_study(study_identity(uid), "bench")
    resource = lay_study(study, delta.content, delta.gone, Links("Patient/1", "Endpoint/1"), "").resource
    assert resource is not None
    return resource


def fastest_s(work: Callable[[], Any]) -> float:
    """Seconds of the fastest of several runs."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def mapping() -> list[dict[str, Any]]:
    """For each kind of object, seconds per instance of decoding, mapping, checking against R4 and encoding."""
    gc.set_threshold(COLLECT_AFTER)  # as in the app, or decoding looks slower than it is
    found = []
    for kind, name in FILES.items():
        text = metadata(name)
        datasets = json.loads(text, object_hook=Sharing())  # as the app decodes them
        resource = map_all(datasets)
        steps: dict[str, Callable[[], Any]] = {
            "decode_s": lambda text=text: json.loads(text),  # type: ignore[misc]
            "map_s": lambda datasets=datasets: map_all(datasets),  # type: ignore[misc]
            "check_s": lambda resource=resource: check_valid(resource),  # type: ignore[misc]
            "encode_s": lambda resource=resource: json.dumps(resource),  # type: ignore[misc]
        }
        each = {step: fastest_s(work) / INSTANCES for step, work in steps.items()}
        found.append({"kind": kind, "bytes": len(text) // INSTANCES, **each})
    return found


if __name__ == "__main__":
    from bench import report

    Console().print(report.as_rich(report.mapping({"mapping": mapping()})))
