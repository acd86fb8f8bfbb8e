"""`python -m dev load`: store files and folders in a DICOM service by STOW-RS.

The files go over the wire byte for byte, in multipart requests made here. dicomweb-client would not do: it takes parsed
datasets and encodes them again, which alters or refuses broken files before the service can judge them, and it raises
on 409 instead of handing over which instances were refused and why.
"""

import json
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

BATCH_FILES = 25
BATCH_BYTES = 32 * 1024 * 1024
TIMEOUT_S = 120.0
ALREADY_THERE = 45070  # failure reason of the DICOM service for a duplicate
FAILED_SEQUENCE, FAILURE_REASON, STORED_SEQUENCE = "00081198", "00081197", "00081199"


@dataclass
class Counts:
    """What became of the files."""

    stored: int = 0
    already_there: int = 0
    not_dicom: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # failure reason code -> instances

    @property
    def files(self) -> int:
        return self.stored + self.already_there + self.not_dicom + self.refused.total()

    def as_json(self) -> str:
        """One line."""
        fields = {"stored": self.stored, "refused": dict(self.refused), "not_dicom": self.not_dicom}
        return json.dumps({**fields, "already_there": self.already_there})


def files_below(paths: Iterable[Path]) -> list[Path]:
    """The files named, and those of the folders named, in a stable order."""
    found: list[Path] = []
    for path in paths:
        found += sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return found


def studies_url(service: str) -> str:
    """Where to store: the service's URL may or may not name the version of its interface."""
    url = service.rstrip("/")
    last = url.rsplit("/", 1)[-1]
    return f"{url}/studies" if last[:1] == "v" and last[1:2].isdigit() else f"{url}/v2/studies"


def store(files: Iterable[Path], service: str, progress: Callable[[int], None] | None = None) -> Counts:
    """Store the files; raises httpx.HTTPError when the service cannot be reached."""
    counts = Counts()
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
        for batch in _batches(files, counts):
            if batch:
                _store_batch(client, studies_url(service), batch, counts)
            if progress:
                progress(counts.files)
    return counts


def _batches(files: Iterable[Path], counts: Counts) -> Iterator[list[bytes]]:
    """Contents in batches; what is not DICOM is only counted."""
    batch: list[bytes] = []
    for file in files:
        content = file.read_bytes()
        if content[128:132] != b"DICM":  # PS3.10, 7.1
            counts.not_dicom += 1
            continue
        if batch and (len(batch) == BATCH_FILES or sum(map(len, batch)) + len(content) > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(content)
    yield batch


def _store_batch(client: httpx.Client, url: str, batch: list[bytes], counts: Counts) -> None:
    boundary = uuid.uuid4().hex
    parts = [b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (boundary.encode(), each) for each in batch]
    response = client.post(
        url,
        content=b"".join(parts) + b"--%s--\r\n" % boundary.encode(),
        headers={
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
        },
    )
    if response.status_code not in {200, 202, 409}:
        counts.refused[f"HTTP {response.status_code}"] += len(batch)
        return
    answer = response.json()
    counts.stored += len(_items(answer, STORED_SEQUENCE))
    for item in _items(answer, FAILED_SEQUENCE):
        reason = item.get(FAILURE_REASON, {}).get("Value", ["unknown"])[0]
        if reason == ALREADY_THERE:
            counts.already_there += 1
        else:
            counts.refused[str(reason)] += 1


def _items(answer: dict[str, Any], sequence: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = answer.get(sequence, {}).get("Value", [])
    return items


def store_with_bar(files: list[Path], service: str, console: Console) -> Counts:
    """Store the files with a progress bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("storing", total=len(files))
        return store(files, service, lambda done: progress.update(task, completed=done))


def command(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files or folders.")],
    dicom: Annotated[str, typer.Option(help="URL of the DICOM service, with or without /v1 or /v2.")],
) -> None:
    """Store DICOM files in a DICOM service; prints one JSON line with counts."""
    try:
        counts = store_with_bar(files_below(paths), dicom, Console(stderr=True))
    except httpx.HTTPError as error:
        sys.exit(f"load: {dicom} does not answer: {type(error).__name__}")
    print(counts.as_json())
