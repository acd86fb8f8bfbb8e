"""The worker process: imports the app, runs its functions.

Coroutines share one event loop, with the reading of what the host sends: a function that blocks the loop stops all that
are async. Everything else runs in threads.
"""

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import azure.functions as func

from dev.host import arguments, frames, logs
from dev.host.errors import StartError
from dev.host.index import Function, index

_THREADS = 1000  # as Core Tools has it; they are made as they are needed


class Context(func.Context):
    """What a function gets that asks for a parameter named `context`."""

    def __init__(self, function: Function, invocation_id: str) -> None:
        self._function = function
        self._invocation_id = invocation_id

    @property
    def invocation_id(self) -> str:
        return self._invocation_id

    @property
    def function_name(self) -> str:
        return self._function.name

    @property
    def function_directory(self) -> str:
        return str(Path.cwd())

    thread_local_storage: Any = threading.local()
    trace_context: Any = None
    retry_context: Any = None


class _Functions:
    """The app's functions, run as the host asks for them."""

    def __init__(self, functions: list[Function]) -> None:
        self._functions = {each.name: each for each in functions}
        count = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
        self._threads = ThreadPoolExecutor(int(count) if count else _THREADS, thread_name_prefix="function")

    async def run(self, invocation: frames.Invocation) -> frames.Outcome:
        function = self._functions[invocation.function]
        logs.running.set(function.name)
        try:
            result = await self._call(function, invocation)
            answer = arguments.answer(result) if function.kind == "http" else None
        except Exception:  # noqa: BLE001 - the host logs it; what follows is its business
            return frames.Outcome(invocation.id, traceback=traceback.format_exc())
        return frames.Outcome(invocation.id, result=answer)

    async def _call(self, function: Function, invocation: frames.Invocation) -> Any:
        given = {function.argument: arguments.build(function.kind, invocation.argument)}
        if function.takes_context:
            given["context"] = Context(function, invocation.id)
        call = functools.partial(function.call, **given)
        if function.is_async:
            return await call()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, copy_context().run, call)


async def _serve(connection: socket.socket, functions: list[Function]) -> None:
    reader, writer = await asyncio.open_connection(sock=connection)
    frames.write(writer, [each.described() for each in functions])
    app = _Functions(functions)
    tasks = set()

    async def run(invocation: frames.Invocation) -> None:
        frames.write(writer, await app.run(invocation))

    with contextlib.suppress(EOFError):
        while True:
            task = asyncio.create_task(run(await frames.read(reader)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


def _end_with_host(host: int) -> None:
    while os.getppid() == host:
        time.sleep(0.2)
    os._exit(1)


def main() -> None:
    """Serve the host that started this process: arguments are socket, folder of the app, its own id, log levels."""
    descriptor, folder, host, levels = sys.argv[1:]
    # the host decides what a signal means; both get it when somebody presses Ctrl-C
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_host, args=(int(host),), daemon=True).start()
    logs.configure(logs.Levels(json.loads(levels)), in_worker=True)
    connection = socket.socket(fileno=int(descriptor))
    try:
        functions = index(Path(folder))
    except StartError as error:
        print(f"host: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    asyncio.run(_serve(connection, functions))
    os._exit(0)
