"""What can be added to a run; each by itself, or all of them."""

from enum import StrEnum


class Addition(StrEnum):
    """The name of an addition, as `python -m tests.chaos --add` takes it."""

    EMPTY_ANSWERS = "empty-answers"  # DICOM answers 200 without a body or with `[]`, 202, 204
    GATEWAYS = "gateways"  # FHIR carries a write out, and a gateway answers 500, 503 or 524
    OTHER_SERVICE = "other-service"  # for seconds at a time DicomWeb__PrivateEndpoint leads to another, longer feed
    PARTITIONS = "partitions"  # studies move from one data partition to another
    TWO_APPS = "two-apps"  # two table prefixes, two queues, one archive, one FHIR server
    MANY_STUDIES = "many-studies"  # a patient with 60 studies whose newest is deleted or corrected
    CLOCKS = "clocks"  # the clocks of the hosts differ by minutes


ALL = frozenset(Addition)
EMPTY = (*({"kind": "empty", "status": status} for status in (200, 202, 204)), {"status": 200, "body": "[]"})
CARRIED_OUT = tuple({"status": status, "carried_out": True, "writes": True} for status in (500, 503, 524))
CLOCKS_S = (0.0, 150.0, -150.0, 0.0)  # of the hosts, beside the real time


def more_faults(service, additions):
    """Rules of the proxy before a service."""
    if service == "dicom" and Addition.EMPTY_ANSWERS in additions:
        return EMPTY
    if service == "fhir" and Addition.GATEWAYS in additions:
        return CARRIED_OUT
    return ()
