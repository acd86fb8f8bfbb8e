"""Ask HAPI's `$validate` what is wrong with a resource: https://hl7.org/fhir/R4/resource-operation-validate.html."""

import json
import re

import httpx
from pydicom.sr._concepts_dict import concepts

from shared.mapping.modality import MODALITIES

TIMEOUT_S = 120  # the first question takes long: it loads the definitions of R4
WRONG = {"error", "fatal"}
UNKNOWN_TO_DCM = re.compile(r"Unknown code 'http://dicom\.nema\.org/resources/ontology/DCM#([^']+)'")
# the copy of DCM that R4 publishes is of 2015; what DICOM has added since is no mistake
OF_DCM = {code for by_code in concepts["DCM"].values() for code in by_code} | MODALITIES


def wrong_elements(fhir, resource):
    """Paths of the elements that R4 does not allow; never their values."""
    kind = resource["resourceType"]
    headers = {"Content-Type": "application/fhir+json"}
    body = json.dumps(resource, ensure_ascii=False).encode()
    answer = httpx.post(f"{fhir}/{kind}/$validate", content=body, headers=headers, timeout=TIMEOUT_S, trust_env=False)
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome", answer.status_code
    return [_path(kind, issue) for issue in outcome["issue"] if issue["severity"] in WRONG and not _is_newer(issue)]


def _is_newer(issue):
    code = UNKNOWN_TO_DCM.fullmatch(issue["diagnostics"])
    return code is not None and code[1] in OF_DCM


def _path(kind, issue):
    # what cannot be parsed has no path
    return (issue.get("expression") or [kind])[0]
