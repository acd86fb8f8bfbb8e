"""Probes of searches."""

from tests.contract.fhir_server.differences import differs
from tests.contract.fhir_server.requests import SYSTEM, create, patient, posted, said, study, transact, unique

MANY = 1010
PART = 337  # entries of a transaction


def _hits(answer):
    return "everything" if answer.status_code == 200 and answer.json().get("entry") else said(answer)


@differs("400 invalid", "400 processing", "everything", "searches say `Prefer: handling=strict`")
def search_by_an_unknown_parameter(fhir):
    create(fhir, patient())
    return _hits(fhir.get("/Patient", params={"nonsense": "1", "_count": 1}))


@differs("200", "200", "403", "the app does not use it")
def search_with_the_modifier_exact(fhir):
    return str(fhir.get("/Patient", params={"identifier:exact": f"{SYSTEM}|{unique()}"}).status_code)


@differs("200", "400", "403", "the app does not use it")
def search_by_the_identifier_of_a_reference(fhir):
    return str(fhir.get("/ImagingStudy", params={"patient:identifier": f"{SYSTEM}|{unique()}"}).status_code)


@differs("left out", "given", "left out", "the app counts what it is given")
def total_that_was_not_asked_for(fhir):
    return "given" if "total" in fhir.get("/Patient", params={"identifier": unique()}).json() else "left out"


@differs("20", "10", "10", "the app asks for 100 and follows `next`")
def page_without_a_count(fhir):
    subject = _with_studies(fhir, 21)
    return str(len(fhir.get("/ImagingStudy", params={"patient": subject}).json()["entry"]))


@differs("1000", "50", "1001", "of 1,010 hits; the app asks for 100 and follows `next`")
def page_of_5000(fhir):
    subject = _with_studies(fhir, MANY)
    return str(len(fhir.get("/ImagingStudy", params={"patient": subject, "_count": 5000}).json()["entry"]))


def _with_studies(fhir, number):
    subject = f"Patient/{create(fhir, patient())['id']}"
    for start in range(0, number, PART):
        entries = (posted(study(subject)) for _ in range(start, min(start + PART, number)))
        answer = transact(fhir, *entries, **{"x-bundle-processing-logic": "parallel"})
        assert answer.status_code == 200, answer.text
    return subject
