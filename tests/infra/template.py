"""Bicep files as they are parsed, with what the rules ask of them. pycep reads what is written; it does not compile.

It does not tell the symbol `name` from the string `'name'`; `symbols.py` looks at the text for that.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from pycep import BicepParser

ROOT = Path(__file__).resolve().parents[2]
PARSER = BicepParser(add_line_numbers=False)


@cache
def parse(text: str) -> dict[str, Any]:
    return PARSER.parse(text=text)


@dataclass(frozen=True)
class Declared:
    """A resource or a module of one file; `body` is what stands in braces, whatever loop or condition is around it."""

    file: str
    symbol: str
    kind: str
    version: str
    existing: bool
    condition: Any
    body: Mapping[str, Any]

    def value(self, path: str) -> Any:
        """What stands at `properties.x.0.y`, as parsed; None where it is absent."""
        found: Any = self.body
        for name in path.split("."):
            if isinstance(found, list) and name.isdecimal():
                found = found[int(name)] if int(name) < len(found) else None
            else:
                found = found.get(name) if isinstance(found, dict) else None
        return found


class Template:
    """One Bicep file."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text = file, text
        self.tree = parse(text)
        self.parameters: dict[str, Any] = self.tree.get("parameters", {})
        self.variables: dict[str, Any] = {name: one["value"] for name, one in self.tree.get("variables", {}).items()}
        self.outputs: dict[str, Any] = {name: one["value"] for name, one in self.tree.get("outputs", {}).items()}
        self.resources = {name: self._declared(name, one) for name, one in self.tree.get("resources", {}).items()}
        self.modules = {name: self._declared(name, one) for name, one in self.tree.get("modules", {}).items()}

    def _declared(self, symbol: str, one: Mapping[str, Any]) -> Declared:
        config, condition = one["config"], None
        while isinstance(config.get("config"), dict):
            condition = config.get("condition") or condition
            config = config["config"]
        kind = one["type"] if "api_version" in one else self.beside(one["detail"]["path"])
        return Declared(
            self.file, symbol, kind, one.get("api_version", ""), one.get("existing", False), condition, config
        )

    def beside(self, path: str) -> str:
        parts: list[str] = []
        for part in (PurePosixPath(self.file).parent / path).parts:
            parts = parts[:-1] if part == ".." else [*parts, part]
        return "/".join(parts)

    def required(self) -> set[str]:
        """Parameters without a default."""
        pattern = r"^param (\w+) \w+[ \t]*$"
        return set(re.findall(pattern, self.text, re.MULTILINE))


def dotted(value: Any) -> str:
    """`a.b.c` of a chain of properties or of a bare name; empty for everything else."""
    if isinstance(value, str):
        return value if re.fullmatch(r"\w+", value) else ""
    operator = value.get("operator", {}) if isinstance(value, dict) else {}
    if operator.get("type") != "property_accessor":
        return ""
    left, right = (dotted(operator["operands"][f"operand_{side}"]) for side in (1, 2))
    return f"{left}.{right}" if left and right else ""


def call(value: Any, name: str) -> list[Any]:
    """The arguments of a call of this function; none if it is not one."""
    function = value.get("function", {}) if isinstance(value, dict) else {}
    return list(function.get("parameters", {}).values()) if function.get("type") == name else []


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a parsed value, itself included."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


class Infra:
    """All files of the infrastructure, by their paths in the repository; those that do not parse are in `broken`."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.templates: dict[str, Template] = {}
        self.broken: dict[str, str] = {}
        for file in sorted(name for name in files if name.endswith(".bicep")):
            try:
                self.templates[file] = Template(file, files[file])
            except Exception as error:  # noqa: BLE001 - whatever the parser raises, the file is what is wrong
                self.broken[file] = str(error).splitlines()[0]

    @classmethod
    def read(cls) -> "Infra":
        paths = [*(ROOT / "infra").rglob("*"), ROOT / "azure.yaml", ROOT / "host.json"]
        return cls({str(path.relative_to(ROOT)): path.read_text() for path in paths if path.is_file()})

    def changed(self, file: str, old: str, new: str) -> "Infra":
        """The same with one text put in the place of another, which must be there."""
        assert old in self.files[file], f"{old!r} is not in {file}"
        return Infra({**self.files, file: self.files[file].replace(old, new, 1)})

    def resources(self, kind: str = "") -> list[Declared]:
        found = [one for template in self.templates.values() for one in template.resources.values()]
        return [one for one in found if not kind or one.kind == kind]

    def made(self, kind: str) -> list[Declared]:
        return [one for one in self.resources(kind) if not one.existing]

    def modules(self) -> list[Declared]:
        return [one for template in self.templates.values() for one in template.modules.values()]

    def resolved(self, file: str, value: Any) -> Any:
        """What a variable or a member of one stands for, where `value` names one; otherwise the value itself."""
        template = self.templates[file]
        name, _, member = dotted(value).partition(".")
        if name not in template.variables:
            return value
        found = template.variables[name]
        if path := call(found, "load_json_content"):
            found = self.json(template.beside(path[0]))
        return found.get(member) if member and isinstance(found, dict) else found

    def filled(self, file: str, value: str) -> str:
        """A text, bare or of a variable, with its interpolated variables filled in."""
        value = self.resolved(file, value)
        return re.sub(r"\$\{(\w+)\}", lambda found: self.resolved(file, found[1]), value)

    def json(self, file: str) -> Any:
        return json.loads(self.files[file])
