"""Pure: the form of the mapping tables. docs/mapping.md is printed from the same rows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from shared.dicom.values import Attributes

Element = dict[str, Any]
# a dataset and the zone of times that name none -> the value of the element, nothing where DICOM says nothing
Value = Callable[[Attributes, str], Any]


@dataclass(frozen=True, slots=True)
class Row:
    """What one element is made of.

    element: path in the resource. keywords: DICOM keywords, those within a sequence after a `>`. source: where the
    attributes are defined. is_shared: others may write there too, so what is ours carries an id.
    value: makes the element; None where it is made apart, because it is an identity or a reference.
    """

    element: str
    keywords: str
    source: str
    value: Value | None = None
    note: str = ""
    is_shared: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.element.rpartition(".")[2]


def elements(rows: Iterable[Row], attributes: Attributes, default_zone: str) -> Element:
    """The elements of the rows, as far as the dataset says them."""
    made = {row.name: row.value(attributes, default_zone) for row in rows if row.value is not None}
    return {name: value for name, value in made.items() if value not in (None, "", [], {})}
