"""Probes of creates, updates, deletions and transactions."""

from tests.contract.fhir_server.differences import differs
from tests.contract.fhir_server.requests import (
    condition,
    create,
    deleted,
    etag,
    patient,
    posted,
    put,
    reference,
    said,
    transact,
    unique,
    update,
)


def _updated(fhir):
    """A resource with two versions: the first and the second."""
    first = create(fhir, patient())
    return first, update(fhir, {**first, "gender": "female"}).json()


def _gone(fhir):
    created = create(fhir, patient())
    assert fhir.delete(f"/{reference(created)}").status_code in {200, 204}
    return created


@differs("412 processing", "409 processing", "412 required", "409 and 412 lead to new reads")
def stale_version(fhir):
    first, _ = _updated(fhir)
    return said(update(fhir, {**first, "gender": "male"}, If_Match=etag(first)))


@differs("412 processing", "409 processing", "412 processing required", "409 and 412 lead to new reads")
def stale_version_in_a_transaction(fhir):
    first, _ = _updated(fhir)
    return said(transact(fhir, put({**first, "gender": "male"}, ifMatch=etag(first)), posted(patient())))


@differs("200", "409", "400", 'the app sends `W/"version"`; Medplum ignores what is not quoted')
def stale_version_without_quotes(fhir):
    first, _ = _updated(fhir)
    answer = update(fhir, {**first, "gender": "male"}, If_Match=first["meta"]["versionId"])
    return str(answer.status_code)


@differs("404 not-found", "201", "404 not-found", "404, 409, 410 and 412 lead to new reads")
def update_with_if_match_of_an_unknown_id(fhir):
    return said(update(fhir, {**patient(), "id": unique()}, If_Match='W/"1"'))


@differs("200", "409 processing", "412 required", "404, 409, 410 and 412 lead to new reads")
def update_with_if_match_of_a_deleted_resource(fhir):
    gone = _gone(fhir)
    return said(update(fhir, {**gone, "gender": "male"}, If_Match=etag(gone)))


@differs(
    "400 invalid",
    "400 processing",
    "200 with 200",
    "where the server chooses ids, an ImagingStudy is updated by such a search",
)
def update_by_a_search_of_a_deleted_resource(fhir):
    gone = _gone(fhir)
    entry = {"request": {"method": "PUT", "url": f"Patient?_id={gone['id']}", "ifMatch": etag(gone)}, "resource": gone}
    return said(transact(fhir, entry))


@differs("200", "201", "200", "a creation by update need not answer 201: the id may have been used before")
def update_of_a_deleted_resource(fhir):
    return said(update(fhir, _gone(fhir)))


@differs("404 not-found", "201", "201", "`updateCreate` of the CapabilityStatement says which")
def update_of_an_unknown_id(fhir):
    return said(update(fhir, {**patient(), "id": unique()}))


@differs("a new version", "the same version", "a new version", "`meta.source` alone is no reason to write")
def update_of_meta_source_alone(fhir):
    created = create(fhir, patient(meta={"source": "urn:one"}))
    answer = update(fhir, {**created, "meta": {"source": "urn:two"}}).json()
    return "the same version" if etag(answer) == etag(created) else "a new version"


@differs("urn:one", "urn:one#…", "urn:one", "the app compares what stands before `#`")
def meta_source(fhir):
    source = create(fhir, patient(meta={"source": "urn:one"}))["meta"]["source"]
    return source.split("#")[0] + ("#…" if "#" in source else "")


@differs("removed", "kept", "removed", "what others wrote is sent back as it was read")
def tag_left_out_of_an_update(fhir):
    created = create(fhir, patient(meta={"tag": [{"system": "urn:x", "code": "y"}]}))
    answer = update(fhir, {**created, "gender": "male", "meta": {}}).json()
    return "kept" if "tag" in answer["meta"] else "removed"


@differs("412 multiple-matches", "412 processing", "412 required", "the status of a stale version: leads to new reads")
def conditional_create_with_several_matches(fhir):
    value = unique()
    for _ in range(2):
        create(fhir, patient(value))
    return said(fhir.post("/Patient", json=patient(value), headers={"If-None-Exist": condition(value)}))


@differs("200 with 201 200", "200 with 201", "200 with 201 201", "the app sends each identity once")
def one_condition_twice_in_a_transaction(fhir):
    value = unique()
    return said(transact(fhir, *(posted(patient(value), ifNoneExist=condition(value)) for _ in range(2))))


@differs("400 invalid", "400 processing", "412 required", "the app asks for an identifier")
def conditional_create_by_an_unknown_parameter(fhir):
    return said(fhir.post("/Patient", json=patient(), headers={"If-None-Exist": "nonsense=1"}))


