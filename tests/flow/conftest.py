"""Fixtures of the flow tests."""

import httpx
import pytest

from tests.flow.stack import Stack


def _empty(dicom, *fhir_servers):
    httpx.post(f"{dicom}/_dev/reset", trust_env=False).raise_for_status()
    for url in fhir_servers:
        httpx.post(url.split("/fhir")[0] + "/_dev/reset", trust_env=False).raise_for_status()


@pytest.fixture
async def stack(monkeypatch, azurite, dicom_service, fhir_server):
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
