"""Pure: an ImagingStudy that somebody else wrote, a record system say.

Whatever this app writes there carries an element id that begins with `dicom-`, also series and instances that it adds,
so it can be taken back exactly. Within a series of this app everything is this app's.
"""

from collections.abc import Collection, Iterable
from typing import Any

from shared.fhir.identifiers import Resource
from shared.fhir.ownership import Element, lay_shared, put, put_shared, take_back
from shared.mapping.element_layer import is_ours, unmarked
from shared.mapping.series_layer import MARK, by_uid, order_of, without_instances
from shared.mapping.unlisted import Listing, number_in, put_count
from shared.model import InstanceKey


def as_others_wrote(stored: Resource) -> Resource:
    """The ImagingStudy without everything of this app."""
    return take_back(stored, MARK)


def series_left(
    rows: Iterable[Element], gone: Collection[InstanceKey], listing: Listing, in_dicom: Collection[str]
) -> list[Element]:
    """The series without what is gone: theirs as they are in order, then those of this app.

    in_dicom: the series that DICOM has something of.
    """
    theirs, ours = [], []
    for uid, row in by_uid(rows).items():
        if uid != row["uid"]:
            theirs.append(row)  # a second one of the same series
        elif not is_ours(row, MARK):
            theirs.append(_released(row, gone, listing) if row["uid"] in in_dicom else take_back(row, MARK))
        elif row["uid"] in in_dicom and (left := without_instances(row, gone, listing)) is not None:
            ours.append(left)
    return [*theirs, *sorted(ours, key=order_of)]


def count(result: Resource) -> None:
    """Numbers and modalities, as far as somebody else did not write them."""
    rows = result.get("series", [])
    for uid, series in by_uid(rows).items():
        if uid == series["uid"] and (number := number_in(series)):
            _put_number(series, "numberOfInstances", number, MARK, is_theirs=not is_ours(series, MARK))
    _put_number(result, "numberOfSeries", len(rows), MARK)
    _put_number(result, "numberOfInstances", sum(row.get("numberOfInstances", 0) for row in rows), MARK)
    stored = result.get("modality", [])
    there = {coding_of(row) for row in stored if not is_ours(row, MARK)}
    found = {coding_of(row["modality"]): unmarked(row["modality"]) for row in rows if "modality" in row}
    missing = [found[coding] for coding in sorted(found.keys() - there)]
    put(result, "modality", lay_shared(stored, missing, f"{MARK}modality"))


def coding_of(modality: Element) -> tuple[str, str]:
    """What tells a modality from others."""
    return modality.get("code", ""), modality.get("system", "")


def _put_number(element: Element, name: str, value: int, mark: str, *, is_theirs: bool = True) -> None:
    within = f"{mark}{element['uid']}-{name}" if "uid" in element else f"{mark}{name}"
    if is_theirs:
        put_shared(element, name, value, within)
    else:
        element[name] = value


def _released(series: Element, gone: Collection[InstanceKey], listing: Listing) -> Element:
    """A series of theirs; an instance that they list stays when it is gone."""
    theirs, ours = [], []
    for row in series.get("instance", []):
        key = InstanceKey(series["uid"], row["uid"])
        is_gone = key in gone or key in listing.taken_out
        if not is_ours(row, MARK):
            theirs.append(take_back(row, MARK) if is_gone else row)
        elif not is_gone:
            ours.append(row)
    result: dict[str, Any] = dict(series)
    put_count(result, listing.source, listing.counts.get(series["uid"], 0))
    put(result, "instance", [*theirs, *sorted(ours, key=order_of)])
    return result
