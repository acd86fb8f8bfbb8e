"""The figures of docs/performance.md: tables between markers; the sentences around them are written by hand.

`python -m bench.page` writes those of docs/costs.md and docs/scaling.md, which are computed.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import costs, simulation
from bench.report import as_markdown, tables
from bench.report_in_hosts import RE_ENACTMENT, REAL

# what is computed, not measured
MODELS = {**costs.TABLES, "day": simulation.day}
BESIDE = {REAL: "DICOM Cast itself", RE_ENACTMENT: "the re-enactment of DICOM Cast"}
PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def write(results: dict[str, Any], *, on_hapi: bool) -> None:
    """Put the tables of a run in the place of those of the last one."""
    text = PAGE.read_text()
    before = "hapi " if on_hapi else ""
    for name, rows in tables(results).items():
        text = replaced(text, before + name, as_markdown(rows))
    PAGE.write_text(replaced(text, before + "machine", _machine(results)))


def write_costs() -> None:
    """The tables of docs/costs.md and docs/scaling.md."""
    for path in (PAGE.with_name("costs.md"), PAGE.with_name("scaling.md")):
        text = path.read_text()
        for name, table in MODELS.items():
            text = replaced(text, name, as_markdown(table()))
        path.write_text(text)


def replaced(text: str, name: str, content: str) -> str:
    """The text with other content between the markers of this name; unchanged where it has none."""
    start, end = f"<!-- bench: {name} -->", f"<!-- end: {name} -->"
    pattern = re.escape(start) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: f"{start}\n{content}\n{end}", text, flags=re.DOTALL)


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {machine['processors']} processors for everything (servers, storage and both "
        f"sides), {machine['system']}, Python {machine['python']}; {results['seconds']:.0f} s for the run. "
        f"Load average before it: {machine['load_before']}. Beside the app: {BESIDE[machine['cast']]}."
    )


if __name__ == "__main__":
    write_costs()
