"""`python -m dev azurite`: Microsoft's storage emulator (blobs, queues, tables) on 127.0.0.1.

Content lives in memory unless a folder is named. Nothing is ever sent to Microsoft (telemetry is off).
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from dev import node
from dev.process import announce, claim_port, ended, stopped_at_end, wait_for_port

ACCOUNT = "devstoreaccount1"
# the published key of Azurite's development account, the same on every machine
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
START_TIMEOUT_S = 60.0


def connection_string(endpoints: dict[str, str]) -> str:
    """The development account with these three endpoints, as every Azure client takes it."""
    parts = {"DefaultEndpointsProtocol": "http", "AccountName": ACCOUNT, "AccountKey": KEY}
    parts |= {f"{service.capitalize()}Endpoint": url for service, url in endpoints.items()}
    return "".join(f"{name}={value};" for name, value in parts.items())


def _arguments(ports: dict[str, int], data: Path | None) -> list[str]:
    """The API version check is off because the SDKs are always newer than the emulator."""
    arguments = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    for service, port in ports.items():
        arguments += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    if data is None:
        return [*arguments, "--inMemoryPersistence"]
    data.mkdir(parents=True, exist_ok=True)
    return [*arguments, "--location", str(data.resolve())]


def command(
    blob_port: Annotated[int, typer.Option(help="0 picks a free one")] = 10000,
    queue_port: Annotated[int, typer.Option(help="0 picks a free one")] = 10001,
    table_port: Annotated[int, typer.Option(help="0 picks a free one")] = 10002,
    data: Annotated[Path | None, typer.Option(help="folder that keeps the content; in memory without it")] = None,
) -> None:
    """Start Azurite, the local stand-in for Azure Storage."""
    wanted = {"blob": blob_port, "queue": queue_port, "table": table_port}
    ports = {service: claim_port(port, f"azurite: the {service} port") for service, port in wanted.items()}
    script = node.FOLDER / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    # its banner would mix with the ready line; what goes wrong is on stderr
    child = node.start(script, *_arguments(ports, data), stdout=subprocess.DEVNULL)
    with stopped_at_end(child):
        try:
            for port in ports.values():
                wait_for_port(port, START_TIMEOUT_S, child)
        except (RuntimeError, TimeoutError) as error:
            sys.exit(f"azurite: {error}")
        endpoints = {service: f"http://127.0.0.1:{port}/{ACCOUNT}" for service, port in ports.items()}
        announce(part="azurite", **endpoints, connection_string=connection_string(endpoints))
        status = ended(child)
    sys.exit(f"azurite: ended by itself with status {status}")
