"""The `az` commands of pages and workflows, as lists of arguments."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "infra" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
START = re.compile(r"(?<![\w./-])az (?=[a-z])")
VALUE = "value"
ENDS = "\n;|)`>"


def commands(text):
    """Every `az` command of a text, those within `$(…)` of another included; variables become a value."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [_arguments(joined, found.end()) for found in START.finditer(joined)]


def _arguments(text, start):
    command, depth, quote = "", 0, ""
    for sign in text[start:]:
        if not quote and depth == 0 and sign in ENDS:
            break
        if depth == 0 and sign in "'\"" and quote in ("", sign):
            quote = "" if quote else sign
        depth += (sign == "(") - (sign == ")") if quote != "'" else 0
        command += sign
    command = re.sub(r"\$\((?:[^()]|\([^()]*\))*\)", VALUE, command)
    return [re.sub(r"\$\{?\w+\}?", VALUE, part) for part in shlex.split(command)]


def code_of(page):
    """What stands between backticks or is indented as code; what is a reference is a sentence, no command."""
    blocks = re.findall(r"^(?: {4,}.*\n)+", page, re.MULTILINE)
    inline = re.findall(r"`(az [^`]+)`", page)
    return "\n".join([*blocks, *inline])


def all_commands():
    """Each command with the file that it stands in."""
    found = [(path.name, one) for path in PAGES for one in commands(code_of(path.read_text()))]
    return found + [(path.name, one) for path in WORKFLOWS for one in commands(path.read_text())]
