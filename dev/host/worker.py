"""Runs functions as the Python worker does: coroutines share one event loop, everything else a pool of threads.

The worker's loop has a thread of its own: a function that blocks it must not stop the host from keeping its messages.
"""

import asyncio
import functools
import logging
import os
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import azure.functions as func

from dev.host.index import Function

log = logging.getLogger("host")

CLEANUP_S = 1.0


class FunctionCancelledError(Exception):
    """The host is stopping and the function did not end in time."""


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
        return str(self._function.folder)

    thread_local_storage: Any = threading.local()
    trace_context: Any = None
    retry_context: Any = None


class Worker:
    """Runs functions, one invocation at a time per call of `run`."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.new_event_loop()
        count = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
        self._threads = ThreadPoolExecutor(int(count) if count else None, thread_name_prefix="function")
        self._running: set[Future[Any]] = set()
        threading.Thread(target=self._loop.run_forever, name="worker", daemon=True).start()

    async def run(self, function: Function, argument: Any, reason: str) -> Any:
        """The function's result; raises what the function raised, TimeoutError or FunctionCancelledError."""
        invocation_id = str(uuid.uuid4())
        started = time.monotonic()
        log.info("Executing 'Functions.%s' (%s, Id=%s)", function.name, reason, invocation_id)
        try:
            result = await self._call(function, argument, invocation_id)
        except Exception:
            seconds = time.monotonic() - started
            log.exception("Executed 'Functions.%s' (Failed, Id=%s, %.3f s)", function.name, invocation_id, seconds)
            raise
        seconds = time.monotonic() - started
        log.info("Executed 'Functions.%s' (Succeeded, Id=%s, %.3f s)", function.name, invocation_id, seconds)
        return result

    async def _call(self, function: Function, argument: Any, invocation_id: str) -> Any:
        arguments = {function.argument: argument}
        if function.takes_context:
            arguments["context"] = Context(function, invocation_id)
        call = functools.partial(function.call, **arguments)
        if function.is_async:
            future: Future[Any] = asyncio.run_coroutine_threadsafe(call(), self._loop)
        else:
            future = self._threads.submit(call)
        self._running.add(future)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            if future.cancelled() or not future.done():
                raise TimeoutError(f"functionTimeout of {self._timeout_s} s is over") from error
            raise
        except asyncio.CancelledError as error:
            raise FunctionCancelledError("the host is stopping") from error
        finally:
            self._running.discard(future)

    def cancel_running(self) -> None:
        """Cancel what runs; a function in a thread cannot be interrupted, but nobody waits for it any more."""
        for future in list(self._running):
            future.cancel()

    async def close(self) -> None:
        """Let cancelled coroutines clean up, then stop the loop; raises nothing."""
        rest = asyncio.run_coroutine_threadsafe(self._cancel_tasks(), self._loop)
        await asyncio.wait([asyncio.wrap_future(rest)], timeout=CLEANUP_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _cancel_tasks(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
