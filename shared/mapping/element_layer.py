"""Pure: lay the elements of the mapping tables over those that are stored."""

from collections.abc import Collection, Mapping
from typing import Any

from shared.dicom.study import Provided
from shared.dicom.values import Attributes
from shared.fhir.ownership import Element, lay_shared, put, put_shared
from shared.mapping.table import Row, elements
from shared.model import Finding, InstanceKey


def values_of(
    rows: Collection[Row], provided: Provided, default_zone: str, findings: dict[InstanceKey, list[Finding]]
) -> Element:
    """The value of each provided element; nothing where no instance provides it."""
    made: dict[int | None, Element] = {None: elements(rows, Attributes({}), default_zone)}
    for dataset in provided.values():
        if dataset is not None and id(dataset) not in made:
            made[id(dataset)] = elements(rows, attributes_of(dataset, findings), default_zone)
    names = {row.name for row in rows}
    return {
        name: made[None if dataset is None else id(dataset)].get(name)
        for name, dataset in provided.items()
        if name in names
    }


def lay_rows(
    stored: Element, rows: Collection[Row], values: Mapping[str, Any], mark: str, *, is_theirs: bool = False
) -> Element:
    """The elements that `values` names; what has no value goes. Of what others write too, only that which carries the
    mark: with `is_theirs`, of all elements.
    """
    result = dict(stored)
    for row in rows:
        if row.name not in values:
            continue
        value = values[row.name]
        if row.is_shared:
            put(result, row.name, lay_shared(stored.get(row.name), value, f"{mark}{row.name}"))
        elif is_theirs:
            put_shared(result, row.name, value, f"{mark}{row.name}")
        else:
            put(result, row.name, value)
    return result


def is_ours(element: Element | None, mark: str) -> bool:
    """Whether an element carries the mark of this app."""
    return element is not None and str(element.get("id", "")).startswith(mark)


def unmarked(element: Element) -> Element:
    """The element without its mark."""
    return {name: value for name, value in element.items() if name != "id"}


def attributes_of(dataset: Mapping[str, Any], findings: dict[InstanceKey, list[Finding]]) -> Attributes:
    """A dataset whose findings are kept for its instance."""
    identity = Attributes(dataset)
    key = InstanceKey(identity.uid("SeriesInstanceUID") or "", identity.uid("SOPInstanceUID") or "")
    return Attributes(dataset, findings.setdefault(key, []))
