"""The proxy before Microsoft's servers: empties, counts and fails as the stand-ins do, and refuses what it cannot."""

import os
import signal

import httpx
import pytest

from dev.process import running
from tests.builders import make_instance, part10
from tests.processes import below, wait_until_gone

pytestmark = pytest.mark.real("dicom-server", "fhir-server")
STOW = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b', "Accept": "application/dicom+json"}
PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": "1"}]}


def server(name):
    with running(name, "--port", "0", "--admin") as part, httpx.Client(timeout=120, trust_env=False) as http:
        http.base_url = part.urls["url"]
        yield part, http


@pytest.fixture(scope="module")
def dicom():
    yield from server("dicom-server")


@pytest.fixture(scope="module")
def fhir():
    yield from server("fhir-server")


def store(http, dataset):
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--b--" % part10(dataset)
    assert http.post("/v2/studies", content=body, headers=STOW).status_code == 200


def test_an_emptied_dicom_service_begins_its_feed_anew(dicom):
    _, http = dicom
    store(http, make_instance(1))
    http.post("/_dev/reset").raise_for_status()
    assert http.get("/v2/changefeed").json() == []
    store(http, make_instance(2))
    assert [row["sequence"] for row in http.get("/v2/changefeed").json()] == [1]
    counted = http.get("/_dev/stats").json()
    assert (counted["requests"], counted["total"]) == ({"changefeed": {"GET": 2}, "stow": {"POST": 1}}, 3)


def test_routes_of_the_dicom_service_fail_as_asked(dicom):
    _, http = dicom
    http.post("/_dev/faults", json=[{"route": "changefeed", "status": 503, "times": 1}]).raise_for_status()
    assert [http.get(path).status_code for path in ("/v1/changefeed/latest", "/v1/changefeed", "/v1/changefeed")] in (
        [200, 503, 200],
        [204, 503, 200],
    )


def test_rows_pass_a_gateway_and_the_services_own_numbering_stays(dicom):
    _, http = dicom
    http.post("/_dev/reset").raise_for_status()
    store(http, make_instance(1))
    http.post("/_dev/feed", json={"casing": "pascal"}).raise_for_status()
    assert "StudyInstanceUid" in http.get("/v2/changefeed").json()[0]
    assert http.post("/_dev/feed", json={"skip": 5}).status_code == 400
    assert http.post("/_dev/bulk", json={}).status_code == 404


def test_rows_are_held_back_and_let_go(dicom):
    """As the stand-in does it, so that an archive can be filled before anybody sees it."""
    _, http = dicom
    http.post("/_dev/reset").raise_for_status()
    http.post("/_dev/feed", json={"hold": 100}).raise_for_status()
    assert (seen(http), http.get("/v1/changefeed/latest").status_code) == ([], 204)
    http.post("/_dev/feed", json={"release": True}).raise_for_status()
    store(http, make_instance(1))
    http.post("/_dev/feed", json={"hold": 100}).raise_for_status()
    for number in (2, 3, 4):
        store(http, make_instance(number))
    assert (seen(http), http.get("/v1/changefeed/latest").json()["sequence"]) == ([1], 1)
    http.post("/_dev/feed", json={"release": 2}).raise_for_status()
    assert (seen(http), http.get("/v1/changefeed/latest").json()["sequence"]) == ([1, 2, 3], 3)
    http.post("/_dev/feed", json={"release": True}).raise_for_status()
    assert (seen(http), http.get("/v1/changefeed/latest").json()["sequence"]) == ([1, 2, 3, 4], 4)


def seen(http):
    return [row["sequence"] for row in http.get("/v1/changefeed").json()]


def test_an_emptied_fhir_server_has_no_trace_of_what_was_there(fhir):
    _, http = fhir
    made = http.post("/Patient", json=PATIENT).json()
    assert [one["id"] for one in http.get("/_dev/dump").json()] == [made["id"]]
    http.post("/_dev/reset").raise_for_status()
    assert http.get("/_dev/dump").json() == []
    assert http.get(f"/Patient/{made['id']}").status_code == 404
    assert http.get("/_dev/stats").json()["total"] == 1


def test_transactions_fail_as_asked_and_nothing_else_does(fhir):
    _, http = fhir
    rule = {"route": "transaction", "status": 422, "holds": "urn:test", "times": 1}
    http.post("/_dev/faults", json=[rule]).raise_for_status()
    entry = {"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert [http.get("/Patient").status_code, http.post("/", json=bundle).status_code] == [200, 422]
    assert http.post("/", json=bundle).status_code == 200


def test_nothing_outlives_the_front():
    for part, _ in server("dicom-server"):
        programs = below(part.process.pid)
        os.kill(part.process.pid, signal.SIGKILL)
        wait_until_gone([part.process.pid, *programs])
