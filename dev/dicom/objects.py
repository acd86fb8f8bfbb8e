"""GET of the objects of a study, a series or an instance (dicom-server: AcceptHeaderHandler.cs, ResourceResult.cs).

Files are answered as they were stored. The one conversion is between uncompressed transfer syntaxes; everything else
that would need a codec is 406, as is a file nobody can convert there.
"""

import json
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom import config
from starlette.responses import Response, StreamingResponse

from dev.dicom import multipart
from dev.dicom.call import Call, Refused
from dev.dicom.metadata import selected, wanted
from dev.dicom.model import Version

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_UNCOMPRESSED = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"})
_SYNTAXES = frozenset({"*", EXPLICIT_LITTLE_ENDIAN, "1.2.840.10008.1.2.4.90"})
_DICOM = "application/dicom"


@dataclass(frozen=True, slots=True)
class _Wish:
    """What an Accept header asks for: in parts or as one file, and in which transfer syntax."""

    multipart: bool
    syntax: str


async def objects(call: Call) -> Response:
    """The files as multipart/related, or a single instance as application/dicom."""
    wish = _wish(call)
    versions = [wanted(call, instance) for instance in selected(call)]
    if len(versions) > 1 and wish.syntax != "*":
        raise Refused(406, "The specified Accept transfer syntax is not supported when several instances match.")
    if any(_needs_codec(version, wish.syntax) for version in versions):
        raise Refused(406, "The specified Transfer Syntax cannot be produced.")
    if not wish.multipart:
        version = versions[0]
        return Response(_content(call, version, wish.syntax), media_type=_type(version, wish.syntax))
    boundary = str(uuid.UUID(int=call.service.rng.getrandbits(128)))
    parts = ((_type(version, wish.syntax), _content(call, version, wish.syntax)) for version in versions)
    headers = {"Content-Type": f'multipart/related; boundary="{boundary}"'}
    return StreamingResponse(_stream(multipart.join(parts, boundary)), headers=headers)


async def _stream(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _wish(call: Call) -> _Wish:
    """The first media range that can be answered; 406 when none can."""
    single = "instance" in call.request.path_params
    for text in ",".join(call.request.headers.getlist("accept")).split(","):
        kind, named = multipart.parameters(text)
        if kind == "*/*" and single:
            return _Wish(multipart=True, syntax="*")
        related = kind == "multipart/related" and named.get("type", "").lower() == _DICOM
        syntax = named.get("transfer-syntax", EXPLICIT_LITTLE_ENDIAN)
        if (related or (single and kind == _DICOM)) and syntax in _SYNTAXES:
            return _Wish(related, syntax)
    raise Refused(406, "The specified Accept header cannot be satisfied.")


def _needs_codec(version: Version, syntax: str) -> bool:
    if syntax in ("*", version.syntax):
        return False
    return syntax != EXPLICIT_LITTLE_ENDIAN or version.syntax not in _UNCOMPRESSED


def _type(version: Version, syntax: str) -> str:
    return f"{_DICOM}; transfer-syntax={version.syntax if syntax == '*' else syntax}"


def _content(call: Call, version: Version, syntax: str) -> bytes:
    data = call.service.journal.read_object(version.watermark)
    if data is None:
        return _without_file(version)
    return data if syntax in ("*", version.syntax) else _explicit(data)


def _explicit(data: bytes) -> bytes:
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(BytesIO(data))
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(EXPLICIT_LITTLE_ENDIAN)
        out = BytesIO()
        dataset.save_as(out, implicit_vr=False, little_endian=True)
    return out.getvalue()


def _without_file(version: Version) -> bytes:
    """A file for a synthetic instance, made of its metadata."""
    dataset = pydicom.Dataset.from_json(json.loads(version.metadata))
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(version.syntax)
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()
