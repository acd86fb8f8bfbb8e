import platform
import sys
import zipfile

import pytest

from dev.package import build
from dev.process import ROOT

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
IS_AZURES = sys.platform == "linux" and platform.machine() == "x86_64"


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The zip, for this Python."""
    to = tmp_path_factory.mktemp("package") / "app.zip"
    build(ROOT, to, RUNNING, remote_build=False)
    return to


@pytest.fixture(scope="session")
def app(package, tmp_path_factory):
    """The folder it was unpacked to."""
    if not IS_AZURES:
        pytest.skip("the package is for Linux on x86-64, and this machine is another")
    folder = tmp_path_factory.mktemp("wwwroot")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return folder
