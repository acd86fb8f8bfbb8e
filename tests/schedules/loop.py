"""An event loop of one thread that stops whenever nobody can go on, so that somebody else decides who goes on."""

import asyncio
import heapq
import itertools
from collections import deque

# waits that are short are over at once; longer ones are limits that nobody reaches here
SHORT_S = 30.0


class SteppedLoop(asyncio.AbstractEventLoop):
    """Runs callbacks in the order in which they became ready. Its clock moves only when `advance` moves it."""

    def __init__(self, now_s):
        self._ready = deque()
        self._timers = []
        self._numbers = itertools.count()
        self.now_s = now_s

    def run_until_idle(self):
        """Run until everybody waits for an answer."""
        asyncio._set_running_loop(self)
        try:
            while self._ready or self._short_timers():
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(None)

    def _short_timers(self):
        while self._timers and self._timers[0][0] < self.now_s + SHORT_S:
            handle = heapq.heappop(self._timers)[2]
            if not handle.cancelled():
                self._ready.append(handle)
                return True
        return False

    # what tasks, futures and the primitives of asyncio ask for

    def time(self):
        return self.now_s

    def call_soon(self, callback, *args, context=None):
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(self, when, callback, *args, context=None):
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle):
        pass

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coroutine, *, name=None, context=None):
        return asyncio.Task(coroutine, loop=self, name=name, context=context)

    def get_debug(self):
        return False

    def is_running(self):
        return True

    def is_closed(self):
        return False

    def call_exception_handler(self, context):
        raise AssertionError(f"{context.get('message')}: {context.get('exception')!r}")
