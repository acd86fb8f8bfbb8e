"""`python -m dev host`: runs the app where Azure Functions Core Tools are not installed.

A stand-in, not Microsoft's host: it honours host.json, timers, queues, HTTP routes and keys, and nothing beyond.
docs/stand-ins.md says in what it differs.
"""

import asyncio
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from dev.host import logs
from dev.host.errors import HostError, Recycled, StartError
from dev.host.host import Host
from dev.host.http import Keys
from dev.host.options import read_options
from dev.host.settings import load_local_settings
from dev.process import exit_with_parent

NOTICE = "host: this is a stand-in for the Azure Functions host, not Microsoft's"


def command(
    *,
    app: Annotated[Path, typer.Option(help="Folder of the app: function_app.py and host.json.")] = Path(),
    settings: Annotated[Path | None, typer.Option(help="Settings file [local.settings.json of the app].")] = None,
    port: Annotated[int, typer.Option(help="HTTP port, 0 for a free one.")] = 7071,
    crash_visibility_s: Annotated[
        int, typer.Option(min=1, help="How long a dead host's messages stay hidden, and its timers at most.")
    ] = 600,
    key: Annotated[str | None, typer.Option(help="Function key [made up].")] = None,
    master_key: Annotated[str | None, typer.Option(help="Master key, for /admin [made up].")] = None,
) -> None:
    """Run the Functions app of a folder. A stand-in for Microsoft's host."""
    print(NOTICE, file=sys.stderr, flush=True)
    exit_with_parent()
    keys = Keys(key or secrets.token_urlsafe(16), master_key or secrets.token_urlsafe(16))
    try:
        folder = app.resolve()
        load_local_settings(folder, settings)
        options = read_options(folder)
        logs.configure(options.levels)
        listening = _listen(port)
        ready = {
            "part": "host",
            "url": f"http://127.0.0.1:{listening.getsockname()[1]}",
            "function_key": keys.function,
            "master_key": keys.master,
            "stand_in": True,
        }
        asyncio.run(Host(folder, options, keys, crash_visibility_s).run(listening, ready))
    except Recycled as error:
        print(f"host: {error}", file=sys.stderr, flush=True)
    except HostError as error:
        raise SystemExit(f"host: {error}") from None
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        # who reads the ready line may connect before the server has taken its first turn
        listening.listen()
    except OSError as error:
        raise StartError(f"port {port} is taken: name another one with --port, or 0 for any free one") from error
    return listening
