"""Pure: Endpoint, the DICOM service as a place to retrieve from (https://hl7.org/fhir/R4/endpoint.html).

Name and types are DICOM Cast's, so that its Endpoint is found again.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from shared.errors import PermanentError
from shared.fhir.identifiers import EndpointByName, Resource, endpoint_by_name
from shared.fhir.systems import CONNECTION_TYPE, DICOM_WADO_RS
from shared.mapping.table import Row

DEFAULT_PORTS = {"http": 80, "https": 443}


def printed_url(url: str) -> str:
    """The URL as .NET's Uri.ToString() prints it: scheme and host in lower case, no default port, at least `/`."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port and parts.port != DEFAULT_PORTS.get(parts.scheme.lower()) else ""
    return f"{parts.scheme.lower()}://{host}{port}{parts.path or '/'}"


def endpoint_name(dicom_endpoint: str) -> str:
    """The name of a service's Endpoint."""
    return f"DICOM WADO-RS endpoint {printed_url(dicom_endpoint)}"


def endpoint_identity(dicom_endpoint: str) -> EndpointByName:
    """By name and connection type."""
    return endpoint_by_name(endpoint_name(dicom_endpoint), CONNECTION_TYPE, DICOM_WADO_RS)


def new_endpoint(dicom_endpoint: str) -> Resource:
    """The Endpoint to create."""
    return {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"system": CONNECTION_TYPE, "code": DICOM_WADO_RS},
        "name": endpoint_name(dicom_endpoint),
        "payloadType": [{"text": "DICOM WADO-RS"}],
        "payloadMimeType": ["application/dicom"],
        "address": printed_url(dicom_endpoint),
    }


def lay_endpoint(stored: Resource, dicom_endpoint: str, former: Collection[str] = ()) -> Resource:
    """The stored Endpoint with the name and address of now.

    Raises PermanentError when it leads somewhere else than the service ever did. former: addresses that it had.
    """
    present = printed_url(dicom_endpoint)
    if stored.get("address") not in (present, *former):
        raise PermanentError(
            "the Endpoint of this DICOM service has another address: correct it", code="endpoint-differs"
        )
    return {**stored, "name": endpoint_name(dicom_endpoint), "address": present}


ENDPOINT_ROWS = (
    Row("Endpoint.name", "the DICOM service", "DICOM Cast", note="`DICOM WADO-RS endpoint` and the address"),
    Row("Endpoint.connectionType", "the DICOM service", "R4 endpoint.html", note="`dicom-wado-rs`"),
    Row("Endpoint.address", "the DICOM service", "R4 endpoint.html", note="`DicomWeb__Endpoint`"),
    Row("Endpoint.payloadType", "the DICOM service", "DICOM Cast", note="text `DICOM WADO-RS`"),
    Row("Endpoint.payloadMimeType", "the DICOM service", "DICOM Cast", note="`application/dicom`"),
)
