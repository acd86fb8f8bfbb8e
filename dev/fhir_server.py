"""`python -m dev fhir-server`: Microsoft's own FHIR server, R4, on 127.0.0.1, with its store in memory."""

import sys
from typing import Annotated

import httpx
import typer

from dev.microsoft import port_for, running_program, wait_until_answers
from dev.process import announce, ended

NAME = "fhir-server"
PROBE = "/metadata"


def command(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.")] = 8090,
    *,
    admin: Annotated[
        bool, typer.Option("--admin", help="Put a proxy with the routes /_dev/ of `fhir` in front.")
    ] = False,
) -> None:
    """Microsoft's FHIR server itself, in memory. Environment variables MEMSTORE_... make it fail on request."""
    if admin:
        from dev import front  # noqa: PLC0415 - needs what the server alone does not

        front.run(front.FhirServer(), port)
        return
    port = port_for(NAME, port)
    url = f"http://127.0.0.1:{port}"
    with running_program(NAME, env={"PORT": str(port)}) as child:
        announce(part=NAME, url=url, version=version_of(wait_until_answers(child, NAME, url + PROBE)))
        status = ended(child)
    sys.exit(f"{NAME}: ended by itself with status {status}")


def version_of(statement: httpx.Response) -> str:
    """The version that a CapabilityStatement names; empty where it names none."""
    return str(statement.json().get("software", {}).get("version", ""))
