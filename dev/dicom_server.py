"""`python -m dev dicom-server`: Microsoft's own DICOM service on 127.0.0.1, with its index in memory."""

import sys
from typing import Annotated

import typer

from dev.microsoft import port_for, running_program, wait_until_answers
from dev.process import announce, ended

NAME = "dicom-server"
PROBE = "/v1/changefeed?limit=1&includeMetadata=false"
PARTITIONS = "DicomServer__Features__EnableDataPartitions"


def command(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.")] = 8042,
    *,
    partitions: Annotated[bool, typer.Option(help="Turn data partitions on.")] = False,
    admin: Annotated[
        bool, typer.Option("--admin", help="Put a proxy with the routes /_dev/ of `dicom` in front.")
    ] = False,
) -> None:
    """Microsoft's DICOM service itself, in memory. Environment variables MEMSTORE_... make it fail on request."""
    if admin:
        from dev import front  # noqa: PLC0415 - needs what the server alone does not

        front.run(front.DicomServer(environment(partitions=partitions)), port)
        return
    port = port_for(NAME, port)
    url = f"http://127.0.0.1:{port}"
    with running_program(NAME, env={"PORT": str(port), **environment(partitions=partitions)}) as child:
        wait_until_answers(child, NAME, url + PROBE)
        announce(part=NAME, url=url)
        status = ended(child)
    sys.exit(f"{NAME}: ended by itself with status {status}")


def environment(*, partitions: bool) -> dict[str, str]:
    return {PARTITIONS: str(partitions).lower()}
