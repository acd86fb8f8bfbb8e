"""The floor: what nobody can avoid. The same metadata fetched and decoded, the same bundle posted once."""

import importlib
import json
import time
import uuid
from typing import Any

from bench.bed import Bed, Figures

DICOM_JSON = {"Accept": "application/dicom+json"}
FHIR_JSON = {"Content-Type": "application/fhir+json"}
RUNS = 3


def floor(bed: Bed, study: str) -> Figures:
    """Seconds of the fastest of several runs, with json, and with orjson where that is installed."""
    resources = bed.resources()
    written = next(one for one in resources if one["resourceType"] == "ImagingStudy" and _is_of(one, study))
    bundle = _copy_of(written)
    fetched, decoded, posted = [], [], []
    for _ in range(RUNS):
        started = time.perf_counter()
        content = bed.http.get(f"{bed.dicom}/v1/studies/{study}/metadata", headers=DICOM_JSON).content
        fetched.append(time.perf_counter() - started)
        decoded.append(_seconds(json.loads, content))
        started = time.perf_counter()
        bed.http.post(bed.fhir, content=bundle, headers=FHIR_JSON).raise_for_status()
        posted.append(time.perf_counter() - started)
    found = {"fetch_s": min(fetched), "decode_s": min(decoded), "post_s": min(posted), "bytes": len(content)}
    try:
        faster = importlib.import_module("orjson")
    except ImportError:
        pass
    else:
        found["decode_orjson_s"] = min(_seconds(faster.loads, content) for _ in range(RUNS))
    return found | {"seconds": found["fetch_s"] + found["decode_s"] + found["post_s"]}


def _seconds(decode: Any, content: bytes) -> float:
    started = time.process_time()
    decode(content)
    return time.process_time() - started


def _is_of(resource: dict[str, Any], study: str) -> bool:
    return any(row.get("value") == f"urn:oid:{study}" for row in resource.get("identifier", []))


def _copy_of(study: dict[str, Any]) -> bytes:
    """The written ImagingStudy as a bundle that creates another one."""
    bare = {name: value for name, value in study.items() if name not in ("id", "meta", "identifier", "endpoint")}
    bare["subject"] = {"display": "bench"}
    for series in bare["series"]:
        series.pop("endpoint", None)
        series.pop("performer", None)
    request = {"method": "POST", "url": "ImagingStudy"}
    entry = {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": bare, "request": request}
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).encode()
