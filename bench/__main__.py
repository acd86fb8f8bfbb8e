"""`make bench`: what a burst of one study costs, as ratios to the floor measured in the same run.

The floor is what nobody can avoid: the study's metadata fetched and decoded once, the resulting bundle posted once.
"""

import asyncio
import json
import os
import time
import uuid
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from dev.drain import drain
from dev.process import running

SIZES = (10, 100, 1_000, 5_000)
SERIES = 5
DICOM_JSON = {"Accept": "application/dicom+json"}


def fhir_stats(admin: str) -> dict[str, Any]:
    """The FHIR server's own counters."""
    stats: dict[str, Any] = httpx.get(f"{admin}/stats", trust_env=False).raise_for_status().json()
    return stats


def dicom_requests(dicom: str) -> int:
    """Requests that the DICOM service counted."""
    stats = httpx.get(f"{dicom}/_dev/stats", trust_env=False).raise_for_status().json()
    return sum(sum(methods.values()) for methods in stats["requests"].values())


def floor_s(dicom: str, fhir: str, study: str, bundle: bytes) -> float:
    """Seconds to fetch and decode the study's metadata and to post a bundle of the same size."""
    with httpx.Client(trust_env=False, timeout=120) as client:
        started = time.perf_counter()
        json.loads(client.get(f"{dicom}/v1/studies/{study}/metadata", headers=DICOM_JSON).content)
        client.post(fhir, content=bundle, headers={"Content-Type": "application/fhir+json"}).raise_for_status()
        return time.perf_counter() - started


def copy_of(study: dict[str, Any]) -> bytes:
    """The written ImagingStudy as a bundle that creates another one."""
    bare = {name: value for name, value in study.items() if name not in ("id", "meta", "identifier", "endpoint")}
    bare["subject"] = {"display": "bench"}
    for series in bare["series"]:
        series.pop("endpoint", None)
    entry = {
        "fullUrl": f"urn:uuid:{uuid.uuid4()}",
        "resource": bare,
        "request": {"method": "POST", "url": "ImagingStudy"},
    }
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).encode()


def measure(size: int, dicom: str, fhir: str, admin: str) -> tuple[str, ...]:
    """One burst; a row of the table."""
    httpx.post(f"{dicom}/_dev/reset", trust_env=False).raise_for_status()
    httpx.post(f"{admin}/reset", trust_env=False).raise_for_status()
    body = {
        "studies": 1,
        "series_per_study": SERIES,
        "instances_per_series": size // SERIES,
        "patients": 1,
        "seed": size,
    }
    made = httpx.post(f"{dicom}/_dev/bulk", json=body, trust_env=False, timeout=120).raise_for_status().json()
    os.environ["TableStore__TableNamePrefix"] = f"bench{size}"
    os.environ["STUDY_QUEUE_NAME"] = f"bench-{size}"
    started = time.perf_counter()
    asyncio.run(drain())
    seconds = time.perf_counter() - started
    requests, of_dicom = fhir_stats(admin)["total"], dicom_requests(dicom)
    resources = httpx.get(f"{admin}/dump", trust_env=False, timeout=120).json()
    study = next(one for one in resources if one["resourceType"] == "ImagingStudy")
    floor = floor_s(dicom, fhir, made["studies"][0], copy_of(study))
    return str(size), str(requests), str(of_dicom), f"{seconds:.2f}", f"{floor:.2f}", f"{seconds / floor:.1f}"


def main() -> None:
    """Measure each size and print the table."""
    console = Console()
    table = Table("instances", "FHIR requests", "DICOM requests", "seconds", "floor, seconds", "ratio")
    with (
        running("azurite", "--blob-port", "0", "--queue-port", "0", "--table-port", "0") as azurite,
        running("dicom", "--port", "0") as dicom,
        running("fhir", "--port", "0") as fhir,
        console.status("measuring") as status,
    ):
        os.environ["AzureWebJobsStorage"] = azurite.urls["connection_string"]
        os.environ["DicomWeb__Endpoint"] = dicom.urls["url"]
        os.environ["Fhir__Endpoint"] = fhir.urls["url"]
        for size in SIZES:
            status.update(f"a burst of {size} instances of one study")
            table.add_row(*measure(size, dicom.urls["url"], fhir.urls["url"], fhir.urls["admin"]))
    console.print(table)


if __name__ == "__main__":
    main()
