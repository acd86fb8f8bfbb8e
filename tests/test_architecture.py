"""Which file may know what. The rules are those of the house; a file that breaks one is the finding."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60

# files that touch nothing but their arguments; so does all of shared.mapping
PURE = {
    "shared.dicom.content_tree",
    "shared.dicom.datetimes",
    "shared.dicom.feed",
    "shared.dicom.sharing",
    "shared.dicom.study",
    "shared.dicom.values",
    "shared.fhir.bundle",
    "shared.fhir.capabilities",
    "shared.fhir.identifiers",
    "shared.fhir.outcome",
    "shared.fhir.ownership",
    "shared.fhir.searchset",
    "shared.fhir.refusal",
    "shared.fhir.replaced",
    "shared.fhir.shapes",
    "shared.fhir.systems",
    "shared.schedule",
    "shared.sync.backoff",
    "shared.sync.circuit",
    "shared.sync.conflicts",
    "shared.sync.gaps",
    "shared.sync.delta",
    "shared.sync.ledger",
    "shared.sync.listing",
    "shared.sync.replica",
    "shared.sync.writers",
    "shared.text_forms",
}
ROOTS = {"shared.errors", "shared.state", "shared.model"}
NOT_PURE = {
    "aiohttp",
    "asyncio",
    "azure",
    "httpx",
    "logging",
    "os",
    "pathlib",
    "socket",
    "stamina",
    "threading",
    "time",
}
CLOCK = {"now", "utcnow", "today", "monotonic", "perf_counter", "sleep", "localtime", "gmtime"}
BANNED = ("Manager", "Helper", "Utils", "Processor", "Handler", "Wrapper", "Impl", "Base")

# what a file outside of PURE may import of this app, by its longest prefix
MAY_IMPORT = {
    "shared.errors": (),
    "shared.state": (),
    "shared.model": (),
    "shared.telemetry": (),
    "shared.version": (),
    "shared.config": ("shared.settings", "shared.errors", "shared.text_forms"),
    "shared.settings": ("shared.settings", "shared.retry", "shared.errors", "shared.text_forms", "shared.telemetry"),
    "shared.credentials": (
        "shared.credentials",
        "shared.settings",
        "shared.http",
        "shared.retry",
        "shared.single_flight",
        "shared.errors",
    ),
    "shared.single_flight": (),
    "shared.retry": ("shared.errors",),
    "shared.room": ("shared.errors",),
    "shared.body": ("shared.errors", "shared.retry", "shared.room"),
    "shared.http": ("shared.errors", "shared.retry", "shared.body", "shared.room"),
    "shared.dicom": ("shared.http", "shared.retry", "shared.model", "shared.state", "shared.errors", "shared.dicom"),
    "shared.fhir": (
        "shared.http",
        "shared.retry",
        "shared.single_flight",
        "shared.model",
        "shared.state",
        "shared.errors",
        "shared.fhir",
    ),
    "shared.storage": ("shared.retry", "shared.model", "shared.state", "shared.errors", "shared.storage"),
    "shared.mapping": (
        "shared.dicom",
        "shared.fhir",
        "shared.model",
        "shared.state",
        "shared.errors",
        "shared.mapping",
    ),
    "shared.sync": (
        "shared.dicom",
        "shared.fhir",
        "shared.storage",
        "shared.mapping",
        "shared.sync",
        "shared.advice",
        "shared.http",
        "shared.retry",
        "shared.room",
        "shared.single_flight",
        "shared.model",
        "shared.state",
        "shared.errors",
        "shared.schedule",
        "shared.telemetry",
    ),
    "shared.schedule": ("shared.text_forms",),
    "shared.checks": ("shared.errors",),
    "shared.health": ("shared.checks", "shared.schedule", "shared.sync", "shared.errors"),
    "shared.status": ("shared.checks", "shared.schedule", "shared.telemetry", "shared.version", "shared.errors"),
    "shared.wiring": ("shared",),
    "shared.worker": ("shared",),
    "shared.operate": ("shared",),
    "shared.alone": ("shared",),
    "shared.child": (
        "shared.sync.alone",
        "shared.sync.attempt",
        "shared.model",
        "shared.state",
        "shared.errors",
        "shared.telemetry",
    ),
    "shared.advice": (),
    "shared.noted": ("shared.advice",),
    "function_app": (
        "shared.settings.hosting",
        "shared.worker",
        "shared.model",
        "shared.state",
        "shared.errors",
        "shared.telemetry",
    ),
}


def _name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {_name(path): path for path in [ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py"))]}
PURE |= {name for name in FILES if name.startswith("shared.mapping.")}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}
MODULES = sorted(FILES)


def _imports_of(tree):
    """Every module that is imported, wherever in the file and whatever for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names if f"{node.module}.{alias.name}" in FILES)


@cache
def _imports(name):
    return frozenset(_imports_of(TREES[name]))


def _ours(name):
    return {imported for imported in _imports(name) if imported.split(".")[0] in ("shared", "function_app")}


def _within(imported, allowed):
    return any(imported == prefix or imported.startswith(prefix + ".") for prefix in allowed)


