"""The real process: stop and start with the same content, a client nobody here wrote, cut connections."""

from io import BytesIO

import httpx
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from pydicom.data import get_testdata_file
from test_dicom_arrange import JSON, SOP, STUDY, make_file

from dev.process import running

WAY = {"headers": {**JSON, "Content-Type": "application/dicom"}}


def content(url):
    with httpx.Client(base_url=url, headers=JSON, trust_env=False) as client:
        studies = {entry["studyInstanceUid"] for entry in client.get("/v2/changefeed?includeMetadata=false").json()}
        metadata = [client.get(f"/v2/studies/{study}/metadata").content for study in sorted(studies)]
        objects = [client.get(f"/v2/studies/{study}", headers={"Accept": "*/*"}) for study in sorted(studies)]
        stats = client.get("/_dev/stats").json()
        counts = {name: stats[name] for name in ("studies", "instances", "feed_rows", "next_sequence")}
        sizes = [len(answer.content) for answer in objects]
        return client.get("/v2/changefeed").content, metadata, sizes, counts


def test_stopped_and_started_with_the_same_content(tmp_path):
    args = ("dicom", "--port", "0", "--data", str(tmp_path / "data"))
    with running(*args, log=tmp_path / "log") as part:
        assert part.urls.keys() == {"part", "url"}
        with httpx.Client(base_url=part.urls["url"], headers=JSON, trust_env=False) as client:
            assert client.post("/v2/studies", content=make_file(), **WAY).status_code == 200
            client.post("/_dev/feed", json={"skip": 5})
            client.post("/_dev/bulk", json={"studies": 2, "patients": 1})
            assert client.post("/v2/studies", content=make_file(study="1.9"), **WAY).status_code == 200
            client.delete("/v2/studies/1.9")
        before = content(part.urls["url"])
        part.process.terminate()
        assert part.process.wait(5) == 0
    with running(*args, log=tmp_path / "log") as part:
        assert content(part.urls["url"]) == before
        part.kill()  # nothing is lost without a goodbye either
    with running(*args, log=tmp_path / "log") as part:
        assert content(part.urls["url"]) == before
        assert httpx.post(f"{part.urls['url']}/_dev/reset", trust_env=False).status_code == 200
    with running(*args, log=tmp_path / "log") as part:
        assert httpx.get(f"{part.urls['url']}/v1/changefeed/latest", trust_env=False).status_code == 204
    assert (tmp_path / "log").read_text() == ""


def test_sigterm_ends_it_in_the_middle_of_a_request(tmp_path):
    with running("dicom", "--port", "0", log=tmp_path / "log") as part, httpx.Client(base_url=part.urls["url"]) as http:
        http.post("/_dev/faults", json=[{"route": "changefeed", "kind": "delay", "seconds": 60}])
        with pytest.raises(httpx.TimeoutException):
            http.get("/v1/changefeed", timeout=0.2)
        part.process.terminate()
        assert part.process.wait(5) == 0
    assert (tmp_path / "log").read_text() == ""


def test_a_real_client_and_cut_connections(tmp_path):
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    with running("dicom", "--port", "0", log=tmp_path / "log") as part:
        client = DICOMwebClient(f"{part.urls['url']}/v2")
        client.store_instances([dataset, pydicom.dcmread(BytesIO(make_file()))])
        (found,) = client.search_for_studies(search_filters={"PatientID": dataset.PatientID})
        assert found["0020000D"]["Value"] == [dataset.StudyInstanceUID]
        (metadata,) = client.retrieve_study_metadata(STUDY)
        assert pydicom.Dataset.from_json(metadata).SOPInstanceUID == SOP
        back = client.retrieve_instance(dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
        assert back.PixelData == dataset.PixelData
        assert len(client.retrieve_study(STUDY)) == 1
        client.delete_study(STUDY)
        with httpx.Client(base_url=part.urls["url"], trust_env=False) as http:
            for kind in ("drop", "drop_after", "truncate"):
                http.post("/_dev/faults", json=[{"route": "changefeed", "kind": kind, "times": 1}])
                with pytest.raises(httpx.RemoteProtocolError):
                    http.get("/v1/changefeed")
            assert len(http.get("/v1/changefeed").json()) == 3
    assert (tmp_path / "log").read_text() == ""
