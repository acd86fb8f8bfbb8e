"""Every KQL query of the alerts, the workbook and the pages, and what Microsoft's parser has to say of them."""

import json
import re
import subprocess
from pathlib import Path

from dev.node import node
from dev.process import ROOT
from tests.logs.tables import COLUMNS
from tests.logs.workspace import RULES

PARSER = Path(__file__).parent / "kusto.mjs"
TABLES = "|".join(COLUMNS)


def every_query() -> dict[str, str]:
    """By where it stands. On a page a query is an indented block that begins with a table."""
    found = {f"alert {name}": rule["query"] for name, rule in RULES.items()}
    workbook = json.loads((ROOT / "infra" / "workbook.json").read_text())
    for item in workbook["items"]:
        if "query" in item["content"]:
            found[f"workbook {item['name']}"] = item["content"]["query"]
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        blocks = re.findall(rf"(?m)^    (?:{TABLES})\n(?:    .*\n)+", page.read_text())
        found |= {f"{page.name} {number}": block for number, block in enumerate(blocks, 1)}
    return found


def said_of(queries: dict[str, str]) -> dict[str, list[str]]:
    """Errors, warnings and suggestions of Microsoft's parser, given the columns of the tables."""
    asked = json.dumps({"tables": COLUMNS, "queries": queries})
    done = subprocess.run([node(), PARSER], input=asked, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
