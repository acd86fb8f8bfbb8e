"""Fixtures: the FHIR server that `--fhir` names, and Microsoft's while it throttles."""

from dataclasses import dataclass

import httpx
import pytest

from dev.process import Part
from tests.contract.fhir_server.requests import HEADERS

PROGRAM = "fhir-server"
START_TIMEOUT_S = 300.0
RACES_SHOW = {"MEMSTORE_LATENCY_MS": "30"}  # the second request of a race comes before the first is done


@dataclass(frozen=True)
class Server:
    """name: `fhir` (the stack's own), `hapi` or `microsoft`."""

    name: str
    url: str


def _microsoft(request, **env):
    part = Part((PROGRAM, "--port", "0"), env=env, timeout_s=START_TIMEOUT_S)
    request.addfinalizer(part.stop)
    return part.urls["url"]


@pytest.fixture(scope="session")
def tested_server(request):
    """The FHIR server under test; Microsoft's without the proxy that the flow tests put before it."""
    name = request.config.getoption("--fhir")
    on_microsoft = name == "microsoft"
    return Server(name, _microsoft(request, **RACES_SHOW) if on_microsoft else request.getfixturevalue("fhir_server"))


@pytest.fixture(scope="session")
def throttled_server(request):
    """Microsoft's FHIR server with a store that throttles every access."""
    return _microsoft(request, MEMSTORE_429_EVERY="1")


@pytest.fixture
def fhir(tested_server):
    """A client of the server under test."""
    with httpx.Client(base_url=tested_server.url, headers=HEADERS, timeout=300, trust_env=False) as client:
        yield client
