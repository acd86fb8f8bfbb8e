"""Pure: notice that a service refuses everyone, and slow down until it is back.

One study that fails says nothing about a service. When several studies in a row fail and none succeeds, the circuit
opens: it is said once, and messages go back to the queue without a request, but for one that is tried now and then.
The first that succeeds closes it.
"""

from collections.abc import Callable

from shared.errors import PermanentError, SyncError, TransientError, VersionConflict
from shared.model import StudyKey

OPENS_AFTER = 5  # studies in a row
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 60.0
CLAIMED = "claimed"


class Circuit:
    """Of one worker process. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failing: set[StudyKey] = set()
        self._wait_s = FIRST_WAIT_S
        self._try_at = 0.0
        self.error: SyncError | None = None

    @property
    def is_open(self) -> bool:
        """Whether the services seem to refuse everyone."""
        return self.error is not None

    def admits(self) -> bool:
        """Whether a study may be tried now. While open, one at a time."""
        if not self.is_open:
            return True
        if self._clock() < self._try_at:
            return False
        self._try_at = self._clock() + self._wait_s
        return True

    def failed(self, study: StudyKey, error: SyncError) -> bool:
        """Count a failure; whether it opens the circuit, or an open one has another reason now."""
        if isinstance(error, PermanentError):  # the services answered
            return False
        if isinstance(error, VersionConflict) or error.code == CLAIMED:
            return False
        was = self.error.code if self.error else None
        self._failing.add(study)
        if was is None and len(self._failing) < OPENS_AFTER:
            return False
        self.error = error
        self._wait_for_next()
        return was != error.code

    def succeeded(self) -> bool:
        """A study went through; whether that closes the circuit."""
        was_open = self.is_open
        self._failing.clear()
        self._wait_s = FIRST_WAIT_S
        self.error = None
        return was_open

    def _wait_for_next(self) -> None:
        """From the end of the attempt, which may have taken its time."""
        asked = self.error.retry_after_s if isinstance(self.error, TransientError) else None
        self._try_at = self._clock() + max(self._wait_s, asked or 0)
        self._wait_s = min(self._wait_s * 2, LONGEST_WAIT_S)
