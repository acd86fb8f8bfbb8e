"""Queries of alerts, workbook and pages: Microsoft's parser knows them, and they ask for what is logged."""

import json
import re
from datetime import UTC, datetime

import pytest

from dev.process import ROOT
from tests.infra.settings import FUNCTIONS, status_fields
from tests.logs.queries import every_query, said_of
from tests.logs.workspace import RULES, Workspace

QUERIES = every_query()
EVENT = re.compile(r'"([a-z]+(?:_[a-z]+)+) ?"')


def test_microsofts_parser_has_nothing_to_say():
    assert {name: said for name, said in said_of(QUERIES).items() if said} == {}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Message", "Mesage", "does not refer to any known column"),
        ("AppTraces", "AppTrace", "does not refer to any known table"),
        ("toint(", "toint(1, ", "expects"),
        ("> 0", "> ", "Missing"),
        ("ago(15m)", '"soon"', "is not defined for the operand types"),
    ],
)
def test_microsofts_parser_finds_a_fault(old, new, says):
    queries = {name: query.replace(old, new, 1) for name, query in QUERIES.items() if old in query}
    assert queries
    for said in said_of(queries).values():
        assert says in str(said)


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_runs(name):
    Workspace().ask(QUERIES[name], datetime(2026, 11, 2, tzinfo=UTC))


def test_they_ask_for_lines_that_exist():
    page = (ROOT / "docs" / "operations.md").read_text().split("\n## ")[1]
    events = {*re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE), *FUNCTIONS}
    for name, query in QUERIES.items():
        asked = {*EVENT.findall(query), *re.findall(r'startswith "(\w*) ?"', query)}
        assert (name, asked - events) == (name, set())


def test_they_ask_for_fields_of_the_status_line():
    for name, query in QUERIES.items():
        assert (name, set(re.findall(r'" ([a-z_]+)=', query)) - status_fields()) == (name, set())


def test_each_alert_has_one_query_and_looks_at_the_status_line():
    """But for `failing`: a process that dies writes no line."""
    queries = [one["query"] for one in RULES.values()]
    assert len(set(queries)) == len(queries)
    others = [name for name, one in RULES.items() if 'startswith "status "' not in one["query"]]
    assert others == ["failing"]


def test_the_host_keeps_the_rows_that_are_asked_for():
    """Requests are logged by Host.Results, the app's lines by the category of their function."""
    logging = json.loads((ROOT / "host.json").read_text())["logging"]
    for category in ("Host.Results", *(f"Function.{name}.User" for name in FUNCTIONS)):
        assert logging["logLevel"].get(category) == "Information"
    sampling = logging["applicationInsights"]["samplingSettings"]
    assert {"Request", "Exception", "Trace"} <= set(sampling["excludedTypes"].split(";"))
