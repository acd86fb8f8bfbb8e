"""Requests to a FHIR server, and its answers in a few words."""

import json
import uuid

SYSTEM = "urn:test:contract"
HEADERS = {
    "Accept": "application/fhir+json",
    "Content-Type": "application/fhir+json",
    "Prefer": "return=representation",
    "Cache-Control": "no-cache",
}


def unique():
    return str(uuid.uuid4())


def patient(value=None, **elements):
    identifier = {"system": SYSTEM, "value": value or unique()}
    return {"resourceType": "Patient", "identifier": [identifier], **elements}


def condition(value):
    """The criteria that find a patient(value)."""
    return f"identifier={SYSTEM}%7C{value}"


def study(reference=None, value=None, instances=1, **elements):
    instance = {"sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}}
    modality = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}
    series = {
        "uid": "2.25.1",
        "modality": modality,
        "instance": [{"uid": f"2.25.1.{n}", **instance} for n in range(1, instances + 1)],
    }
    return {
        "resourceType": "ImagingStudy",
        "identifier": [{"system": SYSTEM, "value": value or unique()}],
        "status": "available",
        "subject": {"reference": reference} if reference else {"display": "somebody"},
        "series": [series],
        **elements,
    }


def create(fhir, resource):
    response = fhir.post(f"/{resource['resourceType']}", json=resource)
    assert response.status_code == 201, response.text
    return response.json()


def reference(resource):
    return f"{resource['resourceType']}/{resource['id']}"


def etag(resource):
    return f'W/"{resource["meta"]["versionId"]}"'


def update(fhir, resource, **headers):
    """A PUT of the resource; header names with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fhir.put(f"/{reference(resource)}", json=resource, headers=named)


def found(fhir, kind, **parameters):
    response = fhir.get(f"/{kind}", params=parameters)
    assert response.status_code == 200, response.text
    return [entry["resource"] for entry in response.json().get("entry", [])]


def posted(resource, **request):
    request = {"method": "POST", "url": resource["resourceType"], **request}
    return {"fullUrl": f"urn:uuid:{unique()}", "resource": resource, "request": request}


def put(resource, **request):
    return {"resource": resource, "request": {"method": "PUT", "url": reference(resource), **request}}


def deleted(resource):
    return {"request": {"method": "DELETE", "url": reference(resource)}}


def transact(fhir, *entries, kind="transaction", **headers):
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return fhir.post("/", content=json.dumps(bundle), headers=headers)


def statuses(response):
    return [int(entry["response"]["status"][:3]) for entry in response.json().get("entry", [])]


def said(response):
    """The status, and after it the issue codes of an OperationOutcome or the statuses of a Bundle's entries."""
    words = [str(response.status_code)]
    body = response.json() if response.content else {}
    if body.get("resourceType") == "OperationOutcome":
        words += [issue["code"] for issue in body.get("issue", [])] or ["without issue"]
    elif body.get("entry"):
        words += ["with", *map(str, statuses(response))]
    return " ".join(words)


def assert_outcome(response, *allowed):
    """An error of one of these statuses, with an OperationOutcome that has an issue."""
    assert response.status_code in allowed, response.text
    assert response.json()["resourceType"] == "OperationOutcome"
    assert response.json()["issue"]
