"""docs/ says what the code does: every setting, code, event, finding and mapped keyword is there, and nothing stale."""

import ast
import importlib
import re
from pathlib import Path
from typing import get_args

import pytest
from packaging.requirements import Requirement
from pydantic import BaseModel
from pydantic.alias_generators import to_pascal
from pydicom.datadict import tag_for_keyword

from bench.page import MODELS
from bench.report import as_markdown
from dev import mapping_page
from dev.identity.directory import Client, Directory, Identity
from dev.identity.guard import Access
from dev.vault.contents import Contents, Secret
from shared.advice import ADVICE
from shared.config import Settings
from shared.mapping.optional import REFUSED_ELEMENT
from shared.noted import NOTED
from shared.settings.hosting import StorageAccount
from shared.storage import checkpoint, patient_state, study_state
from shared.storage.error_records import ErrorTable
from shared.sync.cases import CODE_OF_DICOM_CAST, NOTE_OF_DICOM_CAST

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {path: ast.parse(path.read_text()) for path in sorted((ROOT / "shared").rglob("*.py"))}
CODE = re.compile(r"[a-z]+(-[a-z]+)*")
# set for the whole app rather than for a section of DICOM Cast
OWN_NAMES = {"StudyQueueName": "STUDY_QUEUE_NAME", "SyncSchedule": "SYNC_SCHEDULE"}


def rows(page, heading=""):
    """First column of each table row of a page, from a heading on."""
    text = (ROOT / "docs" / page).read_text()
    text = text[text.index(heading) :]
    if heading:
        text = heading + text[len(heading) :].split("\n## ")[0]
    return [row.strip() for row in re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)]


def ticked(cells):
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def setting_names(model, before=""):
    for name, field in model.model_fields.items():
        if field.exclude:  # calculated
            continue
        path = before + to_pascal(name)
        kinds = (field.annotation, *get_args(field.annotation))
        sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        for section in sections:
            yield from setting_names(section, path + "__")
        if not sections:
            yield OWN_NAMES.get(path, path)


def test_every_setting_is_documented():
    storage = {"AzureWebJobsStorage"} | {
        "AzureWebJobsStorage__" + to_pascal(name)[0].lower() + to_pascal(name)[1:]
        for name in StorageAccount.model_fields
        if name != "connection_string"
    }
    ours = {*setting_names(Settings), "AZURE_CLIENT_ID", *storage}
    assert ticked(rows("settings.md", "# Settings")) == ours


def constants(calls, position=None, keyword=None):
    """Text constants given to these calls anywhere in the code."""
    for tree in SOURCES.values():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in calls:
                continue
            arguments = [pair.value for pair in node.keywords if pair.arg == keyword]
            if position is not None and len(node.args) > position:
                arguments.append(node.args[position])
            for argument in arguments:
                for part in ast.walk(argument):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value


def class_codes():
    for node in ast.walk(SOURCES[ROOT / "shared" / "errors.py"]):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "code":
            yield node.value.value


def named_codes():
    names = {
        "UNREADABLE",
        "INCOMPLETE",
        "TOO_LARGE",
        "UNREAD",
        "SERVER_ERROR",
        "BUG",
        "MALFORMED_ENTRY",
        "MALFORMED_MESSAGE",
    }
    names |= {"DEADLINE", "DIED", "TOO_SLOW", "NOT_STARTED", "STUDY_TOO_LARGE", "UNREADABLE_RESOURCE"}
    for tree in SOURCES.values():
        for node in tree.body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in names:
                yield node.value.value


ERRORS = {"TransientError", "Throttled", "Unavailable", "VersionConflict", "PermanentError", "InvalidStudy"}
ERRORS |= {"AmbiguousMatch", "Rejected", "Misconfigured"}


def test_every_code_is_documented():
    raised = {*class_codes(), *named_codes(), *constants(ERRORS, keyword="code")}
    recorded = {text for text in constants({"ErrorRecord"}, position=1) if CODE.fullmatch(text)}
    of_instances = {text for text in constants({"Finding"}, position=1) if CODE.fullmatch(text)}
    assert set(ADVICE) == raised | recorded | of_instances | {CODE_OF_DICOM_CAST}


def test_the_page_says_of_every_code_what_the_command_line_says():
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page[page.index("## Codes") :].split("\n## ")[0]
    written = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \| (.+) \|$", table, re.MULTILINE)
    assert {code: (outcome, text) for code, outcome, text in written} == ADVICE


def test_every_finding_is_documented():
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page[page.index("| code | the value was |") :]
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE))
    of_studies = set(constants({"Finding"}, keyword="code"))
    assert documented == set(constants({"find"}, position=1)) | of_studies | {REFUSED_ELEMENT, NOTE_OF_DICOM_CAST}
    assert documented > NOTED.keys()