def _docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def test_every_file_is_looked_at():
    assert len(FILES) > 30
    assert set(FILES) >= PURE


@pytest.mark.parametrize("name", MODULES)
def test_no_relative_imports(name):
    assert [imported for imported in _imports(name) if imported.startswith(".")] == []


@pytest.mark.parametrize("name", sorted(ROOTS))
def test_errors_and_model_know_only_the_standard_library(name):
    assert {imported for imported in _imports(name) if imported.split(".")[0] not in sys.stdlib_module_names} == set()


def test_a_file_that_calls_itself_pure_is_held_to_it():
    claims = {name for name in MODULES if (ast.get_docstring(TREES[name]) or "").startswith("Pure:")}
    assert claims - PURE == set()


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_file_imports_no_input_or_output(name):
    assert {imported for imported in _imports(name) if imported.split(".")[0] in NOT_PURE} == set()


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_file_imports_only_pure_files(name):
    packages = {imported for imported in _ours(name) if (FILES[imported].name == "__init__.py")}
    assert _ours(name) - packages - PURE - ROOTS == set()


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_file_reads_no_clock(name):
    calls = [node.func for node in ast.walk(TREES[name]) if isinstance(node, ast.Call)]
    read = [call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCK]
    assert read == []


@pytest.mark.parametrize("name", MODULES)
def test_file_imports_only_what_its_place_allows(name):
    place = max((prefix for prefix in MAY_IMPORT if _within(name, [prefix])), key=len, default=None)
    allowed = MAY_IMPORT[place] if place else ()
    assert {imported for imported in _ours(name) if not _within(imported, allowed)} == set()


def test_nothing_imports_the_composition_root_but_the_worker():
    assert {name for name in MODULES if "shared.wiring" in _imports(name)} <= {
        "shared.worker",
        "shared.operate",
        "shared.alone",
    }


@pytest.mark.parametrize("name", ["shared.dicom.client", "shared.fhir.client"])
def test_client_knows_http_and_the_pure_files_of_its_folder(name):
    folder = name.rpartition(".")[0]
    own = {found for found in PURE if _within(found, [folder])}
    # how resources are created is decided beside the client, over its requests; what its refusals mean, too
    own |= {"shared.fhir.creation", "shared.fhir.refused"} if folder == "shared.fhir" else set()
    assert _ours(name) - own - ROOTS - {"shared.http", "shared.retry", "shared.single_flight"} == set()


def test_what_decides_how_resources_are_created_knows_no_http():
    for name in ("shared.fhir.creation", "shared.fhir.id_key"):
        assert _imports(name).isdisjoint({"httpx", "shared.http", "shared.fhir.client"})


def test_only_mapping_and_sync_know_dicom_and_fhir():
    both = {
        name
        for name in MODULES
        if {"dicom", "fhir"} <= {part.split(".")[1] for part in _ours(name) if part.count(".") >= 1}
    }
    assert {name for name in both if not _within(name, ["shared.mapping", "shared.sync", "shared.wiring"])} == set()


def test_only_mapping_names_dicom_attributes_and_fhir_elements_together():
    """Outside of it nobody reads the tags of the patient and study level that end up in FHIR."""
    keywords = {"PatientName", "PatientSex", "PatientBirthDate", "StudyDescription", "AccessionNumber", "Modality"}
    named = {
        name
        for name in MODULES
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in keywords
    }
    assert {name for name in named if not _within(name, ["shared.mapping"])} == set()


@pytest.mark.parametrize("name", [name for name in MODULES if name != "shared.settings.source"])
def test_only_one_file_reads_the_environment(name):
    names = {node.attr for node in ast.walk(TREES[name]) if isinstance(node, ast.Attribute)}
    assert "os" not in {imported.split(".")[0] for imported in _imports(name)}
    assert names & {"environ", "getenv"} == set()


@pytest.mark.parametrize("name", MODULES)
def test_fhir_resources_only_as_r4b_and_only_for_validation(name):
    docs = set(map(id, _docstrings(TREES[name])))
    texts = {
        node.value
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    }
    used = {text for text in texts | _imports(name) if text.startswith("fhir.") or "fhir.resources" in text}
    assert {text for text in used if not text.startswith("fhir.resources.R4B")} == set()
    assert not used or name == "shared.fhir.validation"


@pytest.mark.parametrize("name", MODULES)
def test_file_is_short(name):
    assert len(FILES[name].read_text().splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("name", MODULES)
def test_functions_are_short(name):
    functions = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {function.name: function.end_lineno - function.lineno + 1 for function in functions}
    assert {found: length for found, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("name", MODULES)
def test_classes_have_names_that_say_something(name):
    classes = [node.name for node in ast.walk(TREES[name]) if isinstance(node, ast.ClassDef)]
    assert [found for found in classes if found.endswith(BANNED)] == []


HEAVY = ("aiohttp", "azure.data", "azure.identity", "azure.storage", "fhir", "httpx", "pydicom")


def test_importing_the_app_imports_nothing_heavy():
    code = "import json, sys, function_app; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [module for module in json.loads(answer.stdout) if _within(module, HEAVY)] == []
