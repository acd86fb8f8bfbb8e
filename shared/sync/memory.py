"""What is known of a study before it is read in DICOM: from the study state, the ImagingStudy and the error tables."""

from collections.abc import Collection
from dataclasses import dataclass

from shared.fhir.identifiers import Resource
from shared.fhir.ownership import source_of
from shared.mapping.dicom_cast import is_by_dicom_cast
from shared.mapping.sources import Source
from shared.mapping.study_layer import keys_of, reports_of, series_of_sides
from shared.mapping.unlisted import is_unlisted
from shared.model import InstanceKey, StudyKey
from shared.state import StudyState
from shared.storage.study_state import StudyStateStore
from shared.sync.ledger import Ledger, digest
from shared.sync.listing import number_there


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known before a look: the study state and the instances that FHIR lists.

    stored: what the ImagingStudy lists, and dose reports that it does not. series: those that it has. reports:
    instances of this app that may be dose reports. sided: series that are judged as a whole. adopted: all of the stored
    count as this app's. repeats: an earlier attempt may have written, so what is stored can come from instances that
    the message does not list. recorded: instances that could not be read before. most: the largest number of instances
    that the study may list, None for any. is_unlisted: whether it has some that it does not list. is_by_dicom_cast:
    whether DICOM Cast wrote in it last, so that all of it has to be read.
    """

    state: StudyState
    stored: Collection[InstanceKey]
    series: Collection[str]
    reports: Collection[InstanceKey]
    sided: Collection[str]
    adopted: bool
    repeats: bool
    recorded: Collection[InstanceKey] = ()
    most: int | None = None
    is_unlisted: bool = False
    is_by_dicom_cast: bool = False

    def fits(self, ledger: Ledger) -> bool:
        """Whether the instances of the study may be listed."""
        return self.most is None or number_there(ledger) <= self.most


def memory_of(
    state: StudyState,
    stored: Resource | None,
    source: Source,
    recorded: Collection[InstanceKey],
    most: int | None,
    *,
    adopted: bool,
    repeats: bool,
) -> Memory:
    """What is known of a study, which `stored` is in FHIR."""
    remembered = {InstanceKey(*one) for one in state.reports}
    reports = {*(key for key in reports_of(stored) if digest(key) in state.ledger), *remembered}
    return Memory(
        state,
        {*keys_of(stored), *remembered},
        {row["uid"] for row in (stored or {}).get("series", [])},
        reports,
        series_of_sides(stored),
        adopted,
        repeats,
        recorded,
        most,
        is_unlisted(stored, source.name),
        is_by_dicom_cast(stored) and source_of(stored or {}) == source.service,
    )


async def is_adopted(
    states: StudyStateStore, study: StudyKey, state: StudyState, stored: Resource | None, service: str
) -> bool:
    """Whether an ImagingStudy is ours and was written when nothing was remembered yet: by DICOM Cast, say.

    service: the DICOM service of this app, as `meta.source` has it.
    """
    if state.full_poll or stored is None or source_of(stored) != service:
        return False
    written_for = await states.partitions_of(study.study_instance_uid)
    return set(written_for) <= {study}
