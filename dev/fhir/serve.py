"""`python -m dev fhir`: the FHIR R4 server of the local stack (server.mjs) as a part with a ready line.

Everything about FHIR is on the Node side; this side starts it, says where it listens and stops it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from dev import node
from dev.process import announce, ended, stopped_at_end


def _listening_port(child: "subprocess.Popen[bytes]") -> int:
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:  # what went wrong is on stderr already
        sys.exit(child.wait() or 1)
    return int(json.loads(line)["port"])


def command(
    port: Annotated[int, typer.Option(help="0 picks a free one")] = 8090,
    data: Annotated[Path | None, typer.Option(help="folder that keeps the resources; in memory without it")] = None,
) -> None:
    """Start a FHIR R4 server: Medplum's router and search, in memory."""
    if not (node.FOLDER / "node_modules" / "@medplum").is_dir():
        sys.exit("the Node packages are not installed: run `make setup` first")
    arguments = [str(port), *([str(data.resolve())] if data else [])]
    child = node.start(node.FOLDER / "server.mjs", *arguments, stdout=subprocess.PIPE)
    with stopped_at_end(child):
        origin = f"http://127.0.0.1:{_listening_port(child)}"
        announce(part="fhir", url=f"{origin}/fhir/R4", admin=f"{origin}/_dev")
        status = ended(child)
    sys.exit(f"fhir: ended by itself with status {status}")
