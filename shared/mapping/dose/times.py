"""Pure: when the irradiation began, as FHIR dateTime.

The clock of the irradiation is believed before that of the document: series and content of a report may be days later.
"""

from collections.abc import Iterable

from shared.dicom.content_tree import ContentItem
from shared.dicom.datetimes import date_time_parts
from shared.dicom.values import Attributes
from shared.mapping.dose.codes import EVENT_START, EVENTS, START_OF_IRRADIATION
from shared.mapping.dose.report import DoseReport
from shared.mapping.started import date_time, earliest


def report_start(report: DoseReport, default_zone: str) -> str | None:
    """Start of X-Ray Irradiation, else that of the first event, else date and time of series, content or study."""
    attributes = report.attributes
    offset = attributes.utc_offset()
    stated = (
        _read(item, "StartOfXRayIrradiation", offset, default_zone) for item in report.root.those(START_OF_IRRADIATION)
    )
    return (
        next((start for start in stated if start), None)
        or _event_start(report.root.those(*EVENTS), offset, default_zone)
        or date_time(attributes, "SeriesDate", "SeriesTime", default_zone)
        or date_time(attributes, "ContentDate", "ContentTime", default_zone)
        or date_time(attributes, "StudyDate", "StudyTime", default_zone)
    )


def event_start(report: DoseReport, event_uid: str, default_zone: str) -> str | None:
    """When an event began; None where its items do not say."""
    return _event_start(report.events[event_uid], report.attributes.utc_offset(), default_zone)


def _event_start(events: Iterable[ContentItem], offset: str | None, default_zone: str) -> str | None:
    starts = (
        _read(item, keyword, offset, default_zone)
        for event in events
        for concept, keyword in EVENT_START.items()
        for item in event.those(concept)
    )
    return earliest(start for start in starts if start)


def _read(item: ContentItem, keyword: str, offset: str | None, default_zone: str) -> str | None:
    text = item.date_time
    if text is None:
        return None
    parts = Attributes(date_time_parts(text, offset))
    start = date_time(parts, "ContentDate", "ContentTime", default_zone)
    for finding in parts.findings:
        item.attributes.find(keyword, finding.code)
    return start
