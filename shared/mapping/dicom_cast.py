"""Pure: what DICOM Cast wrote differently, recognised and corrected."""

from copy import deepcopy

from shared.fhir.identifiers import Resource
from shared.fhir.ownership import has_marked, put
from shared.fhir.systems import DCM, DCM_OF_DICOM_CAST, URI
from shared.mapping.series_layer import MARK
from shared.mapping.study_identifiers import ACCESSION, is_bare_accession


def mend_dicom_cast(stored: Resource) -> Resource:
    """Wrong systems that DICOM Cast wrote, corrected: the bare word DCM, and SOP classes without a system. Accession
    numbers of it get this app's mark.
    """
    result = deepcopy(stored)
    if not has_marked(result, MARK):
        _mark_accession_numbers(result)
    modalities = [row for row in result.get("modality", []) if row.get("system") != DCM_OF_DICOM_CAST]
    put(result, "modality", modalities)
    for series in result.get("series", []):
        if series.get("modality", {}).get("system") == DCM_OF_DICOM_CAST:
            series["modality"]["system"] = DCM
        for instance in series.get("instance", []):
            sop_class = instance.get("sopClass", {})
            if "system" not in sop_class and sop_class.get("code"):
                instance["sopClass"] = {"system": URI, "code": "urn:oid:" + sop_class["code"].removeprefix("urn:oid:")}
    return result


def _mark_accession_numbers(study: Resource) -> None:
    """Where nothing is marked yet, they are DICOM Cast's."""
    rows = [row for row in study.get("identifier", []) if is_bare_accession(row)]
    for number, row in enumerate(rows, start=1):
        row["id"] = f"{ACCESSION}-{number}"
