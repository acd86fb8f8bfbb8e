"""Pure: a radiation dose report as far as it says which document it is: title, UIDs, events and what it replaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.dicom.content_tree import ContentItem
from shared.dicom.values import Attributes
from shared.mapping.coding import Systems, declared_systems
from shared.mapping.dose.codes import EVENT_UID, EVENTS, NUCLEAR_REPORT, X_RAY_REPORT

# PS3.4 B.5: SR documents that can hold measurements and whose template their class does not rule out. Dose reports are
# met as Enhanced SR. Basic Text SR holds no numbers; Enhanced X-Ray Radiation Dose SR has templates of its own.
SOP_CLASSES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.88.{number}"
    for number in (
        "22",  # Enhanced SR
        "33",  # Comprehensive SR
        "34",  # Comprehensive 3D SR
        "35",  # Extensible SR
        "67",  # X-Ray Radiation Dose SR
        "68",  # Radiopharmaceutical Radiation Dose SR
    )
)
TITLES = (X_RAY_REPORT, NUCLEAR_REPORT)


@dataclass(frozen=True, slots=True, eq=False)
class DoseReport:
    """One document. `order` tells which of two is later; `events` are its event items by their UID."""

    uid: str
    root: ContentItem
    declared: Systems
    events: Mapping[str, Sequence[ContentItem]]
    predecessors: frozenset[str]
    order: tuple[str, str, str, str]

    @property
    def attributes(self) -> Attributes:
        """The dataset, and the findings of the report."""
        return self.root.attributes

    @property
    def is_nuclear(self) -> bool:
        """Whether it reports the administration of a radiopharmaceutical."""
        return self.root.concept == NUCLEAR_REPORT


def may_be_dose_report(sop_class_uid: str) -> bool:
    """Whether instances of this SOP class are worth reading for their title."""
    return sop_class_uid in SOP_CLASSES


def is_dose_report(dataset: Any) -> bool:
    """Whether this is a radiation dose report: by SOP class and title, as neither says it alone."""
    return isinstance(dataset, Mapping) and _is_titled(ContentItem(Attributes(dataset)))


def read_report(dataset: Any) -> DoseReport | None:
    """The report; None for any other document, and for one without a SOP Instance UID."""
    if not is_dose_report(dataset):
        return None
    attributes = Attributes(dataset)
    uid = attributes.uid("SOPInstanceUID")
    if uid is None:
        return None
    root = ContentItem(attributes)
    order = (
        attributes.date("ContentDate") or "",
        attributes.time("ContentTime") or "",
        uid,
        attributes.text("SeriesInstanceUID") or "",
    )
    return DoseReport(uid, root, declared_systems(attributes), _events(root), _predecessors(attributes), order)


def _is_titled(root: ContentItem) -> bool:
    return may_be_dose_report(root.attributes.text("SOPClassUID") or "") and root.concept in TITLES


def _events(root: ContentItem) -> dict[str, list[ContentItem]]:
    events: dict[str, list[ContentItem]] = {}
    for event in root.those(*EVENTS):
        uids = (item.uid("IrradiationEventUID") for item in event.those(*EVENT_UID))
        uid = next((uid for uid in uids if uid), None)
        if uid is not None:
            events.setdefault(uid, []).append(event)
    return events


def _predecessors(attributes: Attributes) -> frozenset[str]:
    """Documents whose content is included in this one (PS3.3 C.17.2)."""
    uids = (
        reference.uid("ReferencedSOPInstanceUID")
        for study in attributes.items("PredecessorDocumentsSequence")
        for series in study.items("ReferencedSeriesSequence")
        for reference in series.items("ReferencedSOPSequence")
    )
    return frozenset(uid for uid in uids if uid)
