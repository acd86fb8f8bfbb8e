"""Each declared difference is what the server under test does, and what docs/stand-ins.md says."""

import pytest

from dev.process import ROOT
from tests.contract.fhir_server import (  # noqa: F401 - they declare
    differences_in_races,
    differences_in_searching,
    differences_in_values,
    differences_in_writing,
)
from tests.contract.fhir_server.differences import DIFFERENCES, OR, SERVERS

HEADING = "| difference | local | HAPI | Microsoft | for the app |"


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name.replace(" ", "-"))
def test_a_difference_is_as_declared(fhir, tested_server, difference):
    seen = difference.probe(fhir)
    seen = {seen} if isinstance(seen, str) else seen
    assert seen
    assert seen <= set(difference.answers[tested_server.name].split(OR))


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name.replace(" ", "-"))
def test_what_is_declared_differs(difference):
    assert len({difference.answers[server] for server in SERVERS}) > 1


def test_the_page_has_the_table_of_differences():
    page = (ROOT / "docs" / "stand-ins.md").read_text()
    table = page[page.index(HEADING) :].split("\n\n")[0].splitlines()
    assert table[2:] == [difference.row for difference in DIFFERENCES]
