"""`python -m dev dicom`: a stand-in for Microsoft's DICOM service on 127.0.0.1."""

import contextlib
import logging
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from dev.dicom.app import make_app
from dev.dicom.service import Service
from dev.dicom.wire import Protocol
from dev.process import announce, exit_with_parent, terminate_on_sigterm


class _Server(uvicorn.Server):
    """Says when it listens, and ends without reporting the requests it had to cancel."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets
        announce(part="dicom", url=f"http://127.0.0.1:{sockets[0].getsockname()[1]}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def command(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.")] = 8042,
    data: Annotated[Path | None, typer.Option(help="Keep content and change feed in this folder.")] = None,
    partitions: Annotated[bool, typer.Option(help="Turn data partitions on.")] = False,  # noqa: FBT002 - an option
    seed: Annotated[int, typer.Option(help="Seed of every order that the service leaves open.")] = 0,
) -> None:
    """A stand-in for Microsoft's DICOM service: DICOMweb, change feed, bulk update; faults on request under /_dev/."""
    exit_with_parent()
    terminate_on_sigterm()
    with _folder(data) as folder, socket.create_server(("127.0.0.1", port), backlog=2048) as listening:
        service = Service(folder, keep=data is not None, partitions=partitions, seed=seed)
        config = uvicorn.Config(
            make_app(service),
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        try:
            _Server(config).run(sockets=[listening])
        finally:
            service.journal.close()


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="dicom-") as folder:
        yield Path(folder)
