"""What can go wrong, as one tree.

    SyncError(code)
    ├── TransientError(retry_after_s)   retry later
    │   ├── Throttled                   429: the server asks for less
    │   ├── Unavailable                 408, 5xx, timeouts, broken or unreadable answers
    │   ├── NoRoom                      this worker's memory is held by other large studies
    │   └── VersionConflict             409, 412, a lost ETag: read again, run again
    │       └── Overwritten             a creation came late: look after what was there, too
    ├── PermanentError                  this study cannot be written as it is: it fails
    │   ├── InvalidStudy                DICOM lacks what FHIR needs
    │   ├── AmbiguousMatch              several resources carry one identity
    │   └── Rejected                    400, 422: the FHIR server refuses the content
    └── Misconfigured(problems)         not the study's fault: it waits, and an alert is on; none fails

Messages are written for operators. They never hold values of DICOM attributes, URLs with queries, or text that a server
sent, because any of these can name a patient.
"""

from collections.abc import Collection, Sequence
from pathlib import Path


class SyncError(Exception):
    """The root. `code` is stable and documented in docs/operations.md."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).code


class TransientError(SyncError):
    """Nothing is wrong with the study; the same work may succeed later."""

    code = "transient"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class Throttled(TransientError):
    """A server answered 429."""

    code = "throttled"


class Unavailable(TransientError):
    """A server cannot be reached, does not answer in time, or answers something unreadable.

    `outcome_unknown` says that a request which writes may have been carried out all the same.
    """

    code = "unavailable"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retry_after_s: float | None = None,
        outcome_unknown: bool = True,
    ) -> None:
        super().__init__(message, code=code, retry_after_s=retry_after_s)
        self.outcome_unknown = outcome_unknown


class NoRoom(TransientError):
    """The study is large, and others hold what memory this worker process has for large ones."""

    code = "no-room"


class VersionConflict(TransientError):
    """Somebody else wrote first; what was read is stale."""

    code = "version-conflict"


class Overwritten(VersionConflict):
    """A resource that was to be created was there by then. What it said may be lost."""

    code = "overwritten"


class PermanentError(SyncError):
    """Trying again cannot help until the data or a resource is changed."""

    code = "permanent"


class InvalidStudy(PermanentError):
    """DICOM lacks a value that FHIR requires, or the mapped resource is not valid R4."""

    code = "invalid-study"


class AmbiguousMatch(PermanentError):
    """More than one resource carries an identity that must be unique."""

    code = "ambiguous-match"


class Rejected(PermanentError):
    """The FHIR server refuses the content; `elements` are those that it names (see `shared.fhir.refusal`)."""

    code = "rejected"

    def __init__(self, message: str, *, code: str | None = None, elements: Collection[str] = ()) -> None:
        super().__init__(message, code=code)
        self.elements = frozenset(elements)


class Misconfigured(SyncError):
    """The app, a role or a service is set up wrongly; `problems` names each one."""

    code = "misconfigured"

    def __init__(self, message: str, *, code: str | None = None, problems: Sequence[str] = ()) -> None:
        super().__init__(message, code=code)
        self.problems = tuple(problems) or (message,)


class Raised(Exception):
    """A defect of this app, told to the host, which logs it. The text names study, type and place, no values."""


def place_of(error: Exception) -> str:
    """The type of an error and the lines of code that it came through: its own text can hold values."""
    places, trace = [], error.__traceback__
    while trace is not None:
        where = trace.tb_frame.f_code
        places.append(f"{Path(where.co_filename).name}:{trace.tb_lineno} {where.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} at " + " < ".join(reversed(places))
