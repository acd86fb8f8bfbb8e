"""Which settings the templates set and the app reads, and what it says of itself."""

import ast
import re
from typing import Any

from tests.infra.template import ROOT, Infra, Template, call, dotted


def documented_settings() -> dict[str, str]:
    """Every setting of docs/settings.md with its default; tests/test_docs.py holds that page to the code."""
    page = (ROOT / "docs" / "settings.md").read_text()
    return dict(re.findall(r"^\| `([\w]+)` \| ([^|]+?) \|", page, re.MULTILINE))


def status_fields() -> set[str]:
    """Fields of the status line by docs/operations.md; tests/flow/test_status.py holds that page to the code."""
    page = (ROOT / "docs" / "operations.md").read_text().split("\n## The status line\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def app_settings(infra: Infra) -> dict[str, Any]:
    """The app settings of the deployed app, with their values as they are written."""
    config = next(one for one in infra.made("Microsoft.Web/sites/config") if one.body["name"] == "appsettings")
    caller = next(one for one in infra.modules() if one.kind == config.file)
    template = infra.templates[caller.file]
    given = _members(infra, template, caller.value("params.settings"))
    return {**given, **_members(infra, infra.templates[config.file], config.body["properties"])}


def _members(infra: Infra, template: Template, value: Any) -> dict[str, Any]:
    """Members of an object that is written out, merged by union(), or the output of a module."""
    if parts := call(value, "union"):
        return {name: member for part in parts for name, member in _members(infra, template, part).items()}
    symbol, _, output = dotted(value).partition(".outputs.")
    if output and symbol in template.modules:
        module = template.modules[symbol]
        section = module.value("params.section")
        members = _members(infra, infra.templates[module.kind], infra.templates[module.kind].outputs.get(output))
        return {name.strip("'").replace("${section}", str(section)): one for name, one in members.items()}
    return value if isinstance(value, dict) and not {"operator", "function"} & set(value) else {}


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