def test_every_event_is_documented():
    assert ticked(rows("operations.md", "## What it logs")) == {
        text for text in constants({"event"}, position=0) if re.fullmatch(r"[a-z_]+", text)
    }


def test_every_table_is_documented():
    ours = {module.TABLE_NAME for module in (checkpoint, patient_state, study_state)}
    heading = "## What the tables hold"
    tables = {name for name in ticked(rows("operations.md", heading)) if name.endswith("Table")}
    assert tables == ours | set(ErrorTable)


def keywords():
    """DICOM keywords that mapping/ reads."""
    readers = {
        "text",
        "texts",
        "uid",
        "integer",
        "date",
        "time",
        "person_names",
        "names",
        "items",
        "joined",
        "_text",
        "_number",
    }
    readers |= {"_unsigned", "_started", "date_time", "practitioner", "practitioners", "concepts"}
    for path, tree in SOURCES.items():
        if "mapping" not in path.parts:
            continue
        for node in ast.walk(tree):
            name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if name in readers:
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and tag_for_keyword(str(argument.value)) is not None:
                        yield argument.value


def documented_keywords():
    """Words of the first column that are DICOM keywords; each row has at least one, or says what else it is made of."""
    words = re.findall(r"[A-Za-z]+", " ".join(rows("mapping.md")))
    return {word for word in words if tag_for_keyword(word) is not None}


# parts of every coded entry, the same wherever one is read
OF_CODES = {"CodeValue", "LongCodeValue", "URNCodeValue", "CodeMeaning", "CodingSchemeDesignator", "CodingSchemeUID"}
# and of every content item and reference to an instance
OF_CODES |= {"ConceptCodeSequence", "ReferencedSeriesSequence", "ReferencedSOPSequence", "ReferencedSOPInstanceUID"}
OF_CODES |= {"IrradiationEventUID"}
OF_CODES |= {"CodingSchemeIdentificationSequence", "PersonIdentificationCodeSequence"}


def test_every_mapped_keyword_is_documented():
    assert set(keywords()) - OF_CODES - documented_keywords() == set()


def test_the_mapping_page_is_printed_from_the_tables():
    assert (ROOT / "docs" / "mapping.md").read_text() == mapping_page.page(), "make docs"


@pytest.mark.parametrize("row", mapping_page.ROWS, ids=lambda row: row.element + " " + row.keywords[:20])
def test_row_names_what_exists(row):
    """Every element path is one of R4, every keyword one of the DICOM dictionary, every source a section."""
    resource_type, *path = row.element.split(".")
    module = importlib.import_module(f"fhir.resources.R4B.{resource_type.lower()}")
    for name in path:
        assert name in getattr(module, resource_type).model_fields
        resource_type += name[0].upper() + name[1:]
    words = re.findall(r"\b[A-Z][a-z]\w+(?:Sequence|UID|ID|Name|Date|Time)\b", row.keywords)
    assert [word for word in words if tag_for_keyword(word) is None] == []
    assert row.source


@pytest.mark.parametrize(
    "page", ["README.md", "infra/README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_pages_that_the_code_names_exist():
    """In code, templates and workflows."""
    folders = ("shared", "dev", "bench", "infra", "tests", ".github")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if "node_modules" not in path.parts]
    texts = [path.read_text() for path in paths if path.suffix in {".py", ".bicep", ".yml", ".json", ".mjs"}]
    named = {name for text in texts for name in re.findall(r"\bdocs/([\w-]+\.md)", text)}
    assert {name for name in named if not (ROOT / "docs" / name).exists()} == set()
    assert len(named) > 8


def test_every_setting_of_a_stand_in_is_documented():
    named = ticked([(ROOT / "docs" / "stand-ins.md").read_text()])
    for model in (Directory, Client, Identity, Contents, Secret, Access):
        assert set(model.model_fields) <= named


def test_every_dependency_is_documented():
    named = (ROOT / "docs" / "dependencies.md").read_text()
    for file in ("requirements.in", "requirements-dev.in"):
        for line in (ROOT / file).read_text().splitlines():
            if line and not line.startswith("-r"):
                assert Requirement(line).name in named, line


def test_readme_and_makefile_name_the_same_verbs():
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", (ROOT / "README.md").read_text())) <= verbs
    assert {"setup", "demo", "up", "test", "lint", "type", "fmt", "bench", "clean", "help"} <= verbs


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("costs.md", "operations"),
        ("costs.md", "dollars"),
        ("costs.md", "logs"),
        ("costs.md", "schedules"),
        ("scaling.md", "scale"),
        ("scaling.md", "day"),
    ],
)
def test_costs_are_computed_from_counted_operations(page, name):
    assert as_markdown(MODELS[name]()) in (ROOT / "docs" / page).read_text(), "python -m bench.page"
