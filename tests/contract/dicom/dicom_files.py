"""DICOM files written byte by byte, so that they can hold what no library would write."""

import struct
import uuid

LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UR", "UT", "UN", "SV", "UV"})
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
PLAIN = {"Content-Type": "application/dicom"}


def uid():
    return f"2.25.{uuid.uuid4().int}"


class Writer:
    """Elements in one transfer syntax; values are bytes as they stand in the file, padded to an even length."""

    def __init__(self, syntax=EXPLICIT):
        self.syntax = syntax
        self._end = ">" if syntax == BIG_ENDIAN else "<"

    def element(self, tag, vr, value=b"", *, padded=True):
        value = value.encode("latin-1") if isinstance(value, str) else value
        if padded and len(value) % 2:
            value += b"\0" if vr in ("UI", "OB", "UN") else b" "
        head = struct.pack(f"{self._end}HH", tag >> 16, tag & 0xFFFF)
        if self.syntax == IMPLICIT:
            return head + struct.pack("<I", len(value)) + value
        size = f"{self._end}HI" if vr in LONG_VRS else f"{self._end}H"
        return head + vr.encode() + struct.pack(size, *([0] if vr in LONG_VRS else []), len(value)) + value

    def sequence(self, tag, *items):
        """Items as bytes of their elements."""
        heads = (struct.pack(f"{self._end}HHI", 0xFFFE, 0xE000, len(item)) for item in items)
        content = b"".join(head + item for head, item in zip(heads, items, strict=True))
        return self.element(tag, "SQ", content, padded=False)

    def file(self, elements=(), *, drop=(), study="", series="", sop="", preamble=b"\0" * 128):
        """A whole file: what every instance has, `elements` (bytes) over it, `drop` (tags) left out."""
        sop = sop or uid()
        common = [
            (0x00080016, "UI", CT),
            (0x00080018, "UI", sop),
            (0x00080060, "CS", "CT"),
            (0x00100010, "PN", "TEST^ONE"),
            (0x00100020, "LO", "TEST1"),
            (0x0020000D, "UI", study or uid()),
            (0x0020000E, "UI", series or uid()),
        ]
        found = {tag: self.element(tag, vr, value) for tag, vr, value in common if tag not in drop}
        for element in elements:
            group, number = struct.unpack(f"{self._end}HH", element[:4])
            found[group << 16 | number] = element
        body = b"".join(found[tag] for tag in sorted(found))
        return preamble + b"DICM" + _meta(self.syntax, sop) + body


def _meta(syntax, sop):
    writer = Writer()
    values = [
        (0x00020001, "OB", b"\0\1"),
        (0x00020002, "UI", CT),
        (0x00020003, "UI", sop),
        (0x00020010, "UI", syntax),
        (0x00020012, "UI", "1.2.3"),
    ]
    meta = b"".join(writer.element(*value) for value in values)
    return writer.element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta


def store(client, *files, version=2, path="/studies", partition=""):
    """STOW of each file on its own where there is one, else of all in one request."""
    url = f"/v{version}{partition}{path}"
    if len(files) == 1:
        return client.post(url, content=files[0], headers=PLAIN)
    return client.post(url, **related(*files))


def related(*files, part="application/dicom"):
    """A multipart/related request of these files."""
    body = (
        b"".join(f"--cut\r\nContent-Type: {part}\r\n\r\n".encode() + data + b"\r\n" for data in files) + b"--cut--\r\n"
    )
    return {"content": body, "headers": {"Content-Type": 'multipart/related; type="application/dicom"; boundary=cut'}}
