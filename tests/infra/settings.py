"""Which settings the templates set and the app reads, and what it says of itself."""

import ast
import re

from dev.process import ROOT

# settings that the Functions host or a library reads; those of the app are in docs/settings.md
HOST_SETTINGS = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AZURE_CLIENT_ID",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__credential",
}
FUNCTIONS = re.findall(r"^async def (\w+)\(", (ROOT / "function_app.py").read_text(), re.MULTILINE)


def documented_settings() -> dict[str, str]:
    """Every setting of docs/settings.md with its default; tests/test_docs.py holds that page to the code."""
    page = (ROOT / "docs" / "settings.md").read_text()
    return dict(re.findall(r"^\| `([\w]+)` \| ([^|]+?) \|", page, re.MULTILINE))


def status_fields() -> set[str]:
    """Fields of the status line by docs/operations.md; tests/flow/test_status.py holds that page to the code."""
    page = (ROOT / "docs" / "operations.md").read_text().split("\n## The status line\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def queue_triggers(name: str) -> set[str]:
    """Queues that function_app.py listens to when STUDY_QUEUE_NAME is `name`."""
    return {
        _queue(pair.value, name)
        for node in ast.walk(ast.parse((ROOT / "function_app.py").read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "queue_trigger"
        for pair in node.keywords
        if pair.arg == "queue_name"
    }


def _queue(value: ast.expr, name: str) -> str:
    """`TRIGGERS.queue_name`, bare or in an f-string."""
    if isinstance(value, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else name for part in value.values)
    return value.value if isinstance(value, ast.Constant) else name
