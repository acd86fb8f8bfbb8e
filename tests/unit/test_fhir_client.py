"""What the client makes of odd answers of a FHIR server to a search: an error that has a name, or what can be used."""

import httpx
import pytest

from shared.errors import Unavailable
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import by_identifier, endpoint_by_name

STATEMENT = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [{"interaction": [{"code": "transaction"}]}],
}
PATIENT = {"resourceType": "Patient", "id": "1", "identifier": [{"system": "s", "value": "v"}]}
IDENTITY = by_identifier("Patient", "s", "v")


def client_of(*resources, link=()):
    bundle = {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources], "link": list(link)}

    def serve(request):
        return httpx.Response(200, json=STATEMENT if request.url.path.endswith("metadata") else bundle)

    return FhirClient(httpx.AsyncClient(transport=httpx.MockTransport(serve), base_url="http://fhir.example.org/"))


@pytest.mark.parametrize(
    "odd",
    [
        {"id": ["1"]},
        {"id": {}},
        {"identifier": 5},
        {"identifier": "s|v"},
        {"identifier": [5, {"system": [], "value": {}}]},
    ],
    ids=str,
)
async def test_a_hit_that_is_no_resource_is_none(odd):
    assert await client_of({**PATIENT, **odd}, PATIENT).find_all(IDENTITY) == [PATIENT]


@pytest.mark.parametrize("subject", ["Patient/1", ["Patient/1"], 5, None], ids=str)
async def test_a_study_whose_subject_is_no_reference_has_none(subject):
    study = {"resourceType": "ImagingStudy", "id": "1", "subject": subject}
    assert await client_of(study).studies_of("Patient/1") == []


async def test_an_endpoint_without_a_readable_type_is_another():
    odd = {"resourceType": "Endpoint", "id": "1", "name": "n", "connectionType": ["x"]}
    assert await client_of(odd).find_all(endpoint_by_name("n", "s", "c")) == []


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://[bad?name=ZZFAMILY", id="no host"),
        pytest.param("http://ex\u2100ample?name=ZZFAMILY", id="a host that is none"),
        pytest.param("http://fhir.example.org/?name=\x01", id="a control character"),
        pytest.param("http://fhir.example.org/?name=" + "a" * 70_000, id="too long"),
        pytest.param("http://fhir.example.org/Patient?page=2", id="always the same page"),
    ],
)
async def test_pages_that_lead_nowhere_are_an_outage(url):
    """And nothing of the link is told: it can hold what was searched for."""
    with pytest.raises(Unavailable) as raised:
        await client_of(PATIENT, link=[{"relation": "next", "url": url}]).find_all(IDENTITY)
    assert "example.org" not in str(raised.value)
    assert "ZZ" not in str(raised.value)
