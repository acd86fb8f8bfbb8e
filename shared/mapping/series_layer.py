"""Pure: lay what DICOM says of a series and its instances over a stored series."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.dicom.study import SeriesContent
from shared.dicom.values import Attributes
from shared.fhir.ownership import Element, put
from shared.mapping.device import Equipment, equipment_of
from shared.mapping.element_layer import is_ours, lay_rows, unmarked, values_of
from shared.mapping.imaging_study import INSTANCE_ROWS, SERIES_ROWS
from shared.mapping.laterality import has_side, laterality
from shared.mapping.provides import DEVICE
from shared.mapping.table import elements
from shared.mapping.unlisted import Listing, put_count, unlisted_in
from shared.model import Finding, InstanceKey

LAST = 2**31
MARK = "dicom-"
OF_IMAGES = "laterality-of-images"
NO_VALUES: Element = dict.fromkeys(row.name for row in INSTANCE_ROWS)


@dataclass(frozen=True, slots=True)
class Links:
    """References of the ImagingStudy. `subject` is None where it stays as stored."""

    subject: str | None
    endpoint: str
    devices: Mapping[Equipment, str] = field(default_factory=dict)


def lay_series(
    stored: Element,
    content: SeriesContent,
    links: Links,
    default_zone: str,
    findings: dict[InstanceKey, list[Finding]],
    *,
    lists: bool = True,
    is_theirs: bool = False,
) -> Element:
    """`stored` with the elements and instances of `content` laid over it.

    lists: whether instances are added that it does not list. is_theirs: somebody else wrote `stored`.
    """
    mark = f"{MARK}{stored['uid']}-"
    values = values_of(SERIES_ROWS, content.elements, default_zone, findings)
    if "performer" in content.elements or DEVICE in content.elements:
        values["performer"] = _performers(stored, content, values, links, mark)
    images = [Attributes(dataset) for dataset in content.instances.values() if has_side(dataset)]
    of_images = bool(images) and "laterality" in content.elements
    if of_images:
        values["laterality"] = laterality(Attributes(content.elements["laterality"] or {}), images)
    result = lay_rows(stored, SERIES_ROWS, values, mark, is_theirs=is_theirs)
    if of_images and is_ours(result.get("laterality"), mark):
        result["laterality"]["id"] = mark + OF_IMAGES
    endpoint_mark = f"{mark}endpoint" if is_theirs else ""
    put(result, "endpoint", with_endpoint(result.get("endpoint", []), links.endpoint, endpoint_mark))
    rows = result.get("instance", [])
    instances = by_uid(rows) if is_theirs else {row["uid"]: row for row in rows}
    for uid, dataset in content.instances.items():
        if not lists and uid not in instances:
            continue
        attributes = Attributes(dataset, findings.setdefault(InstanceKey(stored["uid"], uid), []))
        ours = NO_VALUES | elements(INSTANCE_ROWS, attributes, default_zone)
        row = instances[uid] if uid in instances else new_row(uid, is_marked=is_theirs)
        of_others = is_theirs and not is_ours(row, MARK)
        instances[uid] = lay_rows(row, INSTANCE_ROWS, ours, f"{MARK}{uid}-", is_theirs=of_others)
    put(result, "instance", list(instances.values()))
    return result


def _performers(
    stored: Element, content: SeriesContent, values: Mapping[str, Any], links: Links, mark: str
) -> list[Element]:
    """Persons and the equipment, which can have different providers."""
    before = [unmarked(row) for row in stored.get("performer", []) if is_ours(row, mark)]
    persons = [row for row in before if row["actor"].get("type") != "Device"]
    devices = [row for row in before if row["actor"].get("type") == "Device"]
    if "performer" in content.elements:
        persons = values["performer"] or []
    if DEVICE in content.elements:
        provider = content.elements[DEVICE]
        equipment = equipment_of(Attributes(provider)) if provider else None
        reference = links.devices.get(equipment) if equipment else None
        devices = [{"actor": {"type": "Device", "reference": reference}}] if reference else []
    return [*persons, *devices]


def without_instances(series: Element, gone: Collection[InstanceKey], listing: Listing) -> Element | None:
    """The series in order, without what is gone or not to be listed; None when that empties it."""
    instances = series.get("instance", [])
    had_any = bool(instances or unlisted_in(series))
    put_count(series, listing.source, listing.counts.get(series["uid"], 0))
    keys = ((InstanceKey(series["uid"], row["uid"]), row) for row in instances)
    left = [row for key, row in keys if key not in gone and key not in listing.taken_out]
    if had_any and not left and not unlisted_in(series):
        return None
    put(series, "instance", sorted(left, key=order_of))
    return series


def new_row(uid: str, *, is_marked: bool) -> Element:
    """What a series or an instance begins with; it is marked among those of somebody else."""
    return {"id": f"{MARK}{uid}", "uid": uid} if is_marked else {"uid": uid}


def by_uid(rows: Iterable[Element]) -> dict[str, Element]:
    """Series or instances of somebody else by UID. R4 forbids no second one of a UID: it is kept, under a key that is
    none.
    """
    found: dict[str, Element] = {}
    for place, row in enumerate(rows):
        found[f"{row['uid']} {place}" if row["uid"] in found else row["uid"]] = row
    return found


def with_endpoint(stored: list[Element], ours: str, mark: str = "") -> list[Element]:
    """References to Endpoints, `ours` among them; marked where the list is somebody else's."""
    if any(row.get("reference") == ours for row in stored):
        return stored
    there = {row.get("id") for row in stored}  # an id is unique in its resource; another service may have put it there
    free = (one for one in (mark, *(f"{mark}-{place}" for place in range(2, len(stored) + 3))) if one not in there)
    return [*stored, {"id": next(free), "reference": ours} if mark else {"reference": ours}]


def order_of(row: Element) -> tuple[int, str]:
    """By number and UID: the order in which series and instances arrived is not seen."""
    return row.get("number", LAST), row["uid"]
