"""Whether an attribute matches the value of a filter (dicom-server: SqlQueryGenerator.cs).

Dates match as ranges or exactly, names without case and accents, other text without case; fuzzy matching compares the
beginnings of the words of a name.
"""

import re
import unicodedata
from collections.abc import Callable

from dev.dicom import rules
from dev.dicom.model import Attributes

Test = Callable[[Attributes], bool]

_NAMES = frozenset({"00100010", "00080090"})
_DATES = frozenset({"00100030", "00080020", "00400244"})
_UIDS = frozenset({"0020000D", "0020000E", "00080018"})
_WORDS = re.compile(r"[ ^=,]+")


def test(tag: str, value: str, *, fuzzy: bool) -> Test:
    """A predicate over the searchable attributes; raises ValueError on a value that is invalid for the tag."""
    if tag in _UIDS:
        return lambda attributes: value in texts(attributes, tag)
    if tag in _DATES:
        first, last = _range(value)
        return lambda attributes: any(first <= text <= last for text in texts(attributes, tag)[:1])
    if tag in _NAMES:
        return _name(tag, value, fuzzy=fuzzy)
    wanted = value.casefold()
    return lambda attributes: any(text.casefold() == wanted for text in texts(attributes, tag))


def texts(attributes: Attributes, tag: str) -> list[str]:
    """The values of a text attribute; of a name its alphabetic group."""
    values = attributes.get(tag, {}).get("Value", ())
    return [value.get("Alphabetic", "") if isinstance(value, dict) else str(value) for value in values if value]


def _range(value: str) -> tuple[str, str]:
    first, dash, last = value.partition("-")
    if not (first or last) or any(date and not rules.is_date(date) for date in (first, last)):
        raise ValueError(value)
    if first and last and first > last:
        raise ValueError(value)
    return first, (last or "99999999") if dash else first


def _name(tag: str, value: str, *, fuzzy: bool) -> Test:
    wanted = _folded(value)
    if not fuzzy:
        return lambda attributes: any(_folded(text) == wanted for text in texts(attributes, tag))

    def begins(attributes: Attributes) -> bool:
        words = [word for text in texts(attributes, tag) for word in _WORDS.split(_folded(text))]
        return all(any(word.startswith(part) for word in words) for part in _WORDS.split(wanted) if part)

    return begins


def _folded(text: str) -> str:
    plain = (sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return "".join(plain).casefold()
