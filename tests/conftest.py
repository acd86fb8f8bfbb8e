"""The local stack for tests: real processes, started once, emptied for each test."""

from datetime import timedelta

import httpx
import pytest

from dev.process import Part
from tests.stack import Stack


def _part(request, *args):
    part = Part(args)
    request.addfinalizer(part.stop)
    return part


@pytest.fixture(scope="session")
def azurite(request):
    """Table and queue storage."""
    return _part(request, "azurite", "--blob-port", "0", "--queue-port", "0", "--table-port", "0").urls


@pytest.fixture(scope="session")
def dicom_service(request):
    """The DICOM service stand-in."""
    return _part(request, "dicom", "--port", "0").urls["url"]


@pytest.fixture(scope="session")
def fhir_server(request):
    """The FHIR server under test."""
    return _part(request, "fhir", "--port", "0").urls["url"]


@pytest.fixture(scope="session")
def second_fhir_server(request):
    """Another FHIR server, for fresh projections to compare with."""
    return _part(request, "fhir", "--port", "0").urls["url"]


def _empty(dicom, *fhir_servers):
    httpx.post(f"{dicom}/_dev/reset", trust_env=False).raise_for_status()
    for url in fhir_servers:
        httpx.post(url.split("/fhir")[0] + "/_dev/reset", trust_env=False).raise_for_status()


@pytest.fixture
async def stack(monkeypatch, azurite, dicom_service, fhir_server):
    # whoever died is waited for; the servers here answer within milliseconds, not minutes
    monkeypatch.setattr("shared.storage.creation_claim.EXPIRES_AFTER", timedelta(seconds=2))
    _empty(dicom_service, fhir_server)
    stack = Stack(monkeypatch, azurite, dicom_service, fhir_server)
    yield stack
    await stack.close()


@pytest.fixture
async def fresh_projection(monkeypatch, azurite, dicom_service, second_fhir_server):
    """What an app that starts from nothing makes of DICOM as it is now."""
    stacks = []

    async def project():
        httpx.post(second_fhir_server.split("/fhir")[0] + "/_dev/reset", trust_env=False).raise_for_status()
        fresh = Stack(monkeypatch, azurite, dicom_service, second_fhir_server)
        stacks.append(fresh)
        await fresh.drain()
        return await fresh.content()

    yield project
    for fresh in stacks:
        await fresh.close()


@pytest.fixture
async def new_stack(monkeypatch, azurite, dicom_service, fhir_server):
    """An app on emptied servers, as often as it is asked for."""
    stacks = []

    def made():
        _empty(dicom_service, fhir_server)
        stacks.append(Stack(monkeypatch, azurite, dicom_service, fhir_server))
        return stacks[-1]

    yield made
    for stack in stacks:
        await stack.close()
