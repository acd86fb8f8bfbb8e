"""Hosts for the contract, on both sides; they end with the module that started them."""

import pytest

from dev.process import running
from tests.contract.host.hosts import SIDES, RunningHost


@pytest.fixture(scope="module", params=SIDES)
def side(request):
    """Which host: the stand-in, or Microsoft's."""
    return request.param


@pytest.fixture(scope="module")
def host_storage(side):  # noqa: ARG001 - one for each side
    with running("azurite", "--blob-port", "0", "--queue-port", "0", "--table-port", "0") as part:
        yield part.urls["connection_string"]


@pytest.fixture(scope="module")
def new_host(side, host_storage, tmp_path_factory):
    """Start a host; those of one id are one app."""
    hosts = []

    def started(host_id, *, storage=host_storage, **options):
        folder = tmp_path_factory.mktemp("host")
        hosts.append(RunningHost(side, folder, storage, host_id, **options))
        return hosts[-1]

    yield started
    for host in hosts:
        host.close()
