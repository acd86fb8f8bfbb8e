"""Pure: the equipment that irradiated, as the content of a dose report names it (PS3.16 TID 1021 and 1004).

The General Equipment Module of a report may be that of the workstation that wrote it. Where it is the same equipment,
or the content does not say which, the module is preferred: then images and reports share one Device.
"""

from collections.abc import Iterable

from shared.dicom.content_tree import Concept, ContentItem
from shared.mapping.device import Equipment, equipment_of
from shared.mapping.dose.codes import (
    ACCUMULATED_CT,
    ACCUMULATED_X_RAY,
    DEVICE_MANUFACTURER,
    DEVICE_MODEL,
    DEVICE_NAME,
    DEVICE_ROLE,
    DEVICE_SERIAL_NUMBER,
    DEVICE_UID,
    EVENTS,
    IRRADIATING_DEVICE,
)
from shared.mapping.dose.report import DoseReport

UNNAMED = Equipment()


def report_equipment(report: DoseReport) -> Equipment | None:
    """The irradiating device of the report, or of its events if it is one, else the device that observed."""
    root = report.root
    of_report = _irradiating([root, *root.those(ACCUMULATED_X_RAY, ACCUMULATED_CT)])
    of_events = set(_irradiating(root.those(*EVENTS)))
    named = of_report or (list(of_events) if len(of_events) == 1 else []) or [_described(root)]
    return _resolved(report, named[0])


def event_equipment(report: DoseReport, event_uid: str, of_report: Equipment | None) -> Equipment | None:
    """The irradiating device that the event names, else that of the report."""
    named = _irradiating(report.events[event_uid])
    return _resolved(report, named[0]) if named else of_report


def _irradiating(places: Iterable[ContentItem]) -> list[Equipment]:
    devices = (
        _described(role)
        for place in places
        for role in place.those(DEVICE_ROLE)
        if role.value_concept == IRRADIATING_DEVICE
    )
    return [device for device in devices if device != UNNAMED]


def _described(item: ContentItem) -> Equipment:
    uids = (child.uid("DeviceObserverUID") for child in item.those(DEVICE_UID))
    return Equipment(
        manufacturer=_text(item, DEVICE_MANUFACTURER),
        model=_text(item, DEVICE_MODEL),
        serial_number=_text(item, DEVICE_SERIAL_NUMBER),
        device_uid=next((uid for uid in uids if uid), ""),
        station=_text(item, DEVICE_NAME),
    )


def _text(item: ContentItem, concepts: tuple[Concept, ...]) -> str:
    texts = (child.text for child in item.those(*concepts))
    return " ".join(next((text for text in texts if text), "").split())


def _resolved(report: DoseReport, named: Equipment) -> Equipment | None:
    serial_number = " ".join((report.attributes.text("DeviceSerialNumber") or "").split())
    ours = named if named.is_identifiable else None
    if named.serial_number in ("", serial_number):
        return equipment_of(report.attributes) or ours
    return ours
