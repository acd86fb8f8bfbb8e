"""What is particular to the local FHIR server: Medplum's limits, the development surface, the kept folder."""

import os
import signal
import subprocess
import sys
import time
import uuid

import httpx
import pytest

from dev.process import running
from tests import strict
from tests.processes import children, wait_until_gone

PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": "1"}]}
CONDITION = "identifier=urn:test%7C1"


@pytest.fixture(scope="module")
def server():
    with running("fhir", "--port", "0") as part:
        yield part.urls


@pytest.fixture
def fhir(server):
    with httpx.Client(base_url=server["url"], timeout=30, trust_env=False) as client:
        client.post(f"{server['admin']}/reset").raise_for_status()
        yield client


@pytest.fixture
def fail(server):
    """Replaces the fault rules; leaves none behind."""

    def replace(*rules):
        httpx.post(f"{server['admin']}/faults", json=rules, trust_env=False).raise_for_status()

    yield replace
    replace()


def entry(resource=PATIENT, method="POST", url="Patient", **request):
    return {"resource": resource, "request": {"method": method, "url": url, **request}}


def transact(fhir, *entries):
    return fhir.post("/", json={"resourceType": "Bundle", "type": "transaction", "entry": list(entries)})


def dump(server):
    return httpx.get(f"{server['admin']}/dump", trust_env=False).json()


def test_nine_entries_with_a_condition_are_refused(fhir, server):
    response = transact(fhir, entry(ifNoneExist=CONDITION), *[entry()] * 8)
    assert (response.status_code, dump(server)) == (400, [])
    assert transact(fhir, entry(ifNoneExist=CONDITION), *[entry()] * 7).status_code == 200


def test_fifty_one_updates_are_refused(fhir):
    updates = [entry({**PATIENT, "id": str(uuid.uuid4())}, "PUT") for _ in range(51)]
    for update in updates:
        update["request"]["url"] = f"Patient/{update['resource']['id']}"
    assert transact(fhir, *updates).status_code == 400


def test_entry_without_method_rolls_the_transaction_back(fhir, server):
    lame = {"resource": PATIENT, "request": {"url": "Patient"}}
    assert (transact(fhir, entry(), lame).status_code, dump(server)) == (400, [])


def test_clients_cannot_choose_ids(fhir):
    chosen = str(uuid.uuid4())
    assert fhir.put(f"/Patient/{chosen}", json={**PATIENT, "id": chosen}).status_code == 404
    assert fhir.post("/Patient", json={**PATIENT, "id": chosen}).json()["id"] != chosen


def test_deleting_is_404_once_never_known_and_harmless_when_repeated(fhir):
    path = f"/Patient/{fhir.post('/Patient', json=PATIENT).json()['id']}"
    assert [fhir.delete(path).status_code for _ in range(2)] == [200, 200]
    assert fhir.get(path).status_code == 410
    assert fhir.delete(f"/Patient/{uuid.uuid4()}").status_code == 404


def test_delete_honours_if_match(fhir):
    path = f"/Patient/{fhir.post('/Patient', json=PATIENT).json()['id']}"
    assert fhir.delete(path, headers={"If-Match": 'W/"other"'}).status_code == 412
    assert fhir.get(path).status_code == 200


def test_json_patch_makes_a_version(fhir):
    first = fhir.post("/Patient", json=PATIENT).json()
    patch = [{"op": "add", "path": "/gender", "value": "female"}]
    second = fhir.patch(f"/Patient/{first['id']}", json=patch).json()
    assert second == {**first, "gender": "female", "meta": second["meta"]}
    assert second["meta"]["versionId"] != first["meta"]["versionId"]


def test_unknown_search_parameter_is_refused(fhir):
    assert fhir.get("/Patient", params={"nonsense": "1"}).status_code == 400
    assert fhir.post("/Patient", json=PATIENT, headers={"If-None-Exist": "nonsense=1"}).status_code == 400


def test_search_combines_indexed_and_other_parameters(fhir):
    made = [fhir.post("/Patient", json={**PATIENT, "gender": each}).json() for each in ("male", "female")]
    both = fhir.get("/Patient", params={"identifier": "urn:test|1", "_total": "accurate", "_count": 1}).json()
    assert (both["total"], len(both["entry"])) == (2, 1)
    one = fhir.get("/Patient", params={"identifier": "urn:test|1", "gender": "female"}).json()
    assert [each["resource"] for each in one["entry"]] == [made[1]]
    by_id = fhir.get("/Patient", params={"_id": f"{made[0]['id']},{made[1]['id']}"}).json()
    assert len(by_id["entry"]) == 2


def test_rolled_back_update_keeps_the_index(fhir):
    first = fhir.post("/Patient", json=PATIENT).json()
    other = {**first, "identifier": [{"system": "urn:test", "value": "2"}]}
    lame = {"resource": PATIENT, "request": {"url": "Patient"}}
    assert transact(fhir, entry(other, "PUT", f"Patient/{first['id']}"), lame).status_code == 400
    assert "entry" not in fhir.get("/Patient", params={"identifier": "urn:test|2"}).json()
    assert fhir.get("/Patient", params={"identifier": "urn:test|1"}).json()["entry"][0]["resource"] == first


