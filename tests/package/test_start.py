"""The package does the app's job by itself: nothing of the development environment is within its reach."""

import ast
import json
import subprocess
from collections import Counter

import httpx
import pytest
from pydicom.dataset import Dataset

from dev.package import PACKAGES
from tests.builders import make_instance
from tests.package.clean import HOST_ONLY, host, host_parts, python, without
from tests.test_requirements import pins
from tests.unit.datasets import dataset
from tests.unit.dose.reports import STUDY, ct_report

pytestmark = pytest.mark.timeout(600)  # packages may have to be fetched first

MODELS = [f"fhir.resources.R4B.{name}" for name in ("imagingstudy", "patient", "endpoint", "device", "observation")]
IMPORT = """
import importlib, json, sysconfig
for name in json.loads({names!r}):
    importlib.import_module(name)
files = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
print(json.dumps([file for file in files if not file.startswith(({app!r}, sysconfig.get_path("stdlib")))]))
"""
EQUIPMENT = {"Manufacturer": "ACME", "DeviceSerialNumber": "SN1"}


def imported(app):
    """Every module of the app, and every module that it imports, at its start or later."""
    files = [app / "function_app.py", *(app / "shared").rglob("*.py")]
    names = {".".join(file.relative_to(app).with_suffix("").parts).removesuffix(".__init__") for file in files}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module)
    return [*sorted(names), *MODELS]


def import_all(app):
    code = IMPORT.format(names=json.dumps(imported(app)), app=str(app))
    return subprocess.run(python(code, app, app / PACKAGES), capture_output=True, text=True, cwd=app, check=False)


def test_the_clean_python_knows_nothing_else():
    done = subprocess.run(python("import pytest"), capture_output=True, text=True, check=False)
    assert "No module named 'pytest'" in done.stderr
    assert set(HOST_ONLY) & {name for name, _ in pins("requirements.txt")} == set()


def test_every_module_is_inside(app):
    done = import_all(app)
    assert (done.returncode, done.stderr, json.loads(done.stdout)) == (0, "", [])


@pytest.mark.parametrize(
    ("lacking", "module"),
    [("oauthlib", "oauthlib"), ("azure/keyvault", "azure.keyvault"), ("msal", "msal")],
    ids=["imported late", "part of a namespace", "needed by a package"],
)
def test_a_missing_package_is_noticed(app, tmp_path, lacking, module):
    done = import_all(without(app, tmp_path, lacking))
    assert done.returncode == 1
    assert f"ModuleNotFoundError: No module named '{module}'" in done.stderr


@pytest.fixture
def start(stack, tmp_path):
    """Start the host stand-in on an app, with the settings of this stack."""
    parts, hosts = host_parts(tmp_path / "host"), []
    env = {
        "AzureWebJobsStorage": stack.azurite["connection_string"],
        "DicomWeb__Endpoint": stack.dicom,
        "Fhir__Endpoint": stack.fhir,
        "TableStore__TableNamePrefix": stack.name,
        "STUDY_QUEUE_NAME": stack.name,
        "SYNC_SCHEDULE": "*/1 * * * * *",
        "FUNCTIONS_WORKER_RUNTIME": "python",
    }

    def started(app):
        hosts.append(host(app, parts, tmp_path / "host.log", env))
        return hosts[-1].urls["url"]

    yield started
    for one in hosts:
        one.stop()


async def test_what_is_stored_appears_in_fhir(stack, app, start, fresh_projection):
    url = start(app)
    report = dataset(PatientID="MRN-0001", SeriesInstanceUID=f"{STUDY}.1", Modality="SR", **EQUIPMENT)
    image = make_instance(7, 2, 1, StudyInstanceUID=STUDY, **EQUIPMENT)
    await stack.store(Dataset.from_json(ct_report([1, 2], total=20) | report), image)
    await stack.until_in_step()
    answer = httpx.get(f"{url}/api/health", timeout=60, trust_env=False)
    assert (answer.status_code, answer.json()["status"], answer.json()["problems"]) == (200, "healthy", [])
    counts = Counter(one["resourceType"] for one in await stack.resources())
    assert counts == {"ImagingStudy": 1, "Patient": 1, "Endpoint": 1, "Device": 1, "Observation": 3}
    assert await stack.content() == await fresh_projection()


async def test_a_host_on_a_package_that_lacks_something_says_so(app, start, tmp_path):
    """The app imports most of its packages at the first call only: the host starts, and every call fails."""
    lame = tmp_path / "lame"
    lame.mkdir()
    url = start(without(app, lame, "stamina"))
    assert httpx.get(f"{url}/api/health", timeout=60, trust_env=False).status_code == 500
    assert "ModuleNotFoundError: No module named 'stamina'" in (tmp_path / "host.log").read_text()
