"""`python -m dev fhir-server`: Microsoft's own FHIR server, R4, on 127.0.0.1, with its store in memory."""

import sys
from typing import Annotated

import typer

from dev.microsoft import running_program, wait_until_answers
from dev.process import announce, claim_port, ended

NAME = "fhir-server"


def command(port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.")] = 8090) -> None:
    """Microsoft's FHIR server itself, in memory. Environment variables MEMSTORE_... make it fail on request."""
    port = claim_port(port, f"{NAME}: the port")
    url = f"http://127.0.0.1:{port}"
    with running_program(NAME, env={"PORT": str(port)}) as child:
        statement = wait_until_answers(child, NAME, f"{url}/metadata").json()
        announce(part=NAME, url=url, version=statement.get("software", {}).get("version"))
        status = ended(child)
    sys.exit(f"{NAME}: ended by itself with status {status}")
