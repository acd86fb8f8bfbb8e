"""Pure: an OperationOutcome (https://hl7.org/fhir/R4/operationoutcome.html) as far as this app acts on it.

Codes of issues are read, and paths to elements. Texts are not passed on: they can hold values.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.errors import SyncError, Throttled, TransientError, Unavailable

# https://hl7.org/fhir/R4/codesystem-issue-type.html, as the tree that it is
CONTENT = frozenset({"invalid", "structure", "required", "value", "invariant"})
ACCESS = frozenset({"security", "login", "unknown", "expired", "forbidden", "suppressed"})
RULES = frozenset(
    {
        *("not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long", "code-invalid"),
        *("extension", "too-costly", "business-rule", "conflict"),
    }
)
THROTTLED, TIMEOUT, EXCEPTION = "throttled", "timeout", "exception"
TRANSIENT = frozenset({"transient", "lock-error", "no-store", EXCEPTION, TIMEOUT, "incomplete", THROTTLED})
# the parent of `RULES`, which servers also set before the issue that says why
PROCESSING = "processing"
CODES = CONTENT | ACCESS | RULES | TRANSIENT | {PROCESSING, "informational"}
# of a request as such: R4's, and what Microsoft's server says beside `invalid`, in the words of the web server below it
TOO_LONG = frozenset({"too-long", "too-costly"})
BODY_TOO_LARGE = re.compile("request body too large", re.IGNORECASE)
HARMLESS = ("warning", "information")
CLIENT_ERRORS = range(400, 500)


class Issue(NamedTuple):
    """One issue: its code, nothing where R4 has no such code; the elements it names by path; what it says of them."""

    code: str
    paths: tuple[str, ...] = ()
    text: str = ""


def issues_of(outcome: Any) -> list[Issue]:
    """The issues of an OperationOutcome that are errors; none of whatever is not an OperationOutcome."""
    rows = outcome.get("issue") if isinstance(outcome, Mapping) else None
    return [_issue(row) for row in rows if _is_error(row)] if isinstance(rows, list) else []


def read_outcome(body: bytes) -> Mapping[str, Any] | None:
    """The OperationOutcome that a body holds; None where it holds anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, Mapping) and found.get("resourceType") == "OperationOutcome" else None


def codes_of(issues: list[Issue]) -> list[str]:
    """The codes of R4 among them, sorted."""
    return sorted({issue.code for issue in issues if issue.code})


def says_too_large(issues: list[Issue]) -> bool:
    """Whether a refusal is about the size of the request, not about what is in it."""
    return any(BODY_TOO_LARGE.search(issue.text) or (issue.code in TOO_LONG and not issue.paths) for issue in issues)


def transient_error(
    message: str, status: int, issues: list[Issue], asked_s: float | None = None, by_status: SyncError | None = None
) -> TransientError | None:
    """The error where a code says that the same request may succeed later, whatever the status says; else None.

    Microsoft's server answers a write that was throttled within a transaction with 400 and [processing, throttled].
    Some servers set `exception` beside what is wrong with the content: with a status of 4xx the content is meant.
    asked_s: seconds that the answer asks to wait. by_status: what the status alone would be.
    """
    codes = codes_of(issues)
    found = TRANSIENT.intersection(codes)
    if not found:
        return None
    if found == {EXCEPTION} and status in CLIENT_ERRORS and not {EXCEPTION, PROCESSING}.issuperset(codes):
        return None
    if THROTTLED in found:
        return Throttled(message, retry_after_s=asked_s)
    is_late, code = TIMEOUT in found, None
    if isinstance(by_status, Unavailable):
        is_late, code = is_late or by_status.outcome_unknown, by_status.code
    return Unavailable(message, code=code, retry_after_s=asked_s, outcome_unknown=is_late)


def _is_error(row: Any) -> bool:
    return isinstance(row, Mapping) and row.get("severity") not in HARMLESS


def _issue(row: Mapping[str, Any]) -> Issue:
    details = row.get("details")
    texts = (row.get("diagnostics"), details.get("text") if isinstance(details, Mapping) else None)
    named = [path for name in ("expression", "location") for path in _list(row.get(name)) if isinstance(path, str)]
    code = row.get("code")
    is_known = isinstance(code, str) and code in CODES
    return Issue(str(code) if is_known else "", tuple(named), " ".join(text for text in texts if isinstance(text, str)))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
