"""What the app relies on in any FHIR R4 server; no test may assume that it has the server to itself.

Where servers differ within what a client must bear (409 or 412, 204 or 200), every permitted answer is accepted.
"""

import concurrent.futures
import uuid

import httpx
import pytest

SYSTEM = "urn:test:contract"
HEADERS = {
    "Accept": "application/fhir+json",
    "Content-Type": "application/fhir+json",
    "Prefer": "return=representation",
    "Cache-Control": "no-cache",
}
CONFLICT = {409, 412}
REMOVED = {404, 410}


@pytest.fixture
def fhir(fhir_server):
    with httpx.Client(base_url=fhir_server, headers=HEADERS, timeout=60, trust_env=False) as client:
        yield client


def unique():
    return str(uuid.uuid4())


def patient(value, **elements):
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], **elements}


def study(reference, value, instances=1):
    instance = {"sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}}
    modality = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}
    series = {
        "uid": "2.25.1",
        "modality": modality,
        "instance": [{"uid": f"2.25.1.{n}", **instance} for n in range(1, instances + 1)],
    }
    return {
        "resourceType": "ImagingStudy",
        "identifier": [{"system": SYSTEM, "value": value}],
        "status": "available",
        "subject": {"reference": reference},
        "series": [series],
    }


def create(fhir, resource):
    response = fhir.post(f"/{resource['resourceType']}", json=resource)
    assert response.status_code == 201, response.text
    return response.json()


def reference(resource):
    return f"{resource['resourceType']}/{resource['id']}"


def etag(resource):
    return f'W/"{resource["meta"]["versionId"]}"'


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


