"""The errors of requests that the FHIR server refuses."""

from collections.abc import Sequence

import httpx

from shared.errors import Misconfigured, Rejected, SyncError, Unavailable, VersionConflict
from shared.fhir.bundle import Entry
from shared.fhir.outcome import Issue, codes_of, issues_of, read_outcome, says_too_large, transient_error
from shared.fhir.refusal import named_elements
from shared.fhir.searchset import SERVICE
from shared.http import error_for
from shared.retry import retry_after_s

GONE = (404, 410)
STUDY_TOO_LARGE = "study-too-large"


def refusal_of(response: httpx.Response, entries: Sequence[Entry]) -> SyncError:
    """A refused transaction: what the codes of its outcome say, then its status. 404 and 410 with an outcome mean
    that a resource we read is gone since.
    """
    outcome = read_outcome(response.content)
    issues = issues_of(outcome)
    if response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        return _too_large(response)
    if (passing := transient_of(response, issues)) is not None:
        return passing
    if response.status_code in GONE and outcome is not None:
        return VersionConflict(f"{SERVICE} no longer has a resource that was read")
    error = error_for(SERVICE, response)
    if isinstance(error, Unavailable) and outcome is None:  # of a gateway: the server may go on
        error.outcome_unknown = True
    return _rejected(response, entries, issues) if isinstance(error, Rejected) else error


def of_write(response: httpx.Response, error: SyncError) -> SyncError:
    """The error of a refused transaction, which answered searches came before: 500 is about this request (RFC 9110,
    15.6.1). An outage answers searches no better, or says 502, 503, 504 or nothing.
    """
    if response.status_code != httpx.codes.INTERNAL_SERVER_ERROR or type(error) is not Unavailable:
        return error
    asked_s, is_unknown = error.retry_after_s, error.outcome_unknown
    return Unavailable(str(error), code="write-failed", retry_after_s=asked_s, outcome_unknown=is_unknown)


def transient_of(response: httpx.Response, issues: list[Issue]) -> SyncError | None:
    """The error where the issues that an unsuccessful answer holds say that it may be otherwise later."""
    status = response.status_code
    message = f"{SERVICE} answered {status}, issues: {', '.join(codes_of(issues))}"
    by_status = error_for(SERVICE, response)
    return transient_error(message, status, issues, retry_after_s(response.headers), by_status)


def _rejected(response: httpx.Response, entries: Sequence[Entry], issues: list[Issue]) -> SyncError:
    """The error of content that is refused for good."""
    if says_too_large(issues):
        return _too_large(response)
    error = error_for(SERVICE, response)
    if not issues:  # not the server but something before it
        return Misconfigured(f"{error} without a reason: check the gateway before it", code="refused-request")
    said = ", ".join(codes_of(issues)) or "none that R4 has a code for"
    return Rejected(f"{error}, issues: {said}", elements=named_elements(entries, issues))


def _too_large(response: httpx.Response) -> Rejected:
    return Rejected(f"{error_for(SERVICE, response)}: the study is too large for it", code=STUDY_TOO_LARGE)
