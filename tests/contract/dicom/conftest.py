"""The DICOM service twice: the stand-in and Microsoft's own. One contract for both."""

import contextlib
import os
import socket
import subprocess
import time

import httpx
import pytest

from dev import microsoft
from dev.process import running

STAND_IN, MICROSOFT = "stand-in", "microsoft"
PARTS = (
    pytest.param(STAND_IN, marks=pytest.mark.stand_in),
    pytest.param(MICROSOFT, marks=pytest.mark.real("dicom-server")),
)
JSON = {"Accept": "application/dicom+json"}
START_S = 60.0


@contextlib.contextmanager
def served(part, *, partitions=False, **environment):
    """The URL of a service for the length of a block; `environment` is for Microsoft's."""
    if part == STAND_IN:
        with running("dicom", "--port", "0", *(["--partitions"] if partitions else [])) as stand_in:
            yield stand_in.urls["url"]
        return
    if partitions:
        environment["DicomServer__Features__EnableDataPartitions"] = "true"
    port = _free_port()
    process = subprocess.Popen(
        [microsoft.program("dicom-server")],
        env={**os.environ, **environment, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(url, process):
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/v1/changefeed?limit=1", trust_env=False).is_success:
                return
        time.sleep(0.1)
    pytest.fail("Microsoft's DICOM service did not start")


def client_of(url):
    return httpx.Client(base_url=url, headers=JSON, timeout=60, trust_env=False)


@pytest.fixture(scope="session", params=PARTS)
def dicom_part(request):
    """Which service, and where; no test may assume that it has it to itself."""
    with served(request.param) as url:
        yield request.param, url


@pytest.fixture
def dicom(dicom_part):
    with client_of(dicom_part[1]) as client:
        yield client
