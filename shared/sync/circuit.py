"""Pure: notice that a service refuses everyone, slow down until it is back, and come back gently.

One study that fails says nothing about a service, and a failure that is known to belong to a study (`OF_ONE_STUDY`) is
never counted. When several studies in a row fail otherwise and none succeeds, the circuit opens: it is said once, and
messages go back to the queue without a request, but for one that is tried now and then. The first that succeeds closes
it. From then on there is room for one study at a time, and with each that succeeds for more; whenever a server asks for
less, for half as many.
"""

from collections.abc import Callable

from shared.errors import NoRoom, PermanentError, SyncError, Throttled, TransientError, VersionConflict
from shared.model import StudyKey

OPENS_AFTER = 5  # studies in a row
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 60.0
MOST_ROOM = 64.0  # studies at a time, more than a host runs
# failures of one study or one row: the services answered for other things before
OF_ONE_STUDY = frozenset({"unreadable-row", "unreadable-resource", "unreadable-study", "write-failed"})


class Circuit:
    """Of one worker process. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failing: set[StudyKey] = set()
        self._wait_s = FIRST_WAIT_S
        self._try_at = 0.0
        self._room = MOST_ROOM
        self._threshold = MOST_ROOM
        self._running = 0
        self.error: SyncError | None = None

    @property
    def is_open(self) -> bool:
        """Whether the services seem to refuse everyone."""
        return self.error is not None

    def enter(self) -> bool:
        """Whether a study may be tried now; one that may counts as running until `leave`."""
        if self.is_open:
            is_free = self._running == 0 and self._clock() >= self._try_at
        else:
            is_free = self._running < int(self._room)
        self._running += is_free
        return is_free

    @property
    def trial_in_s(self) -> float:
        """Seconds until the next study may be tried while it is open; 0 when only a study that runs is waited for."""
        return max(0.0, self._try_at - self._clock()) if self.is_open else 0.0

    @property
    def opens_soon(self) -> bool:
        """Whether there may be room within seconds: the services refuse everyone, or did so a moment ago. A server that
        asks for less gets less for minutes.
        """
        return self.is_open or self._room < self._threshold

    def leave(self) -> None:
        """A study that entered is done, however it went."""
        self._running -= 1

    def failed(self, study: StudyKey, error: SyncError) -> bool:
        """Count a failure; whether it opens the circuit, or an open one has another reason now."""
        if isinstance(error, PermanentError | VersionConflict | NoRoom) or error.code in OF_ONE_STUDY:
            return False
        if isinstance(error, Throttled):
            self._room = self._threshold = max(1.0, min(self._room, self._running) / 2)
        was = self.error.code if self.error else None
        self._failing.add(study)
        if was is None and len(self._failing) < OPENS_AFTER:
            return False
        self.error = error
        self._wait_for_next()
        return was != error.code

    def succeeded(self) -> bool:
        """The services answered for a study; whether that closes the circuit."""
        was_open = self.is_open
        if was_open:
            self._room = 1.0
        else:
            self._room = min(MOST_ROOM, self._room + (1 if self._room < self._threshold else 1 / self._room))
        self._failing.clear()
        self._wait_s = FIRST_WAIT_S
        self.error = None
        return was_open

    def _wait_for_next(self) -> None:
        """From the end of the attempt, which may have taken its time."""
        asked = self.error.retry_after_s if isinstance(self.error, TransientError) else None
        self._try_at = self._clock() + max(self._wait_s, asked or 0)
        self._wait_s = min(self._wait_s * 2, LONGEST_WAIT_S)
