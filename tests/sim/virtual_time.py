"""An event loop whose clock stands still while something can run and jumps to the next timer when nothing can."""

import asyncio
import selectors


class _Jumping(selectors.SelectSelector):
    """Instead of waiting, moves the clock on."""

    now_s = 0.0

    def select(self, timeout=None):
        found = super().select(0)
        if not found:
            assert timeout is not None, "everybody waits for something that will not come"
            self.now_s += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Hours pass in the seconds that their events take."""

    def __init__(self):
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.now_s


def run_virtually(main):
    """What the coroutine returns."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
