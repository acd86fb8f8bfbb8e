"""The servers that the contract is for: the stack's own and Microsoft's, or the one that `--fhir` names."""

from dataclasses import dataclass

import httpx
import pytest

from dev.microsoft import missing
from dev.process import Part
from tests.contract.fhir_server.fhir import HEADERS

PROGRAM = "fhir-server"
START_TIMEOUT_S = 300.0
RACES_SHOW = {"MEMSTORE_LATENCY_MS": "30"}  # the second request of a race comes before the first is done


@dataclass(frozen=True)
class Server:
    """name: `fhir` (the stack's own), `hapi` or `microsoft`."""

    name: str
    url: str


def pytest_generate_tests(metafunc):
    if "tested_server" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--fhir")
        names = ("fhir", "microsoft") if chosen == "fhir" else (chosen,)
        metafunc.parametrize("tested_server", names, indirect=True, scope="session")


def _microsoft(request, **env):
    if lack := missing(PROGRAM):
        pytest.skip(lack)
    part = Part((PROGRAM, "--port", "0"), env=env, timeout_s=START_TIMEOUT_S)
    request.addfinalizer(part.stop)
    return part.urls["url"]


@pytest.fixture(scope="session")
def microsoft_server(request):
    """Microsoft's FHIR server itself."""
    return _microsoft(request, **RACES_SHOW)


@pytest.fixture(scope="session")
def throttled_server(request):
    """Microsoft's FHIR server with a store that throttles every access."""
    return _microsoft(request, MEMSTORE_429_EVERY="1")


@pytest.fixture(scope="session")
def tested_server(request):
    """One of the servers that the contract is for."""
    fixture = "microsoft_server" if request.param == "microsoft" else "fhir_server"
    return Server(request.param, request.getfixturevalue(fixture))


@pytest.fixture
def fhir(tested_server):
    """A client of the server."""
    with httpx.Client(base_url=tested_server.url, headers=HEADERS, timeout=300, trust_env=False) as client:
        yield client
