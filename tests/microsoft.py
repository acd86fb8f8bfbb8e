"""The app before Microsoft's own FHIR server, where this machine has it."""

import httpx
import pytest

from dev.microsoft import missing
from dev.process import Part
from tests.stack import Stack

needs_fhir_server = pytest.mark.skipif(bool(missing("fhir-server")), reason=missing("fhir-server"))
START_S = 240.0
TYPES = ("Patient", "Endpoint", "Device", "ImagingStudy", "Observation")


class OnMicrosoft(Stack):
    """A stack whose FHIR server has no back door: what it holds is asked of it."""

    async def resources(self, resource_type=None):
        found = []
        for kind in TYPES if resource_type is None else (resource_type,):
            url = f"{self.fhir}/{kind}?_count=1000"
            while url:
                answer = await self.http.get(url)
                if answer.status_code == 429:  # MEMSTORE_429_EVERY counts reads of tests, too
                    continue
                assert answer.status_code == 200, answer.text
                bundle = answer.json()
                found += [entry["resource"] for entry in bundle.get("entry", [])]
                url = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), None)
        return found


@pytest.fixture
async def on_microsoft(request, monkeypatch, azurite, dicom_service):
    """A stack on a FHIR server of its own, started with these environment variables."""
    stacks = []
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.02)

    def start(**env):
        httpx.post(f"{dicom_service}/_dev/reset", trust_env=False, verify=False).raise_for_status()
        part = Part(("fhir-server", "--port", "0"), env=env, timeout_s=START_S)
        request.addfinalizer(part.stop)
        stacks.append(OnMicrosoft(monkeypatch, azurite, dicom_service, part.urls["url"]))
        return stacks[-1]

    yield start
    for stack in stacks:
        await stack.close()
