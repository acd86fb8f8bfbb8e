"""Pure: which elements of a study, its series and its patient an instance has a usable value of."""

import re
from collections.abc import Mapping
from functools import cache

from shared.dicom.values import Attributes, Dataset, tag_of
from shared.mapping.device import DEVICE_ROWS, equipment_of
from shared.mapping.imaging_study import SERIES_ROWS, STUDY_ROWS
from shared.mapping.patient import PATIENT_ROWS, demographics, issuer_of
from shared.mapping.study_identifiers import (
    IDENTIFIER_ROWS,
    patient_digest,
    request_digest,
    requests_of,
    study_id_identifiers,
)
from shared.mapping.table import elements
from shared.model import InstanceKey
from shared.state import Provides

# made apart from the tables of elements
STUDY_ID = "studyId"
DEVICE = "device"
ISSUER = "issuer"
# attributes by which others are read
CONTEXT = ("CodingSchemeIdentificationSequence", "SpecificCharacterSet")
STUDY_ELEMENTS = frozenset({STUDY_ID, *(row.name for row in STUDY_ROWS)})
SERIES_ELEMENTS = frozenset({DEVICE, *(row.name for row in SERIES_ROWS)})
DEMOGRAPHICS = frozenset({ISSUER, *(row.name for row in PATIENT_ROWS)})
KEYWORD = re.compile(r"[A-Z]\w+")


def provided(instances: Mapping[InstanceKey, Dataset], default_zone: str) -> dict[InstanceKey, Provides]:
    """What each of these instances provides.

    The instances of a series share most elements (`shared.dicom.sharing`); what is shared is mapped once.
    """
    tags = _tags()
    known: dict[tuple[int, ...], Provides] = {}
    equal: dict[Provides, Provides] = {}
    found: dict[InstanceKey, Provides] = {}
    for key, dataset in instances.items():
        same = tuple(id(dataset.get(tag)) for tag in tags)
        if same not in known:
            one = _provides(Attributes({tag: dataset[tag] for tag in tags if tag in dataset}), default_zone)
            known[same] = equal.setdefault(one, one)
        found[key] = known[same]
    return found


def _provides(attributes: Attributes, default_zone: str) -> Provides:
    of_study, of_series = ({*elements(rows, attributes, default_zone)} for rows in (STUDY_ROWS, SERIES_ROWS))
    of_patient = {*demographics(attributes)}
    of_study |= {STUDY_ID} if study_id_identifiers(attributes) else set()
    of_series |= {DEVICE} if equipment_of(attributes) else set()
    of_series -= set() if attributes.text("Modality") else {"modality"}  # what R4 requires where DICOM has none
    of_patient |= {ISSUER} if issuer_of(attributes) else set()
    study, patient_id = attributes.text("StudyInstanceUID") or "", attributes.text("PatientID")
    return Provides(
        frozenset(of_study),
        frozenset(of_series),
        frozenset(of_patient),
        patient_digest(study, patient_id) if patient_id else "",
        frozenset(request_digest(study, one) for one in requests_of(attributes)),
    )


@cache
def _tags() -> tuple[str, ...]:
    """The attributes at the top of a dataset that any of these elements is made of."""
    rows = (*STUDY_ROWS, *SERIES_ROWS, *IDENTIFIER_ROWS, *PATIENT_ROWS, *DEVICE_ROWS)
    named = {word for row in rows for word in KEYWORD.findall(row.keywords)} - {"SOPInstanceUID"}
    return tuple(sorted(map(tag_of, {*named, *CONTEXT})))
