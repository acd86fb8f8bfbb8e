"""What the tests of the change feed do and read: instances, rows, updates, services that are not in order."""

import contextlib
import json
import time

from tests.contract.dicom.conftest import client_of, served
from tests.contract.dicom.dicom_files import Writer, store, uid

WRITE = Writer()
AS_JSON = {"Content-Type": "application/json"}
PLAIN_TEXT, FEED_JSON = "text/plain; charset=utf-8", "application/json; charset=utf-8"
TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?"
# how long the service keeps something back: enough for what a test does meanwhile on a busy machine
LATE_S = 10
DEADLINE_S = 120


@contextlib.contextmanager
def troubled(part, **environment):
    """A service of its own that does by itself, by `environment`, what the stand-in is asked to do in between."""
    with served(part, **environment) as url, client_of(url) as dicom:
        yield dicom, lambda route, **wish: part == "stand-in" and arrange(dicom, route, wish)


def arrange(dicom, route, wish):
    assert dicom.post(f"/_dev/{route}", json=wish).status_code == 200


def fill(dicom, count, study=""):
    """Store instances of one new series; its study, its UID, and those of the instances in order."""
    study, series, sops = study or uid(), uid(), [uid() for _ in range(count)]
    for sop in sops:
        assert store(dicom, WRITE.file(study=study, series=series, sop=sop)).status_code == 200
    return study, series, sops


def feed(dicom, version=1, **query):
    response = dicom.get(f"/v{version}/changefeed", params={"limit": 100, **query})
    assert (response.status_code, response.headers["content-type"]) == (200, FEED_JSON), response.text
    return response.json()


def sequences(dicom, version=1, **query):
    return [row["sequence"] for row in feed(dicom, version, **query)]


def states(dicom, **of):
    """Action, state and PatientID of the rows, of which these members are equal to `of`."""
    rows = [row for row in feed(dicom) if of.items() <= row.items()]
    return [(row["action"], row["state"], patient_id(row)) for row in rows]


def patient_id(row):
    return row["metadata"]["00100020"]["Value"][0] if "metadata" in row else None


def latest(dicom, version=1):
    return dicom.get(f"/v{version}/changefeed/latest").json()["sequence"]


def until(true):
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def begin_update(dicom, studies, new, path="/v2"):
    changes = {"00100020": {"vr": "LO", "Value": [new]}}
    body = json.dumps({"studyInstanceUids": studies, "changeDataset": changes})
    return dicom.post(f"{path}/studies/$bulkUpdate", content=body, headers=AS_JSON)


def update(dicom, studies, new, path="/v2"):
    started = begin_update(dicom, studies, new, path)
    assert (started.status_code, started.headers["content-type"]) == (202, FEED_JSON)
    until(lambda: dicom.get(started.json()["href"]).status_code == 200)
    return dicom.get(started.json()["href"]).json()


def outcome(response):
    """Status and failure reasons of a store."""
    failed = response.json().get("00081198", {}).get("Value", ())
    return response.status_code, [item["00081197"]["Value"][0] for item in failed]
