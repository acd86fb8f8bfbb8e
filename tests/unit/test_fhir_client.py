"""What the client makes of odd answers of a FHIR server to a search: an error that has a name, or what can be used."""

from email.message import Message
from urllib.parse import parse_qs

import httpx
import pytest

from shared.errors import Misconfigured, Unavailable
from shared.fhir.client import FhirClient
from shared.fhir.identifiers import by_identifier, endpoint_by_name

STATEMENT = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [{"interaction": [{"code": "transaction"}]}],
}
PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "meta": {"versionId": "1"},
    "identifier": [{"system": "s", "value": "v"}],
}
IDENTITY = by_identifier("Patient", "s", "v")


def client_of(*resources, link=()):
    bundle = {"resourceType": "Bundle", "entry": [{"resource": one} for one in resources], "link": list(link)}

    def serve(request):
        return httpx.Response(200, json=STATEMENT if request.url.path.endswith("metadata") else bundle)

    return FhirClient(httpx.AsyncClient(transport=httpx.MockTransport(serve), base_url="http://fhir.example.org/fhir/"))


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


async def test_a_search_says_in_which_characters_its_form_is():
    """Servers of Java read a form that does not say it as ISO 8859-1, and find nobody."""
    patient = {**PATIENT, "identifier": [{"system": "s", "value": "\u00c4\u65e5"}]}

    def serve(request):
        if request.url.path.endswith("metadata"):
            return httpx.Response(200, json=STATEMENT)
        said = Message()
        said["Content-Type"] = request.headers["Content-Type"]
        form = parse_qs(request.content.decode("ascii"), encoding=said.get_content_charset("iso-8859-1"))
        found = [patient] if form["identifier"] == ["s|\u00c4\u65e5"] else []
        return httpx.Response(200, json={"resourceType": "Bundle", "entry": [{"resource": one} for one in found]})

    http = httpx.AsyncClient(transport=httpx.MockTransport(serve), base_url="http://fhir.example.org/fhir/")
    assert await FhirClient(http).find_all(by_identifier("Patient", "s", "\u00c4\u65e5")) == [patient]


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
        pytest.param("http://fhir.example.org/fhir/../ZZ?page=2", id="above the base"),
        pytest.param("http://fhir.example.org/fhir/Patient/%2e%2e/%2E%2E/ZZ", id="above the base, encoded"),
        pytest.param("http://fhir.example.org/fhir/%252e%252e/ZZ", id="above the base, encoded twice"),
        pytest.param("http://fhir.example.org/fhir/..%5cZZ", id="above the base, with a backslash"),
    ],
)
async def test_pages_that_lead_nowhere_are_an_outage(url):
    """And nothing of the link is told: it can hold what was searched for."""
    with pytest.raises(Unavailable) as raised:
        await client_of(PATIENT, link=[{"relation": "next", "url": url}]).find_all(IDENTITY)
    assert "example.org" not in str(raised.value)
    assert "ZZ" not in str(raised.value)


async def test_pages_without_end_are_an_outage(monkeypatch):
    monkeypatch.setattr("shared.fhir.client.MOST_PAGES", 20)
    asked = []

    def serve(request):
        asked.append(request.url)
        link = [{"relation": "next", "url": f"http://fhir.example.org/fhir/Patient?page={len(asked)}"}]
        bundle = {"resourceType": "Bundle", "entry": [], "link": link}
        return httpx.Response(200, json=STATEMENT if request.url.path.endswith("metadata") else bundle)

    client = FhirClient(
        httpx.AsyncClient(transport=httpx.MockTransport(serve), base_url="http://fhir.example.org/fhir/")
    )
    with pytest.raises(Unavailable, match="do not end"):
        await client.find_all(IDENTITY)
    assert len(asked) <= 22


@pytest.mark.parametrize(
    "url",
    ["http://other/fhirs/Patient?page=2", "http://other/x?page=2", "https://fhir.example.org/fhir?page=2", "?page=2"],
)
async def test_pages_are_asked_for_below_the_base_of_the_configured_server(url):
    asked = []

    def serve(request):
        asked.append(request.url)
        link = [] if "page" in request.url.params else [{"relation": "next", "url": url}]
        bundle = {"resourceType": "Bundle", "entry": [{"resource": PATIENT}], "link": link}
        return httpx.Response(200, json=STATEMENT if request.url.path.endswith("metadata") else bundle)

    client = FhirClient(
        httpx.AsyncClient(transport=httpx.MockTransport(serve), base_url="http://fhir.example.org/fhir/")
    )
    assert await client.find_all(IDENTITY) == [PATIENT]
    assert {one.host for one in asked} == {"fhir.example.org"}
    assert all(one.path.startswith("/fhir/") for one in asked)


@pytest.mark.parametrize("meta", [None, {}, {"versionId": ""}, {"versionId": None}, 5], ids=str)
async def test_a_server_without_versions_is_set_up_wrongly(meta):
    with pytest.raises(Misconfigured) as raised:
        await client_of({**PATIENT, "meta": meta}).find_all(IDENTITY)
    assert raised.value.code == "no-versions"


async def test_a_resource_that_is_nested_too_deeply_is_an_outage():
    deep = {}
    for _ in range(300):
        deep = {"extension": [deep]}
    with pytest.raises(Unavailable):
        await client_of({**PATIENT, **deep}).find_all(IDENTITY)


@pytest.mark.parametrize("odd", [{"meta": 5}, {"name": 5}, {"name": [5]}, {"identifier": [None]}], ids=str)
async def test_a_version_that_is_not_as_r4_has_it(odd):
    with pytest.raises(Unavailable) as raised:
        await client_of({**PATIENT, **odd}).history("Patient/1")
    assert raised.value.code == "unreadable-resource"
