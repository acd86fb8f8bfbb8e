"""What the app relies on in any FHIR R4 server; no test may assume that it has the server to itself.

Where servers differ within what a client must bear, every permitted answer is accepted here, and the differences are
declared in differences_in_*.py.
"""

import pytest

from tests.contract.fhir_server.requests import (
    SYSTEM,
    assert_outcome,
    condition,
    create,
    deleted,
    etag,
    found,
    patient,
    posted,
    put,
    reference,
    said,
    statuses,
    study,
    transact,
    unique,
    update,
)

CONFLICT = {409, 412}


def test_metadata_promises_r4_and_transactions(fhir):
    statement = fhir.get("/metadata").json()
    assert statement["fhirVersion"] == "4.0.1"
    assert "transaction" in [each["code"] for each in statement["rest"][0]["interaction"]]


def test_created_resource_is_read_with_its_etag(fhir):
    created = create(fhir, patient())
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
    created = create(fhir, patient())
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
    subject = reference(create(fhir, patient()))
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
    once = {"If-None-Exist": condition(value)}
    answers = [fhir.post("/Patient", json=patient(value), headers=once) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    create(fhir, patient(value))
    assert_outcome(fhir.post("/Patient", json=patient(value), headers=once), 412)


def test_update_needs_the_current_version(fhir):
    first = create(fhir, patient())
    path = f"/{reference(first)}"
    second = fhir.put(path, json={**first, "gender": "female"}, headers={"If-Match": etag(first)})
    assert second.status_code == 200
    assert second.json()["meta"]["versionId"] != first["meta"]["versionId"]
    assert_outcome(fhir.put(path, json={**first, "gender": "male"}, headers={"If-Match": etag(first)}), *CONFLICT)
    assert fhir.get(path).json() == second.json()


def test_unchanged_update_makes_no_version(fhir):
    first = create(fhir, patient())
    again = fhir.put(f"/{reference(first)}", json=first, headers={"If-Match": etag(first)})
    assert (again.status_code, again.json()["meta"]["versionId"]) == (200, first["meta"]["versionId"])


def test_version_and_time_of_an_update_do_not_count(fhir):
    first = create(fhir, patient())
    again = update(fhir, {name: value for name, value in first.items() if name != "meta"})
    assert (again.status_code, again.json()["meta"]["versionId"]) == (200, first["meta"]["versionId"])


def test_no_server_has_an_update_that_only_creates(fhir):
    first = create(fhir, patient())
    second = update(fhir, {**first, "gender": "female"}, If_None_Match="*")
    assert (second.status_code, second.json()["gender"]) == (200, "female")


def test_creation_says_where_its_version_is(fhir):
    response = fhir.post("/Patient", json=patient())
    created = response.json()
    version = f"{str(fhir.base_url).rstrip('/')}/{reference(created)}/_history/{created['meta']['versionId']}"
    assert response.headers["Location"] == version


def test_former_versions_can_be_read(fhir):
    first = create(fhir, patient())
    path = f"/{reference(first)}"
    second = fhir.put(path, json={**first, "gender": "female"}).json()
    assert fhir.get(f"{path}/_history/{first['meta']['versionId']}").json() == first
    for _ in range(2):
        history = [entry["resource"] for entry in fhir.get(f"{path}/_history").json()["entry"]]
        assert history == [second, first]


def test_deleted_resource_is_gone_from_reads_and_searches(fhir):
    created = create(fhir, patient())
    assert fhir.delete(f"/{reference(created)}").status_code in {200, 204}
    assert fhir.get(f"/{reference(created)}").status_code == 410
    assert found(fhir, "Patient", identifier=f"{SYSTEM}|{created['identifier'][0]['value']}") == []


def test_former_version_of_a_deleted_resource_can_be_read(fhir):
    created = create(fhir, patient())
    assert fhir.delete(f"/{reference(created)}").status_code in {200, 204}
    version = fhir.get(f"/{reference(created)}/_history/{created['meta']['versionId']}")
    assert (version.status_code, version.json()) == (200, created)
    entries = fhir.get(f"/{reference(created)}/_history").json()["entry"]
    assert [entry["request"]["method"] for entry in entries] == ["DELETE", "POST"]


@pytest.mark.parametrize(
    "text",
    [
        "0001",
        "0001-01-01",
        "2020-02",
        "2020-01-01T10:11:12.123456Z",
        "2020-01-01T10:11:12-00:00",
        "9999-12-31",
        "9999-12-31T23:59:59Z",
    ],
)
def test_moments_that_every_server_keeps(fhir, text):
    assert create(fhir, study(started=text))["started"] == text


@pytest.mark.parametrize("text", ["2020-02-30", "2020-01-01T24:00:00Z"])
def test_moments_that_no_server_takes(fhir, text):
    assert_outcome(fhir.post("/ImagingStudy", json=study(started=text)), 400)


def test_integers_have_31_bits(fhir):
    assert create(fhir, study(numberOfInstances=2**31 - 1))["numberOfInstances"] == 2**31 - 1
    assert_outcome(fhir.post("/ImagingStudy", json=study(numberOfInstances=2**31)), 400)


def test_empty_strings_are_dropped(fhir):
    (name,) = create(fhir, patient(name=[{"family": "", "given": ["a"]}]))["name"]
    assert name == {"given": ["a"]}


def test_unknown_search_parameter_is_refused_when_handling_is_strict(fhir):
    answer = fhir.get("/Patient", params={"nonsense": "1"}, headers={"Prefer": "handling=strict"})
    assert_outcome(answer, 400)


def test_one_resource_twice_in_a_transaction_is_refused(fhir):
    stored = create(fhir, patient())
    twice = [put({**stored, "gender": gender}, ifMatch=etag(stored)) for gender in ("male", "female")]
    assert_outcome(transact(fhir, *twice), 400)
    assert fhir.get(f"/{reference(stored)}").json() == stored


def test_batch_answers_each_entry(fhir):
    first = create(fhir, patient())
    update(fhir, {**first, "gender": "female"})
    answer = transact(fhir, put({**first, "gender": "male"}, ifMatch=etag(first)), posted(patient()), kind="batch")
    assert said(answer) in {f"200 with {status} 201" for status in CONFLICT}


def test_study_of_10_000_instances_is_kept_whole(fhir):
    subject = reference(create(fhir, patient()))
    entry = posted(study(subject, unique(), instances=10_000))
    response = transact(fhir, entry)
    assert statuses(response) == [201]
    stored = found(fhir, "ImagingStudy", identifier=f"{SYSTEM}|{entry['resource']['identifier'][0]['value']}")
    assert stored[0]["series"] == entry["resource"]["series"]


def test_transaction_resolves_references_between_entries(fhir):
    person, value = posted(patient()), unique()
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
    person = posted(patient(value), ifNoneExist=condition(value))
    response = transact(fhir, person, posted(study(person["fullUrl"], unique())))
    assert statuses(response) == [200, 201]
    assert response.json()["entry"][1]["resource"]["subject"]["reference"] == reference(existing)
    assert found(fhir, "Patient", identifier=f"{SYSTEM}|{value}") == [existing]


def test_transaction_deletes_creates_and_updates_together(fhir):
    old, kept, value = create(fhir, patient()), create(fhir, patient()), unique()
    response = transact(
        fhir, put({**kept, "gender": "other"}, ifMatch=etag(kept)), deleted(old), posted(patient(value))
    )
    assert response.status_code == 200
    assert fhir.get(f"/{reference(old)}").status_code == 410
    assert fhir.get(f"/{reference(kept)}").json()["gender"] == "other"
    assert len(found(fhir, "Patient", identifier=f"{SYSTEM}|{value}")) == 1


@pytest.mark.parametrize("failure", ["stale", "ambiguous", "invalid"])
def test_failed_transaction_changes_nothing(fhir, failure):
    first, old, value, twice = create(fhir, patient()), create(fhir, patient()), unique(), unique()
    kept = fhir.put(f"/{reference(first)}", json={**first, "gender": "female"}).json()
    last, allowed = {
        "stale": (put({**kept, "gender": "male"}, ifMatch=etag(first)), CONFLICT),
        "ambiguous": (posted(patient(twice), ifNoneExist=condition(twice)), {412}),
        "invalid": (posted(patient(unique(), gender=5)), {400, 422}),
    }[failure]
    twins = [create(fhir, patient(twice)) for _ in range(2)]
    assert_outcome(transact(fhir, deleted(old), posted(patient(value)), last), *allowed)
    assert fhir.get(f"/{reference(old)}").json() == old
    assert fhir.get(f"/{reference(kept)}").json() == kept
    assert found(fhir, "Patient", identifier=f"{SYSTEM}|{value}") == []
    assert len(found(fhir, "Patient", identifier=f"{SYSTEM}|{twice}")) == len(twins)
