"""The local stack for tests: real processes, started once, emptied for each test.

`--fhir hapi` puts HAPI FHIR in the place of the stack's own FHIR server (`make test-hapi`); `--fhir microsoft`,
`--dicom microsoft` and `--host func` put Microsoft's own programs in the places of all three (`make test-microsoft`).
"""

from pathlib import Path

import httpx
import pytest

from dev.microsoft import missing
from dev.parts import Dicom, Fhir, Host, Parts
from dev.process import Part
from tests.identity_stack import DICOM_AUDIENCE, FHIR_AUDIENCE, OTHER_WAYS, Gate, IdentityProvider, Vault
from tests.stack import Stack

REAL = ("func", "dicom-server", "fhir-server")
HAPI_ONLY = Path(__file__).parent / "hapi"
AZURE_CLI_ONLY = Path(__file__).parent / "azure_cli"
FIRST_START_S = 600.0  # HAPI is built and fetched then, Microsoft's programs are unpacked


def pytest_addoption(parser):
    defaults = Parts()
    for name, kind, what in (
        ("host", Host, "the Functions host"),
        ("dicom", Dicom, "the DICOM service"),
        ("fhir", Fhir, "the FHIR server"),
    ):
        choices = [each.value for each in kind]
        parser.addoption(f"--{name}", choices=choices, default=getattr(defaults, name).value, help=f"{what} under test")
    parser.addoption("--azure-cli", help="the interpreter of an Azure CLI, for the commands of the pages")
    parser.addoption("--rounds", type=int, default=5, help="how often workers race for the same new resources")


def _parts(config):
    """What is under test."""
    option = config.getoption
    return Parts(Host(option("--host")), Dicom(option("--dicom")), Fhir(option("--fhir")))


def pytest_configure(config):
    config.addinivalue_line("markers", "real(program): on Microsoft's own program, in `make test-microsoft`")
    config.addinivalue_line(
        "markers", "needs(program): uses one of Microsoft's programs; skipped where it is not to be had"
    )
    config.addinivalue_line("markers", "stand_in: on a stand-in; its contract runs without Microsoft's programs")
    config.addinivalue_line("markers", "not_on(part, reason): arranges what this part cannot be made to do")
    if lack := _parts(config).missing():
        raise pytest.UsageError(lack)


def pytest_ignore_collect(collection_path, config):
    """The tests that only HAPI or the Azure CLI answers are left out elsewhere, and said to be at the end."""
    left_out = {HAPI_ONLY: not _is_hapi(config), AZURE_CLI_ONLY: not config.getoption("--azure-cli")}
    return left_out.get(collection_path) or None