def test_statistics_count_a_transaction_once(fhir, server):
    transact(fhir, entry(), entry())
    fhir.get("/Patient", params={"identifier": "urn:test|1"})
    fhir.post("/Patient/_search", data={"identifier": "urn:test|1"})
    fhir.get("/Patient/1")
    stats = httpx.get(f"{server['admin']}/stats", trust_env=False).json()
    assert stats["requests"] == {
        "POST transaction": 1,
        "GET Patient/_search": 1,
        "POST Patient/_search": 1,
        "GET Patient/{id}": 1,
    }
    assert (stats["total"], stats["bytes_in"] > 0, stats["bytes_out"] > 0) == (4, True, True)


def test_status_fault_comes_as_often_as_asked(fhir, fail):
    fail({"route": "search", "times": 2, "status": 503, "retry_after_s": 7})
    answers = [fhir.get("/Patient") for _ in range(3)]
    assert [each.status_code for each in answers] == [503, 503, 200]
    assert (answers[0].headers["Retry-After"], answers[0].json()["resourceType"]) == ("7", "OperationOutcome")
    assert fhir.get("/metadata").status_code == 200


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "processing"),
        (409, "conflict"),
        (412, "conflict"),
        (429, "throttled"),
        (500, "exception"),
        (503, "transient"),
    ],
)
def test_outcome_of_a_fault_has_the_code_of_its_status(fhir, fail, status, code):
    fail({"route": "*", "status": status})
    answer = fhir.get("/Patient")
    assert answer.status_code == status
    assert [issue["code"] for issue in strict.read(answer.text)["issue"]] == [code]


@pytest.mark.parametrize(("rule", "status"), [({"kind": "html"}, 200), ({"status": 502, "body": "html"}, 502)])
def test_html_fault_is_no_fhir(fhir, fail, rule, status):
    fail({"route": "*", **rule})
    answer = fhir.get("/Patient")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")


@pytest.mark.parametrize(("kind", "stored"), [("drop", 0), ("drop_after", 1), ("truncate", 1)])
def test_broken_connection_faults(fhir, fail, server, kind, stored):
    fail({"route": "transaction", "times": 1, "kind": kind})
    with pytest.raises(httpx.RemoteProtocolError):
        transact(fhir, entry())
    assert len(dump(server)) == stored


def test_delay_fault_only_delays(fhir, fail):
    fail({"route": "read", "times": 1, "kind": "delay", "seconds": 0.2})
    started = time.monotonic()
    assert fhir.get("/Patient/1").status_code == 404
    assert time.monotonic() - started > 0.2


def test_random_faults_repeat_with_their_seed(fhir, fail):
    rounds = []
    for _ in range(2):
        fail({"route": "read", "probability": 0.5, "seed": 3, "status": 500})
        rounds.append([fhir.get("/Patient/1").status_code for _ in range(20)])
    assert rounds[0] == rounds[1]
    assert set(rounds[0]) == {404, 500}


def test_kept_folder_survives_kill_and_a_torn_line(tmp_path):
    arguments = ("fhir", "--port", "0", "--data", str(tmp_path))
    with running(*arguments) as part:
        client = httpx.Client(base_url=part.urls["url"], trust_env=False)
        first = client.post("/Patient", json=PATIENT).json()
        second = client.put(f"/Patient/{first['id']}", json={**first, "gender": "male"}).json()
        doomed = client.post("/Patient", json=PATIENT).json()
        client.delete(f"/Patient/{doomed['id']}")
        client.close()
        part.kill()
    with (tmp_path / "changes.ndjson").open("a") as journal:
        journal.write('[{"type": "Patient", "id"')
    for _ in range(2):
        with running(*arguments) as part:
            client = httpx.Client(base_url=part.urls["url"], trust_env=False)
            assert dump(part.urls) == [second]
            assert len(client.get(f"/Patient/{first['id']}/_history").json()["entry"]) == 2
            assert client.get(f"/Patient/{doomed['id']}").status_code == 410
            client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_node_outlives_its_launcher(number):
    with running("fhir", "--port", "0") as part:
        nodes = children(part.process.pid)
        assert len(nodes) == 1
        os.kill(part.process.pid, number)
        wait_until_gone([part.process.pid, *nodes])


def test_taken_port_is_one_clear_line(server):
    port = server["url"].split(":")[2].split("/")[0]
    done = subprocess.run(
        [sys.executable, "-m", "dev", "fhir", "--port", port], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, f"fhir: port {port} cannot be used: EADDRINUSE\n")


def test_updates_create_on_request(server, fhir):
    """As on Microsoft's server and HAPI, also more than Medplum takes in one transaction; a reset ends it."""
    ids = [str(uuid.uuid4()) for _ in range(60)]
    entries = [entry({**PATIENT, "id": one}, "PUT", f"Patient/{one}") for one in ids]
    assert transact(fhir, *entries).status_code == 400
    fhir.post(f"{server['admin']}/settings", json={"update_creates": True}).raise_for_status()
    types = {one["type"]: one for one in fhir.get("/metadata").json()["rest"][0]["resource"]}
    assert types["Patient"]["updateCreate"] is True
    for status in ("201", "200"):
        answer = transact(fhir, *entries).json()
        assert [one["response"]["status"] for one in answer["entry"]] == [status] * 60
    assert fhir.put(f"/Patient/{uuid.uuid4()}", json={**PATIENT, "id": "x"}).status_code == 400
    fhir.post(f"{server['admin']}/reset").raise_for_status()
    assert fhir.put(f"/Patient/{ids[0]}", json={**PATIENT, "id": ids[0]}).status_code == 404
