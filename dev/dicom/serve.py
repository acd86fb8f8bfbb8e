"""`python -m dev dicom`: a stand-in for Microsoft's DICOM service on 127.0.0.1."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from dev.asgi import listen, origin_of, serve
from dev.dicom.app import make_app
from dev.dicom.service import Service
from dev.dicom.wire import Protocol
from dev.process import exit_with_parent, terminate_on_sigterm


def command(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.")] = 8042,
    data: Annotated[Path | None, typer.Option(help="Keep content and change feed in this folder.")] = None,
    partitions: Annotated[bool, typer.Option(help="Turn data partitions on.")] = False,  # noqa: FBT002 - an option
    seed: Annotated[int, typer.Option(help="Seed of every order that the service leaves open.")] = 0,
) -> None:
    """A stand-in for Microsoft's DICOM service: DICOMweb, change feed, bulk update; faults on request under /_dev/."""
    exit_with_parent()
    terminate_on_sigterm()
    with _folder(data) as folder, listen(port) as listening:
        service = Service(folder, keep=data is not None, partitions=partitions, seed=seed)
        ready = {"part": "dicom", "url": origin_of(listening)}
        try:
            serve(make_app(service), listening, ready, http=Protocol, lifespan="off")
        finally:
            service.journal.close()


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="dicom-") as folder:
        yield Path(folder)
