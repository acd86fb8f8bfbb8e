"""Everything one host process runs: listeners, timers, web server and the worker process."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from azure.data.tables.aio import TableClient
from starlette.routing import Route

from dev.host import http
from dev.host.errors import BindingError, HostError, Recycled
from dev.host.index import Function
from dev.host.locks import TABLE, TimerLock, create_table, host_id
from dev.host.messages import MessageRunner
from dev.host.options import HostOptions
from dev.host.queues import QueueListener
from dev.host.storage import queue_service, reach, table_client
from dev.host.timers import Timer
from dev.host.worker import Worker
from dev.process import announce

log = logging.getLogger("host")

STORAGE = "AzureWebJobsStorage"
# what runs at a signal may end within this time, then the process does
ALLOTTED_S = 10.0
LAST_WORDS_S = 2.0


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # the host itself decides what a signal means
        yield


class Host:
    """One host; `held_after_death_s` is how long what it holds when it is killed stays hidden from others."""

    def __init__(self, folder: Path, options: HostOptions, keys: http.Keys, held_after_death_s: int) -> None:
        self._options, self._keys, self._held_s = options, keys, held_after_death_s
        self._app = host_id(folder)
        self._worker = Worker(folder, options.function_timeout_s, options.levels)
        self._clients = contextlib.AsyncExitStack()
        self._stop = asyncio.Event()
        self._signalled = asyncio.Event()
        self._runners: list[MessageRunner] = []
        self._timers: list[tuple[Timer, TimerLock]] = []
        self._routes: list[Route] = []

    async def run(self, listening: socket.socket, ready: dict[str, Any]) -> None:
        """Run until SIGTERM or Ctrl-C; raises HostError when the host ends by itself."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled.set)
        async with self._clients:
            functions = await self._worker.start()
            try:
                running = await self._indexed(functions)
                await asyncio.gather(*(reach(each.queue.get_queue_properties) for each in self._runners))
                web = http.application(self._routes, running, self._worker, self._keys)
                server = _Server(uvicorn.Config(web, log_config=None, lifespan="off", timeout_graceful_shutdown=10))
                await self._serve(server, listening, ready | {"functions": [each.name for each in running]})
            finally:
                self._worker.kill()

    async def _indexed(self, functions: list[Function]) -> list[Function]:
        """Those that can run; what is wrong with the others is logged."""
        table = table_client(STORAGE, TABLE) if any(each.kind == "timer" for each in functions) else None
        if table is not None:
            await self._clients.enter_async_context(table)
            await reach(partial(create_table, table))
        running = []
        for function in functions:
            try:
                await self._add(function, table)
            except BindingError as error:
                log.error("The '%s' function is in error: %s", function.name, error)  # noqa: TRY400 - one line
            else:
                running.append(function)
        return running

    async def _add(self, function: Function, table: TableClient | None) -> None:
        if function.error:
            raise BindingError(function.error)
        if function.kind == "http":
            self._routes.append(http.route(function, self._worker, self._keys, self._options.route_prefix))
        elif function.kind == "timer":
            lock = TimerLock(table, self._app, function.name, self._held_s)
            self._timers.append((Timer(function, self._worker, lock), lock))
        else:
            service = queue_service(str(function.trigger["connection"]))
            runner = MessageRunner(function, service, self._options.queues, self._worker, self._held_s)
            await self._clients.enter_async_context(service)
            self._runners.append(runner)

    async def _serve(self, server: _Server, listening: socket.socket, ready: dict[str, Any]) -> None:
        keeping = asyncio.create_task(self._worker.keep())
        stop = self._stop
        loops = [QueueListener(each).run(stop) for each in self._runners]
        loops += [one for timer, lock in self._timers for one in (timer.run(stop), lock.keep(stop))]
        tasks = [asyncio.create_task(each) for each in loops]
        tasks.append(asyncio.create_task(server.serve(sockets=[listening])))
        signalled = asyncio.create_task(self._signalled.wait())
        announce(**ready)
        await asyncio.wait([signalled, keeping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        failed = [each for each in [keeping, *tasks] if each.done() and not signalled.done()]
        # after a signal the host goes on taking messages while it waits for what runs; after deaths it does not
        if failed:
            stop.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._worker.idle.wait(), ALLOTTED_S)
        stop.set()
        await asyncio.wait(tasks, timeout=LAST_WORDS_S)
        # what still runs is left as it is: its messages stay hidden for the rest of their lease
        if not self._worker.idle.is_set():
            log.warning("Host did not shutdown within its allotted time.")
        for task in (keeping, *tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in failed:
            raise _reason(task.exception())


def _reason(error: BaseException | None) -> BaseException:
    return error if isinstance(error, Recycled) else HostError(f"a part of the host ended by itself: {error!r}")
