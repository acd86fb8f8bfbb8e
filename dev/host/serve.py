"""`python -m dev host`: runs the app where Azure Functions Core Tools are not installed.

A stand-in, not Microsoft's host: it honours host.json, timers, queues, HTTP routes and keys, and nothing beyond. With
several of these on one queue each runs the timers; `--no-timer` turns them off in all but one.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from dev.host import logs
from dev.host.errors import HostError, StartError
from dev.host.http import Keys, application
from dev.host.index import Function, index
from dev.host.messages import MessageRunner
from dev.host.options import HostOptions, read_options
from dev.host.queues import QueueListener
from dev.host.settings import load_local_settings
from dev.host.storage import queue_service
from dev.host.timers import Timer
from dev.host.worker import Worker
from dev.process import announce, exit_with_parent

NOTICE = "host: this is a stand-in for the Azure Functions host, not Microsoft's"
GRACE_S = 5.0
LAST_WORDS_S = 2.0


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # the host itself decides what a signal means
        yield


class Host:
    """Everything one host process runs."""

    def __init__(
        self, functions: list[Function], options: HostOptions, listening: socket.socket, keys: Keys, crash_s: int
    ) -> None:
        self._worker = Worker(options.function_timeout_s)
        self._functions = functions
        self._options = options
        self._listening = listening
        self._crash_s = crash_s
        self._stop = asyncio.Event()
        web = application(functions, self._worker, keys, options.route_prefix)
        self._server = _Server(uvicorn.Config(web, log_config=None, lifespan="off", timeout_graceful_shutdown=5))

    async def run(self, ready: dict[str, Any]) -> None:
        """Run until SIGTERM or Ctrl-C, then stop within the grace time."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with contextlib.AsyncExitStack() as clients:
            tasks = [asyncio.create_task(each) for each in [*self._timers(), *await self._listeners(clients)]]
            tasks.append(asyncio.create_task(self._server.serve(sockets=[self._listening])))
            announce(**ready)
            # a task that ends before it is told to has failed, and the host with it
            await asyncio.wait([asyncio.create_task(self._stop.wait()), *tasks], return_when=asyncio.FIRST_COMPLETED)
            failed = not self._stop.is_set()
            self._stop.set()
            await self._wind_down(tasks)
            if failed:
                raise HostError("a listener failed: " + "; ".join(_failures(tasks)))

    def _timers(self) -> list[Coroutine[Any, Any, None]]:
        return [Timer(each, self._worker).run(self._stop) for each in self._functions if each.kind == "timer"]

    async def _listeners(self, clients: contextlib.AsyncExitStack) -> list[Coroutine[Any, Any, None]]:
        listeners = []
        for function in self._functions:
            if function.kind == "queue":
                service = await clients.enter_async_context(queue_service(str(function.trigger["connection"])))
                runner = MessageRunner(function, service, self._options.queues, self._worker, self._crash_s)
                listeners.append(QueueListener(runner).run(self._stop))
        return listeners

    async def _wind_down(self, tasks: list[asyncio.Task[None]]) -> None:
        self._server.should_exit = True
        _, running = await asyncio.wait(tasks, timeout=GRACE_S)
        self._worker.cancel_running()
        if running:
            # cancelled functions count as failed: their messages become visible again
            _, running = await asyncio.wait(running, timeout=LAST_WORDS_S)
        for task in running:
            task.cancel()
        await self._worker.close()


def command(
    *,
    app: Annotated[Path, typer.Option(help="Folder of the app: function_app.py and host.json.")] = Path(),
    settings: Annotated[Path | None, typer.Option(help="Settings file [local.settings.json of the app].")] = None,
    port: Annotated[int, typer.Option(help="HTTP port, 0 for a free one.")] = 7071,
    crash_visibility_s: Annotated[int, typer.Option(min=1, help="How long a dead host's messages stay hidden.")] = 600,
    timer: Annotated[bool, typer.Option(help="Run timer functions.")] = True,
    key: Annotated[str | None, typer.Option(help="Function key [made up].")] = None,
    master_key: Annotated[str | None, typer.Option(help="Master key, for /admin [made up].")] = None,
) -> None:
    """Run the Functions app of a folder. A stand-in for Microsoft's host."""
    print(NOTICE, file=sys.stderr, flush=True)
    exit_with_parent()
    logs.configure()
    keys = Keys(key or secrets.token_urlsafe(16), master_key or secrets.token_urlsafe(16))
    try:
        folder = app.resolve()
        load_local_settings(folder, settings)
        options, functions = read_options(folder), index(folder)
        if not timer:
            functions = [each for each in functions if each.kind != "timer"]
        listening = _listen(port)
        asyncio.run(_run(functions, options, listening, keys, crash_visibility_s))
    except HostError as error:
        raise SystemExit(f"host: {error}") from None
    # a function stuck in a thread must not keep the process
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _failures(tasks: list[asyncio.Task[None]]) -> list[str]:
    done = [task for task in tasks if task.done() and not task.cancelled()]
    return [repr(task.exception()) for task in done if task.exception()] or ["it ended by itself"]


async def _run(
    functions: list[Function], options: HostOptions, listening: socket.socket, keys: Keys, crash_s: int
) -> None:
    ready = {
        "part": "host",
        "url": f"http://127.0.0.1:{listening.getsockname()[1]}",
        "functions": [each.name for each in functions],
        "function_key": keys.function,
        "master_key": keys.master,
        "stand_in": True,
    }
    await Host(functions, options, listening, keys, crash_s).run(ready)


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
