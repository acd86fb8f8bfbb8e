"""Pure: what DICOM Cast wrote differently, recognised and corrected."""

from collections.abc import Collection, Mapping
from copy import deepcopy

from shared.fhir.identifiers import Resource
from shared.fhir.ownership import Element, as_text, has_marked, put
from shared.fhir.systems import DCM, DCM_OF_DICOM_CAST, URI
from shared.mapping.element_layer import is_ours, unmarked
from shared.mapping.series_layer import MARK
from shared.mapping.study_identifiers import ACCESSION, is_bare_accession, request_digest, uid_of


def is_by_dicom_cast(stored: Resource | None) -> bool:
    """Whether DICOM Cast wrote an ImagingStudy, or wrote in it after this app did: each instance that it reads gets a
    SOP class without a system.
    """
    rows = (stored or {}).get("series", [])
    return any(
        _is_bare_sop_class(instance.get("sopClass", {})) for series in rows for instance in series.get("instance", [])
    ) or any(series.get("modality", {}).get("system") == DCM_OF_DICOM_CAST for series in rows)


def mend_dicom_cast(stored: Resource, requests: Collection[str] | None = None) -> Resource:
    """Wrong systems that DICOM Cast wrote, corrected: the bare word DCM, and SOP classes without a system. Accession
    numbers of it get this app's mark.

    requests: digests of the accession numbers that the study has in DICOM; None where some may be unknown.
    """
    result = deepcopy(stored)
    _mark_accession_numbers(result, requests)
    modalities = [row for row in result.get("modality", []) if row.get("system") != DCM_OF_DICOM_CAST]
    put(result, "modality", modalities)
    for series in result.get("series", []):
        if series.get("modality", {}).get("system") == DCM_OF_DICOM_CAST:
            series["modality"]["system"] = DCM
        for instance in series.get("instance", []):
            sop_class = instance.get("sopClass", {})
            if _is_bare_sop_class(sop_class):
                instance["sopClass"] = {"system": URI, "code": "urn:oid:" + sop_class["code"].removeprefix("urn:oid:")}
    return result


def _is_bare_sop_class(sop_class: Mapping[str, str]) -> bool:
    return "system" not in sop_class and bool(sop_class.get("code"))


def _mark_accession_numbers(study: Resource, requests: Collection[str] | None) -> None:
    """Where nothing is marked yet, all are DICOM Cast's. Beside marked ones, those are that DICOM has, too: it writes
    one once more if the one that is there has a mark.
    """
    rows: list[Element] = study.get("identifier", [])
    is_first = not has_marked(study, MARK)
    ours = {as_text(unmarked(row)) for row in rows if is_ours(row, MARK)}
    kept: list[Element] = []
    for row in rows:
        if not is_bare_accession(row) or is_ours(row, MARK):
            kept.append(row)
        elif as_text(row) not in ours:
            is_known = is_first or (requests is not None and request_digest(uid_of(study), row) in requests)
            kept.append({**row, "id": f"{ACCESSION}-{len(kept)}-of-dicom-cast"} if is_known else row)
    put(study, "identifier", kept)
