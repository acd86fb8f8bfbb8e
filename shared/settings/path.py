"""The path of a setting: its levels in lower case, however they are separated."""

import re

Path = tuple[str, ...]


def path_of(name: str) -> Path:
    """The lower-case path of a setting's name; levels are separated by `__`, `:` or, in a vault, `--`."""
    return tuple(re.split(r"__|:|--", name.lower()))