def transact(fhir, *entries):
    return fhir.post("/", json={"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})


def statuses(response):
    return [int(entry["response"]["status"][:3]) for entry in response.json()["entry"]]


def assert_outcome(response, *allowed):
    assert response.status_code in allowed, response.text
    assert response.json()["resourceType"] == "OperationOutcome"
    assert response.json()["issue"]


def test_metadata_promises_r4_and_transactions(fhir):
    statement = fhir.get("/metadata").json()
    assert statement["fhirVersion"] == "4.0.1"
    assert "transaction" in [each["code"] for each in statement["rest"][0]["interaction"]]


def test_created_resource_is_read_with_its_etag(fhir):
    created = create(fhir, patient(unique()))
    response = fhir.get(f"/{reference(created)}")
    assert (response.status_code, response.headers["ETag"], response.json()) == (200, etag(created), created)
    assert response.headers["Content-Type"].startswith("application/fhir+json")


@pytest.mark.parametrize("path", ["/Patient/0b7e6f0e-5a3c-4f0e-9d0b-000000000000", "/Nonsense/1", "/Nonsense"])
def test_unknown_is_404(fhir, path):
    assert_outcome(fhir.get(path), 404)


@pytest.mark.parametrize("content", ["{", '{"resourceType": "Patient", "gender": 5}'])
def test_malformed_body_is_refused_with_an_outcome(fhir, content):
    assert_outcome(fhir.post("/Patient", content=content), 400, 422)


def test_identifier_search_is_exact(fhir):
    value = f"Aa-{unique()}"
    created = create(fhir, patient(value))
    assert found(fhir, "Patient", identifier=f"{SYSTEM}|{value}") == [created]
    assert found(fhir, "Patient", identifier=value) == [created]
    for other in (f"{SYSTEM}|{value.swapcase()}", f"{SYSTEM}:2|{value}", f"|{value}", f"{SYSTEM}|{value}0"):
        assert found(fhir, "Patient", identifier=other) == []


@pytest.mark.parametrize("awkward", ["a+b", "a&b", "a#b", "a b", "a%20b", "a?b"])
def test_identifier_search_finds_awkward_characters(fhir, awkward):
    value = f"{unique()}{awkward}"
    created = create(fhir, patient(value))
    assert found(fhir, "Patient", identifier=f"{SYSTEM}|{value}") == [created]


def test_identifier_search_finds_escaped_separators(fhir):
    value = f"{unique()},a|b"
    created = create(fhir, patient(value))
    escaped = value.replace(",", "\\,").replace("|", "\\|")
    assert found(fhir, "Patient", identifier=f"{SYSTEM}|{escaped}") == [created]


def test_post_search_answers_as_get(fhir):
    created = create(fhir, patient(unique()))
    form = {"identifier": f"{SYSTEM}|{created['identifier'][0]['value']}"}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    entries = fhir.post("/Patient/_search", data=form, headers=headers).json()["entry"]
    assert [(entry["search"]["mode"], entry["resource"]) for entry in entries] == [("match", created)]


def test_endpoint_is_found_by_name(fhir):
    name = f"Endpoint {unique()}"
    kind = {"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "dicom-wado-rs"}
    endpoint = {"resourceType": "Endpoint", "status": "active", "name": name, "connectionType": kind}
    endpoint |= {"payloadType": [{"text": "DICOM"}], "address": "https://dicom.example/v2"}
    created = create(fhir, endpoint)
    assert found(fhir, "Endpoint", name=name) == [created]


def test_pages_add_up_to_all_matches(fhir):
    subject = reference(create(fhir, patient(unique())))
    expected = {create(fhir, study(subject, unique()))["id"] for _ in range(5)}
    page = fhir.get("/ImagingStudy", params={"patient": subject, "_count": 2}).json()
    seen = []
    while True:
        assert len(page["entry"]) <= 2
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            break
        page = fhir.get(following[0]).json()
    assert (len(seen), set(seen)) == (5, expected)


def test_if_none_exist_creates_once_and_refuses_to_choose(fhir):
    value = unique()
    condition = {"If-None-Exist": f"identifier={SYSTEM}%7C{value}"}
    answers = [fhir.post("/Patient", json=patient(value), headers=condition) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    create(fhir, patient(value))
    assert_outcome(fhir.post("/Patient", json=patient(value), headers=condition), 412)


def test_update_needs_the_current_version(fhir):
    first = create(fhir, patient(unique()))
    path = f"/{reference(first)}"
    second = fhir.put(path, json={**first, "gender": "female"}, headers={"If-Match": etag(first)})
    assert second.status_code == 200
    assert second.json()["meta"]["versionId"] != first["meta"]["versionId"]
    assert_outcome(fhir.put(path, json={**first, "gender": "male"}, headers={"If-Match": etag(first)}), *CONFLICT)
    assert fhir.get(path).json() == second.json()


def test_unchanged_update_makes_no_version(fhir):
    first = create(fhir, patient(unique()))
    again = fhir.put(f"/{reference(first)}", json=first, headers={"If-Match": etag(first)})
    assert (again.status_code, again.json()["meta"]["versionId"]) == (200, first["meta"]["versionId"])


def test_former_versions_can_be_read(fhir):
    first = create(fhir, patient(unique()))
    path = f"/{reference(first)}"
    second = fhir.put(path, json={**first, "gender": "female"}).json()
    assert fhir.get(f"{path}/_history/{first['meta']['versionId']}").json() == first
    for _ in range(2):
        history = [entry["resource"] for entry in fhir.get(f"{path}/_history").json()["entry"]]
        assert history == [second, first]


def test_deleted_resource_is_gone_from_reads_and_searches(fhir):
    created = create(fhir, patient(unique()))
    assert fhir.delete(f"/{reference(created)}").status_code in {200, 204}
    assert_outcome(fhir.get(f"/{reference(created)}"), *REMOVED)
    assert found(fhir, "Patient", identifier=f"{SYSTEM}|{created['identifier'][0]['value']}") == []


def test_study_of_10_000_instances_is_kept_whole(fhir):
    subject = reference(create(fhir, patient(unique())))
    entry = posted(study(subject, unique(), instances=10_000))
    response = transact(fhir, entry)
    assert statuses(response) == [201]
    stored = found(fhir, "ImagingStudy", identifier=f"{SYSTEM}|{entry['resource']['identifier'][0]['value']}")
    assert stored[0]["series"] == entry["resource"]["series"]


def test_transaction_resolves_references_between_entries(fhir):
    person, value = posted(patient(unique())), unique()
    imaging = posted(study(person["fullUrl"], value))
    response = transact(fhir, imaging, person)
    assert (response.status_code, statuses(response)) == (200, [201, 201])
    assert response.json()["type"] == "transaction-response"
    stored_study, stored_person = (entry["resource"] for entry in response.json()["entry"])
    assert stored_study["subject"]["reference"] == reference(stored_person)
    assert found(fhir, "ImagingStudy", patient=reference(stored_person)) == [stored_study]


def test_conditional_create_in_a_transaction_returns_what_exists(fhir):
    value = unique()
    existing = create(fhir, patient(value))
    person = posted(patient(value), ifNoneExist=f"identifier={SYSTEM}%7C{value}")
    response = transact(fhir, person, posted(study(person["fullUrl"], unique())))
    assert statuses(response) == [200, 201]
    assert response.json()["entry"][1]["resource"]["subject"]["reference"] == reference(existing)
    assert found(fhir, "Patient", identifier=f"{SYSTEM}|{value}") == [existing]


def test_transaction_deletes_creates_and_updates_together(fhir):
    old, kept, value = create(fhir, patient(unique())), create(fhir, patient(unique())), unique()
    response = transact(
        fhir, put({**kept, "gender": "other"}, ifMatch=etag(kept)), deleted(old), posted(patient(value))
    )
    assert response.status_code == 200
    assert_outcome(fhir.get(f"/{reference(old)}"), *REMOVED)
    assert fhir.get(f"/{reference(kept)}").json()["gender"] == "other"
    assert len(found(fhir, "Patient", identifier=f"{SYSTEM}|{value}")) == 1


@pytest.mark.parametrize("failure", ["stale", "ambiguous", "invalid"])
def test_failed_transaction_changes_nothing(fhir, failure):
    first, old, value, twice = create(fhir, patient(unique())), create(fhir, patient(unique())), unique(), unique()
    kept = fhir.put(f"/{reference(first)}", json={**first, "gender": "female"}).json()
    last, allowed = {
        "stale": (put({**kept, "gender": "male"}, ifMatch=etag(first)), CONFLICT),
        "ambiguous": (posted(patient(twice), ifNoneExist=f"identifier={SYSTEM}%7C{twice}"), {412}),
        "invalid": (posted(patient(unique(), gender=5)), {400, 422}),
    }[failure]
    twins = [create(fhir, patient(twice)) for _ in range(2)]
    assert_outcome(transact(fhir, deleted(old), posted(patient(value)), last), *allowed)
    assert fhir.get(f"/{reference(old)}").json() == old
    assert fhir.get(f"/{reference(kept)}").json() == kept
    assert found(fhir, "Patient", identifier=f"{SYSTEM}|{value}") == []
    assert len(found(fhir, "Patient", identifier=f"{SYSTEM}|{twice}")) == len(twins)


def test_racing_conditional_creates_make_one_resource(fhir):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(25):
            value = unique()
            entry = posted(patient(value), ifNoneExist=f"identifier={SYSTEM}%7C{value}")
            answers = list(pool.map(lambda _, entry=entry: transact(fhir, entry), range(4)))
            assert {answer.status_code for answer in answers} <= {200, *CONFLICT}
            assert len(found(fhir, "Patient", identifier=f"{SYSTEM}|{value}")) == 1