def pytest_collection_modifyitems(config, items):
    commands = _parts(config).commands
    is_real = not set(REAL).isdisjoint(commands)
    left_out = [item for item in items if _side(item) not in (None, is_real)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    for item in items:
        for marker in (*item.iter_markers("real"), *item.iter_markers("needs")):
            if lack := missing(*marker.args):
                item.add_marker(pytest.mark.skip(reason=lack))
        for marker in item.iter_markers("not_on"):
            part, reason = marker.args
            if part in commands:
                item.add_marker(pytest.mark.skip(reason=f"not on {part}: {reason}"))


def _side(item):
    """Whether a test is about Microsoft's own programs, which run apart, since each start takes seconds; False for one
    about a stand-in. None for tests of the app on whatever runs.
    """
    if item.get_closest_marker("real"):
        return True
    return False if item.get_closest_marker("stand_in") else None


def pytest_terminal_summary(terminalreporter, config):
    if not _is_hapi(config):
        terminalreporter.write_line("left out: HAPI FHIR as the server, see `make test-hapi` (Java 17, Maven)")
    if not config.getoption("--azure-cli"):
        terminalreporter.write_line("left out: the pages' commands by the Azure CLI, see `make test-azure-cli`")
    stand_ins = [name for name in _parts(config).commands if name in ("host", "dicom", "fhir")]
    if stand_ins:
        names = ", ".join(stand_ins)
        terminalreporter.write_line(f"left out: Microsoft's own in the place of {names}, see `make test-microsoft`")


def _is_hapi(config):
    return config.getoption("--fhir") == Fhir.HAPI


def _part(request, *args, **options):
    part = Part(args, **options)
    request.addfinalizer(part.stop)
    return part


@pytest.fixture(scope="session")
def azurite(request):
    """Table and queue storage."""
    return _part(request, "azurite", "--blob-port", "0", "--queue-port", "0", "--table-port", "0").urls


def _server(request, name):
    """Where a server answers; Microsoft's have a proxy in front that empties, counts and fails as the stand-ins do."""
    admin = ("--admin",) if name in ("dicom-server", "fhir-server") else ()
    return _part(request, name, "--port", "0", *admin, timeout_s=FIRST_START_S).urls["url"]


@pytest.fixture(scope="session")
def dicom_service(request):
    """The DICOM service under test."""
    return _server(request, _parts(request.config).dicom.command)


@pytest.fixture(scope="session")
def fhir_server(request):
    """The FHIR server under test."""
    return _server(request, _parts(request.config).fhir.command)


@pytest.fixture
def rounds(request):
    """How often to race: few times, or as often as it takes to trust the outcome."""
    return request.config.getoption("--rounds")


@pytest.fixture(scope="session")
def second_fhir_server(request):
    """Another FHIR server, for fresh projections to compare with: the stack's own, whatever is under test."""
    return _part(request, "fhir", "--port", "0").urls["url"]


@pytest.fixture
def client_ids():
    """Whether the local FHIR server lets clients choose ids, as the others do; modules say otherwise."""
    return False


@pytest.fixture
def emptied(request, dicom_service, fhir_server, client_ids):
    """Empty both servers under test."""

    def empty():
        _empty(dicom_service, fhir_server)
        if _parts(request.config).fhir.command == "fhir":
            httpx.post(
                fhir_server.split("/fhir")[0] + "/_dev/settings", json={"update_creates": client_ids}, trust_env=False
            ).raise_for_status()

    return empty


def _empty(dicom, *fhir_servers):
    httpx.post(f"{dicom}/_dev/reset", trust_env=False, verify=False, timeout=120).raise_for_status()
    for url in fhir_servers:
        httpx.post(url.split("/fhir")[0] + "/_dev/reset", trust_env=False, verify=False, timeout=120).raise_for_status()


@pytest.fixture
def short_waits(monkeypatch):
    """The servers here answer within milliseconds, so what may be under way is waited for seconds, not minutes."""
    monkeypatch.setattr("shared.sync.writers.SETTLED_AFTER_S", 2)
    monkeypatch.setattr("shared.sync.replica.LAG_S", 2)
    monkeypatch.setattr("shared.retry.REPEAT_WAIT_S", 0.02)


@pytest.fixture
async def stack(request, monkeypatch, short_waits, azurite, dicom_service, fhir_server, emptied):
    assert short_waits is None
    emptied()
    stack = Stack(monkeypatch, azurite, dicom_service, fhir_server)
    stack.host_command = _parts(request.config).host.command
    yield stack
    await stack.close()


@pytest.fixture
async def fresh_projection(monkeypatch, azurite, dicom_service, second_fhir_server):
    """What an app that starts from nothing makes of DICOM as it is now."""
    stacks = []

    async def project():
        httpx.post(
            second_fhir_server.split("/fhir")[0] + "/_dev/reset", trust_env=False, verify=False, timeout=120
        ).raise_for_status()
        fresh = Stack(monkeypatch, azurite, dicom_service, second_fhir_server)
        stacks.append(fresh)
        await fresh.drain()
        return await fresh.content()

    yield project
    for fresh in stacks:
        await fresh.close()


@pytest.fixture
async def new_stack(monkeypatch, azurite, dicom_service, fhir_server, emptied):
    """An app on emptied servers, as often as it is asked for."""
    stacks = []
    monkeypatch.setattr("shared.sync.replica.LAG_S", 2)

    def made():
        emptied()
        stacks.append(Stack(monkeypatch, azurite, dicom_service, fhir_server))
        return stacks[-1]

    yield made
    for stack in stacks:
        await stack.close()


@pytest.fixture(scope="session")
def identity_process(request):
    return _part(request, "identity", "--port", "0").urls


@pytest.fixture(scope="session")
def vault_process(request, identity_process):
    return _part(request, "vault", "--port", "0", "--identity", identity_process["url"]).urls


def _gate_before(request, service, identity, audience, role):
    asking = ("--identity", identity["url"], "--audience", audience, "--role", role)
    return _part(request, "proxy", "--to", service, *asking).urls


@pytest.fixture(scope="session")
def dicom_gate_process(request, dicom_service, identity_process):
    return _gate_before(request, dicom_service, identity_process, DICOM_AUDIENCE, "DICOM Data Reader")


@pytest.fixture(scope="session")
def fhir_gate_process(request, fhir_server, identity_process):
    return _gate_before(request, fhir_server, identity_process, FHIR_AUDIENCE, "FHIR Data Writer")


@pytest.fixture
def identity(monkeypatch, identity_process):
    """The identity provider; this process finds its managed identity endpoint."""
    for name in OTHER_WAYS:
        monkeypatch.delenv(name, raising=False)
    provider = IdentityProvider(identity_process)
    for name, value in provider.environment.items():
        monkeypatch.setenv(name, value)
    yield provider
    provider.close()


@pytest.fixture
def vault(monkeypatch, identity, vault_process):
    """An empty Key Vault that takes the identity provider's tokens; this process finds it, and trusts it where the
    environment is read at the time of a request. aiohttp reads it when it is imported: `connection_verify` for that.
    """
    vault = Vault(vault_process)
    for name, value in (identity.environment | vault.environment).items():
        monkeypatch.setenv(name, value)
    yield vault
    vault.close()


@pytest.fixture
def dicom_gate(dicom_gate_process):
    """The DICOM service behind a gate that wants DICOM_AUDIENCE and the role DICOM Data Reader."""
    gate = Gate(dicom_gate_process, DICOM_AUDIENCE)
    yield gate
    gate.close()


@pytest.fixture
def fhir_gate(fhir_gate_process):
    """The FHIR server behind a gate that wants FHIR_AUDIENCE and the role FHIR Data Writer."""
    gate = Gate(fhir_gate_process, FHIR_AUDIENCE)
    yield gate
    gate.close()
