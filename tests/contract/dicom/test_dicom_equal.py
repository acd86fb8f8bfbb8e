"""Stand-in and service store the same files the same way: status, answer, warning, metadata.

What is left is named here, each with its reason.
"""

import json
import re
import warnings
from pathlib import Path

import pytest
from pydicom.data import get_charset_files, get_testdata_files

from dev.process import ROOT
from tests.contract.dicom import dicom_odd
from tests.contract.dicom.conftest import MICROSOFT, STAND_IN, client_of, served
from tests.contract.dicom.dicom_files import PLAIN, Writer

pytestmark = pytest.mark.real("dicom-server")
EXAMPLES = ROOT.parent / "shared" / "data"
UNDEFINED_BYTES = (
    "a byte that the declared set does not define: .NET has characters of the private use area for it, here it is '?'"
)
UNDEFINED = re.compile("[\uf700-\uf8ff]")
# two files of one instance: the service finds no frames in the pixel data of the first and refuses it, not the second
WITHOUT_FRAMES = {"SC_rgb_jpeg.dcm", "SC_rgb_jpeg_dcmd.dcm"}
PRIVATE_DICTIONARY = (
    "private elements without a VR of their own: the library's list of them is another one than pydicom's, which has "
    "twice as many creators"
)


@pytest.fixture(scope="module")
def both():
    """Clients of the stand-in and of the service."""
    with (
        served(MICROSOFT) as microsoft,
        served(STAND_IN) as stand_in,
        client_of(stand_in) as first,
        client_of(microsoft) as second,
    ):
        yield first, second


def outcome(client, data, version):
    """What becomes of a file: the answer without the address of the server, and the metadata if it was stored."""
    response = client.post(f"/v{version}/studies", content=data, headers=PLAIN)
    body = json.loads(response.text.replace(str(client.base_url).rstrip("/"), ""))
    seen = {"status": response.status_code, "body": body, "warned": "warning" in response.headers}
    for item in body.get("00081199", {}).get("Value", ()):
        found = client.get(f"{item['00081190']['Value'][0]}/metadata")
        seen["metadata"] = found.json()[0] if found.is_success else found.status_code
    return seen


def differences(both, files, version, expected=lambda theirs: theirs):
    """The names of the files whose outcome differs from the expected, with where it does."""
    found = {}
    for name, data in files:
        ours, theirs = (outcome(client, data, version) for client in both)
        theirs = expected(theirs)
        if ours != theirs:
            found[name] = [part for part in theirs.keys() | ours.keys() if ours.get(part) != theirs.get(part)]
    return found


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("vr", dicom_odd.ATTRIBUTES)
def test_values_of_every_vr(both, vr, version):
    write = Writer()
    files = ((name, write.file(elements)) for name, elements in dicom_odd.of_vr(vr))
    assert differences(both, files, version) == {}


@pytest.mark.parametrize("version", [1, 2])
def test_identity(both, version):
    write = Writer()
    files = ((name, write.file(elements, drop=drop)) for name, elements, drop in dicom_odd.of_required())
    assert differences(both, files, version) == {}


@pytest.mark.parametrize("version", [1, 2])
def test_transfer_syntaxes(both, version):
    files = ((name, Writer(syntax).file(elements)) for name, syntax, elements in dicom_odd.of_syntaxes())
    assert differences(both, files, version) == {}


@pytest.mark.parametrize("version", [1, 2])
def test_character_sets(both, version):
    write = Writer()
    files = ((name, write.file(elements)) for name, elements in dicom_odd.of_character_sets())
    assert differences(both, files, version, _with_undefined_bytes) == {}, UNDEFINED_BYTES


def _with_undefined_bytes(theirs):
    """The service's outcome with "?" for the characters that .NET has for undefined bytes of single-byte sets."""
    return json.loads(UNDEFINED.sub("?", json.dumps(theirs, ensure_ascii=False)))


def real_files():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {Path(name) for name in (*get_testdata_files(), *get_charset_files())}
    found |= set(EXAMPLES.rglob("*.dcm"))
    return sorted((path for path in found if path.is_file()), key=lambda path: path.name)


def test_real_files(both):
    found = {}
    for path in real_files():
        ours, theirs = (outcome(client, path.read_bytes(), 2) for client in both)
        if wrong := [part for part in theirs.keys() | ours.keys() if not _alike(ours.get(part), theirs.get(part))]:
            found[path.name] = {part: (ours.get(part), theirs.get(part)) for part in wrong}
    assert found.keys() == WITHOUT_FRAMES, PRIVATE_DICTIONARY


def _alike(ours, theirs):
    """Equal but for private elements that only the stand-in knows the VR of."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        ours = {tag: element for tag, element in ours.items() if tag in theirs or int(tag[:4], 16) % 2 == 0}
    return ours == theirs
