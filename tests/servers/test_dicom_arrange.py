"""What the tests of the DICOM stand-in share: a client in the same process, made-up files, a few requests."""

import contextlib
import json
import warnings
from io import BytesIO

import httpx
import pydicom
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dev.dicom.app import make_app
from dev.dicom.service import Service

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY, SERIES, SOP = "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1"
JSON = {"Accept": "application/dicom+json"}


@contextlib.asynccontextmanager
async def stand_in(folder, **options):
    service = Service(folder, **options)
    transport = httpx.ASGITransport(make_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://dicom.test", headers=JSON) as client:
        client.service = service
        yield client
    service.journal.close()


def make_file(study=STUDY, series=SERIES, sop=SOP, *, syntax=ExplicitVRLittleEndian, drop=(), **attributes):
    dataset = Dataset()
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": sop,
        "StudyInstanceUID": study,
        "SeriesInstanceUID": series,
        "PatientID": "TEST1",
        "PatientName": "TEST^ONE",
        "Modality": "CT",
        **attributes,
    }
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        for keyword, value in values.items():
            if keyword not in drop:
                setattr(dataset, keyword, value)
        return to_bytes(dataset, syntax)


def to_bytes(dataset, syntax=ExplicitVRLittleEndian):
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = CT
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    out = BytesIO()
    dataset.preamble = b"\1" * 128
    pydicom.dcmwrite(out, dataset, enforce_file_format=False)
    return out.getvalue()


def related(*files, content_type="application/dicom"):
    head = f"Content-Type: {content_type}\r\n" if content_type else ""
    body = b"".join(f"--cut\r\n{head}\r\n".encode() + data + b"\r\n" for data in files) + b"--cut--\r\n"
    return {"content": body, "headers": {"Content-Type": 'multipart/related; type="application/dicom"; boundary=cut'}}


async def store(client, *files, version=2, path="/studies"):
    return await client.post(f"/v{version}{path}", **related(*files))


async def feed(client, version=1, **query):
    response = await client.get(f"/v{version}/changefeed", params={"limit": 100, **query})
    assert response.status_code == 200, response.text
    return response.json()


async def states(client, **query):
    return [(entry["action"], entry["state"]) for entry in await feed(client, **query)]


async def metadata_of(client, study=STUDY, version=2):
    response = await client.get(f"/v{version}/studies/{study}/metadata")
    assert response.status_code == 200, response.text
    return json.loads(response.content)
