"""The Endpoint as DICOM Cast wrote it, so that it is found again."""

import pytest

from shared.errors import PermanentError
from shared.fhir.validation import check_valid
from shared.mapping.endpoint import endpoint_identity, lay_endpoint, new_endpoint, printed_url

SYSTEM = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        pytest.param("https://dicom.example.org", "https://dicom.example.org/", id="bare host"),
        pytest.param("https://dicom.example.org/", "https://dicom.example.org/", id="slash"),
        pytest.param("HTTPS://DICOM.Example.ORG", "https://dicom.example.org/", id="upper case"),
        pytest.param("https://dicom.example.org/v1", "https://dicom.example.org/v1", id="path"),
        pytest.param(
            "https://dicom.example.org/V1/Dicom/", "https://dicom.example.org/V1/Dicom/", id="path keeps case"
        ),
        pytest.param("https://dicom.example.org:443", "https://dicom.example.org/", id="default port of https"),
        pytest.param("http://dicom.example.org:80/x", "http://dicom.example.org/x", id="default port of http"),
        pytest.param("http://dicom.example.org:443/x", "http://dicom.example.org:443/x", id="port of the other scheme"),
        pytest.param("http://localhost:8042", "http://localhost:8042/", id="other port"),
        pytest.param("http://127.0.0.1:8042", "http://127.0.0.1:8042/", id="IPv4"),
        pytest.param("http://[::1]:8042", "http://[::1]:8042/", id="IPv6"),
    ],
)
def test_url_as_dotnet_prints_it(url, printed):
    assert printed_url(url) == printed
    assert printed_url(printed) == printed


def test_endpoint_to_create():
    endpoint = new_endpoint("HTTPS://DICOM.example.org")
    assert endpoint == {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"system": SYSTEM, "code": "dicom-wado-rs"},
        "name": "DICOM WADO-RS endpoint https://dicom.example.org/",
        "payloadType": [{"text": "DICOM WADO-RS"}],
        "payloadMimeType": ["application/dicom"],
        "address": "https://dicom.example.org/",
    }
    check_valid(endpoint)


def test_endpoint_is_found_by_name_and_type():
    identity = endpoint_identity("https://dicom.example.org")
    assert (identity.resource_type, identity.criteria) == (
        "Endpoint",
        (
            ("connection-type", f"{SYSTEM}|dicom-wado-rs"),
            ("name:exact", "DICOM WADO-RS endpoint https://dicom.example.org/"),
        ),
    )
    assert identity.matches(new_endpoint("https://dicom.example.org"))


@pytest.mark.parametrize(
    "configured", ["https://dicom.example.org", "HTTPS://dicom.example.org:443/"], ids=["bare host", "another spelling"]
)
def test_stored_endpoint_that_leads_here(configured):
    stored = new_endpoint("https://dicom.example.org/")
    assert lay_endpoint(stored, configured) == stored


@pytest.mark.parametrize(
    "address", ["https://other.example.org/", "https://dicom.example.org", None], ids=["other host", "no slash", "none"]
)
def test_stored_endpoint_that_leads_elsewhere_is_permanent(address):
    stored = new_endpoint("https://dicom.example.org/") | {"address": address}
    with pytest.raises(PermanentError) as raised:
        lay_endpoint(stored, "https://dicom.example.org", ["https://old.example.org/"])
    assert raised.value.code == "endpoint-differs"


@pytest.mark.parametrize("named", ["https://old.example.org/", "https://dicom.example.org/"])
def test_stored_endpoint_of_a_former_address_follows(named):
    old, theirs = "https://old.example.org/", {"id": "e1", "managingOrganization": {"display": "radiology"}}
    stored = new_endpoint(named) | theirs | {"address": old}
    assert (
        lay_endpoint(stored, "https://dicom.example.org", [old]) == new_endpoint("https://dicom.example.org") | theirs
    )
