"""Logs: constant event names with fields. No field may hold a value of a DICOM attribute or a URL with a query."""

import logging

LOGGER = logging.getLogger("dicom_fhir_sync")
QUIET = ("azure", "httpx", "httpcore", "urllib3")
SILENT = ("stamina", "azure.core", "azure.data", "azure.storage", "azure.identity")


def quiet_libraries() -> None:
    """Libraries log URLs and headers at INFO; only their warnings pass."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # what fails there reaches this app as an exception, and is said once; they print the trace of every odd answer
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def event(name: str, level: int = logging.INFO, **fields: object) -> None:
    """One line: the event's name, then `field=value` for each field that has a value."""
    text = " ".join(f"{key}={value}" for key, value in fields.items() if value not in (None, ""))
    LOGGER.log(level, "%s %s", name, text, extra={"event": name, **{f"field_{key}": fields[key] for key in fields}})
