"""What the host reads before it starts: local.settings.json, `%SETTING%` expressions, TimeSpan text.

Nothing here knows about functions or storage.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from dev.host.errors import BindingError, StartError

_EXPRESSION = re.compile(r"%([^%\s]+)%")
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d+)?))?")


def load_local_settings(folder: Path, file: Path | None) -> None:
    """Put `Values` of local.settings.json into the environment; what is set there already wins, as with Core Tools."""
    path = file or folder / "local.settings.json"
    if not path.exists():
        if file is None:
            return
        raise StartError(f"the settings file {file} does not exist")
    content = read_json(path)
    if content.get("IsEncrypted"):
        raise StartError(f"{path} is encrypted: run `func settings decrypt` first")
    for name, value in content.get("Values", {}).items():
        os.environ.setdefault(name, str(value))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; the error names the file and the place in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise StartError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise StartError(f"{path} does not hold a JSON object")
    return content


def resolve(text: str) -> str:
    """Replace every `%NAME%` in the text by the app setting of that name; raise BindingError where there is none."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise BindingError(f"{text!r} does not resolve to a value: the app setting {name} is not set")
        return os.environ[name]

    return _EXPRESSION.sub(value, text)


def is_true(text: str | None) -> bool:
    """An app setting read as a switch."""
    return (text or "").strip().lower() in {"true", "1"}


def time_span_s(text: str) -> float | None:
    """Seconds of a .NET TimeSpan text such as `00:00:05`, or None when it is something else."""
    match = _TIME_SPAN.fullmatch(text.strip())
    if not match:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
