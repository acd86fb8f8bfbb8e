"""Settings that look like this app's and are not: a misspelt name has no effect, and nobody would see it."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_pascal

from shared.settings.of_dicom_cast import SETTINGS_OF_DICOM_CAST
from shared.settings.path import Path, path_of
from shared.settings.section import section_in
from shared.settings.source import HOW_TO_NAME, SECTIONS, written_names

# settings that DICOM Cast reads, this app's own among them: an operator who takes them over is not told that they are
# unknown. What this app does not do with them is said elsewhere
READ_ELSEWHERE = frozenset(map(path_of, SETTINGS_OF_DICOM_CAST))
# how alike two names are, from 0 to 1, before one is taken for the other: `Fhir__Endpont` and `Fhir__Endpoint` are 0.96
ALIKE, SECTION_ALIKE = 0.75, 0.85


def unknown_settings(found: Mapping[str, Any], known: Mapping[Path, str]) -> tuple[str, ...]:
    """A sentence for each setting that nothing reads, by name: below a section of this app, or so much like one of its
    names that it is taken for it. found: nested settings. known: names of this app's settings by their path.
    """
    names = written_names()
    accepted = {*known, HOW_TO_NAME, *READ_ELSEWHERE}
    by_text = {_text(path): name for path, name in known.items()}
    told = []
    for path in _paths(found):
        if path in accepted:
            continue
        is_below = len(path) > 1 and path[0] in (*SECTIONS, "keyvault")
        meant = get_close_matches(_text(path), by_text, n=1, cutoff=ALIKE if is_below else SECTION_ALIKE)
        if is_below or meant:
            told.append(_sentence(names.get(path, "--".join(path)), [by_text[text] for text in meant]))
    return tuple(sorted(told))


def _sentence(name: str, meant: Collection[str]) -> str:
    guess = f": is {next(iter(meant))} meant?" if meant else ""
    return f"{name} is not a setting of this app, and nothing reads it{guess}"


def known_settings(model: type[BaseModel], before: Path = (), shown: str = "") -> dict[Path, str]:
    """The names of a model's settings by their lower-case path, sections within sections."""
    known: dict[Path, str] = {}
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        if (section := section_in(field)) is not None:
            known |= known_settings(section, (*before, to_pascal(name).lower()), f"{shown}{to_pascal(name)}__")
        elif before:
            known[(*before, to_pascal(name).lower())] = shown + to_pascal(name)
        else:  # set for the whole app rather than for a section
            known[(name,)] = name.upper()
    return known


def _paths(tree: Mapping[str, Any], before: Path = ()) -> Iterator[Path]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _paths(value, (*before, name))
        else:
            yield (*before, name)


def _text(path: Path) -> str:
    return "__".join(path)