@differs("200 informational", "200 informational", "204", "every 2xx is done")
def deletion(fhir):
    return said(fhir.delete(f"/{reference(create(fhir, patient()))}"))


@differs("404 not-found", "200 informational", "204", "the app deletes what it has found, in a transaction")
def deletion_of_an_unknown_id(fhir):
    return said(fhir.delete(f"/Patient/{unique()}"))


@differs("404 not-found", "200 with 204 201", "200 with 204 201", "404 leads to new reads")
def deletion_of_an_unknown_id_in_a_transaction(fhir):
    return said(transact(fhir, deleted({**patient(), "id": unique()}), posted(patient())))


@differs("412 processing", "200 informational", "204", "no deletion relies on a version")
def deletion_of_a_stale_version(fhir):
    first, _ = _updated(fhir)
    return said(fhir.delete(f"/{reference(first)}", headers={"If-Match": etag(first)}))


@differs("200 informational", "409 processing", "204", "referring resources are rewritten or deleted first")
def deletion_of_a_referenced_resource(fhir):
    person = create(fhir, patient())
    create(fhir, _basic(reference(person)))
    return said(fhir.delete(f"/{reference(person)}"))


@differs("410 deleted", "410 processing", "410 without issue", "the status says it; `issue` is mandatory in R4")
def read_of_a_deleted_resource(fhir):
    return said(fhir.get(f"/{reference(_gone(fhir))}"))


@differs("404 not-found", "404 processing", "404 not-found", "HAPI's code is always `processing`: the status decides")
def read_of_an_unknown_id(fhir):
    return said(fhir.get(f"/Patient/{unique()}"))


@differs("201", "400 processing", "201", "the app refers to what it has read, or writes in the same transaction")
def reference_to_a_missing_resource(fhir):
    return said(fhir.post("/Basic", json=_basic(f"Patient/{unique()}")))


@differs("200 with 201", "400 processing", "200 with 201", "the app leaves none")
def unresolved_urn_in_a_transaction(fhir):
    return said(transact(fhir, posted(_basic(f"urn:uuid:{unique()}"))))


@differs("400 invalid", "200", "200", "the app sends 8 entries at most beside a condition")
def transaction_of_9_conditional_creates(fhir):
    values = [unique() for _ in range(9)]
    answer = transact(fhir, *(posted(patient(value), ifNoneExist=condition(value)) for value in values))
    return said(answer).split(" with")[0]


@differs("400 invalid", "200", "200", "the app sends 50 at most")
def transaction_of_51_updates(fhir):
    answer = transact(fhir, *(posted(patient()) for _ in range(51)))
    people = [entry["resource"] for entry in answer.json()["entry"]]
    return said(transact(fhir, *(put({**one, "gender": "male"}) for one in people))).split(" with")[0]


@differs("200", "200", "400 invalid", "the app sends 200 at most")
def transaction_of_501_entries(fhir):
    return said(transact(fhir, *(posted(patient()) for _ in range(501)))).split(" with")[0]


@differs("400 invalid", "200", "200", "the app sends none")
def empty_transaction(fhir):
    return said(fhir.post("/", json={"resourceType": "Bundle", "type": "transaction"}))


@differs(
    "location outcome", "etag lastModified location outcome", "etag lastModified location", "any of these may be absent"
)
def answer_to_a_creating_entry(fhir):
    return _told(transact(fhir, posted(patient())))


@differs("location outcome", "etag lastModified location outcome", "etag lastModified", "any of these may be absent")
def answer_to_an_updating_entry(fhir):
    return _told(transact(fhir, put({**create(fhir, patient()), "gender": "male"})))


@differs("given", "left out", "given", "the app says `Prefer: return=representation`")
def resource_of_an_entry_without_prefer(fhir):
    (entry,) = transact(fhir, posted(patient()), Prefer="").json()["entry"]
    return "given" if "resource" in entry else "left out"


@differs("201", "400 processing", "415 not-supported", "the app says what it sends")
def body_sent_as_plain_text(fhir):
    return said(fhir.post("/Patient", json=patient(), headers={"Content-Type": "text/plain"}))


@differs("200", "200", "406 not-supported", "the app asks for FHIR JSON")
def answer_wanted_as_html(fhir):
    created = create(fhir, patient())
    return said(fhir.get(f"/{reference(created)}", headers={"Accept": "text/html"}))


def _basic(subject):
    return {"resourceType": "Basic", "code": {"text": "a note"}, "subject": {"reference": subject}}


def _told(answer):
    (entry,) = answer.json()["entry"]
    return " ".join(sorted(set(entry["response"]) - {"status"}))
