"""Odd files: every VR with values as they should be and not, at the top, in an item, private, unknown."""

import struct

from tests.contract.dicom.dicom_files import BIG_ENDIAN, EXPLICIT, IMPLICIT, Writer

EMPTY_TAG = 0x00081140  # a sequence that any file may have
# an attribute of one value and one of several, by VR
ATTRIBUTES = {
    "AE": (0x00080055, 0x00080054),
    "AS": (0x00101010, 0x00101010),
    "AT": (0x00280009, 0x00280009),
    "CS": (0x00100040, 0x00080008),
    "DA": (0x00080020, 0x00181078),
    "DS": (0x00180050, 0x00280030),
    "DT": (0x0008002A, 0x0040A13A),
    "FD": (0x00189306, 0x00189813),
    "FL": (0x00189461, 0x00189402),
    "IS": (0x00200013, 0x00081160),
    "LO": (0x00081030, 0x00101002),
    "LT": (0x00204000, 0x00204000),
    "PN": (0x00080090, 0x00081070),
    "SH": (0x00080050, 0x00201070),
    "SL": (0x0018605C, 0x00480105),
    "SS": (0x00189219, 0x00280120),
    "ST": (0x00080081, 0x00080081),
    "SV": (0x00720082, 0x00720082),
    "TM": (0x00080030, 0x0018112C),
    "UC": (0x00080119, 0x00080119),
    "UI": (0x00080062, 0x0008001A),
    "UL": (0x00081161, 0x00081161),
    "UR": (0x00080120, 0x00080120),
    "US": (0x00280010, 0x00283002),
    "UT": (0x00189074, 0x0040A160),
    "UV": (0x00720083, 0x00720083),
}
BINARY = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
TEXTS = [
    "",
    "A",
    "A\\B",
    "A\\\\B",
    "\\",
    "A ",
    " A",
    "A \\ B",
    "A\0",
    "A\0\0",
    "A\\B\0",
    " ",
    "\xe4\xf6",
    "a\x07",
    "a\x1bb",
]
TEXTS += ["x" * 65, "x" * 17, "0", "NaN"]
VALUES = {
    "AE": ["STORE_SCP", "x\\ \\y"],
    "AS": ["030Y", "30Y", "030Y\0", "030Y\\031Y", "030y"],
    "CS": ["OT", "ot", "A_1 2", "ORIGINAL\\PRIMARY", "ORIGINAL\\", "M\0"],
    "DA": ["20240230", "20240229", "00000000", "20241301", "20240132", "2024", "20240101-20240202", "-20240101"],
    "DS": [
        "1",
        "+1.0",
        "007",
        "1.50",
        ".5",
        "1.",
        "1E2",
        "1e-5",
        "-0",
        "1\\",
        "\\1",
        "1\\2",
        "1\\2\\3",
        "1,5",
        "1e300",
        "1e-300",
    ],
    "DT": [
        "20240101",
        "20240101120000.123456+0100",
        "2024-0100",
        "20240101-20240202",
        "20240101-1300",
        "2024010125",
        "99",
    ],
    "IS": ["1", "+1", "-7", "1.0", "1.5", "1\\", "1\\2", "2147483647", "2147483648", "99999999999", "1e3", "0012"],
    "LO": ["A\\B\\C", "x" * 64, "A=B"],
    "LT": ["x" * 10241, "a\r\nb"],
    "PN": [
        "A^B",
        "A^B=C=D",
        "A=B=C=D",
        "A=B=C=",
        "=B",
        "==C",
        "=",
        "^^^",
        "A^B^C^D^E^F",
        "A\\=\\B",
        "A^B\0",
        "x" * 65 + "=B",
    ],
    "SH": ["x" * 16, "A=B"],
    "ST": ["x" * 1025],
    "TM": [
        "12",
        "1200",
        "120000",
        "120000.123456",
        "12:00",
        "240000",
        "126000",
        "101160",
        "1200-1300",
        "120000\0",
        "1",
    ],
    "UI": ["1.2.3", "1.02.3", "1.2.", ".1", "1..2", "1.2.x", "1.2\\3.4", "1.2\\", "0.1", "1." * 32 + "1"],
    "UR": ["http://example.org/a", "a b"],
}
VALUES["DA"] += ["20240101\0", "20240101\\20240102", "20240101 "]
VALUES["DS"] += [
    "0.12345678901234567890",
    "123456789012345678901234567890",
    "1234567890.123456",
    "1e20",
    "thin\\1.50",
    "1\0",
    "1e29",
]
VALUES["DS"] += ["0.000012345678901", "1.23456789012e-05", "-0.0", "--1", "1 2", "Infinity", "0x10"]


def texts(vr):
    """The values of a text VR, as bytes."""
    return [text.encode("latin-1") for text in dict.fromkeys(TEXTS + VALUES.get(vr, []))]


def numbers(vr):
    """The values of a binary VR: none, one, several, the extremes, an odd length."""
    code = f"<{BINARY[vr]}"
    if vr in ("FD", "FL"):
        plain = [0.1, -1.5, 1e-45, 3.4e38, 16777217.0, float("nan"), float("inf"), float("-inf")]
    else:
        bits = 8 * struct.calcsize(code)
        plain = [0, 1, 2**bits - 1] if vr.startswith("U") else [0, -1, 2 ** (bits - 1) - 1]
    one = [struct.pack(code, number) for number in plain]
    return [b"", *one, one[0] + one[1], b"".join(one[:3]), one[1] + b"\1\2"]


def values(vr):
    if vr == "AT":
        return [b"", bytes.fromhex("18006310"), bytes.fromhex("1800631008001800"), b"\1\2"]
    return numbers(vr) if vr in BINARY else texts(vr)


def of_vr(vr):
    """Name and elements of each odd file of one VR."""
    writer = Writer()
    single, several = ATTRIBUTES[vr]
    for number, value in enumerate(values(vr)):
        for tag in dict.fromkeys((single, several)):
            yield f"{vr} {number} {tag:08X} {value[:24]!r}", [writer.element(tag, vr, value)]
        nested = writer.sequence(EMPTY_TAG, writer.element(several, vr, value))
        yield f"{vr} {number} nested {value[:24]!r}", [nested]
        private = [writer.element(0x00990010, "LO", "TEST"), writer.element(0x00991001, vr, value)]
        yield f"{vr} {number} private {value[:24]!r}", private
        yield f"{vr} {number} unknown {value[:24]!r}", [writer.element(single, "UN", value)]


def of_required():
    """Files whose identity is odd: absent, empty, several, wrong."""
    writer = Writer()
    for tag in (0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00100020, 0x00100010, 0x00080060):
        yield f"{tag:08X} absent", [], (tag,)
        vr = {0x00100020: "LO", 0x00100010: "PN", 0x00080060: "CS"}.get(tag, "UI")
        for value in (
            "",
            " ",
            "A\\B",
            "A\0",
            "1.2.3\0\0",
            "1.02.4",
            "1.2.3.",
            "x" * 65,
            "A\x07",
            "ct",
            "1.2\\3.4",
            "A=B=C=D",
        ):
            yield f"{tag:08X} {value[:12]!r}", [writer.element(tag, vr, value)], ()
        for other in ("UN", "LT", "SH"):
            yield f"{tag:08X} as {other}", [writer.element(tag, other, "1.2.3.5")], ()


CHARACTER_SETS = ["", "ISO_IR 6", "FOO", "UTF8", "ISO_IR_100", "ISO-IR 100", "ISO IR 192", "iso_ir 100", "ISO_IR 203"]
CHARACTER_SETS += [f"ISO_IR {n}" for n in (13, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 192)]
CHARACTER_SETS += [
    "GBK",
    "GB18030",
    "ISO_IR 100\\ISO 2022 IR 101",
    "\\ISO 2022 IR 87",
    "ISO 2022 IR 6\\ISO 2022 IR 127",
]
CHARACTER_SETS += [
    "\\ISO 2022 IR 149",
    "\\ISO 2022 IR 58",
    "ISO 2022 IR 13\\ISO 2022 IR 87",
    "ISO 2022 IR 100",
    "\\ISO 2022 IR 166",
]
ENCODED = [
    b"M\xfcl1",
    b"\xc3\xa9",
    b"\xb1\xb2\xb3",
    b"A\x1b$B;3ED\x1b(B^x",
    b"\x1b$)C\xb1\xe8",
    b"\xd6\xd0",
    b"\x1b-Bx\xb1",
    b"\x80",
]
ENCODED += [b"\x1b$)A\xb5\xda", b"\x1b-G\xc7\xe4^\xc7"]


def of_character_sets():
    """Text of every set, where the set is declared, misspelt, unknown or absent."""
    writer = Writer()
    for name in (None, *CHARACTER_SETS):
        declared = [] if name is None else [writer.element(0x00080005, "CS", name)]
        for value in ENCODED:
            elements = [writer.element(0x00100010, "PN", value), writer.element(0x00081030, "LO", value)]
            elements += [writer.element(0x00204000, "LT", value), writer.element(0x00080060, "CS", b"CT")]
            nested = writer.sequence(
                EMPTY_TAG, *[writer.element(0x00081150, "UI", "1.2"), writer.element(0x00080104, "LO", value)]
            )
            yield f"{name} {value!r}", [*declared, *elements, nested]


def of_syntaxes():
    """Whole files in other transfer syntaxes, with private elements, sequences in sequences and unknown tags."""
    for syntax in (IMPLICIT, EXPLICIT, BIG_ENDIAN):
        end = ">" if syntax == BIG_ENDIAN else "<"
        writer = Writer(syntax)
        inner = writer.element(0x00080100, "SH", "CODE")
        deep = writer.sequence(0x0040A168, writer.sequence(0x00081140, inner), b"")
        elements = [
            writer.element(0x00280010, "US", struct.pack(f"{end}H", 512)),
            writer.element(0x00280009, "AT", struct.pack(f"{end}HH", 0x0018, 0x1063)),
            writer.element(0x00189306, "FD", struct.pack(f"{end}d", 0.25)),
            writer.element(0x00280103, "US", struct.pack(f"{end}H", 1)),
            writer.element(0x00280106, "SS", struct.pack(f"{end}h", -5)),
            writer.element(0x00283006, "OW", b"\1\2"),
            writer.element(0x7FE00010, "OW", b"\1\2\3\4"),
            writer.element(0x00210010, "LO", "UNKNOWN CREATOR"),
            writer.element(0x00211001, "LO", "private"),
            writer.element(0x00310000, "UL", struct.pack(f"{end}I", 4)),
            writer.element(0x00091001, "LO", "no creator"),
            deep,
        ]
        for number, element in enumerate(elements):
            yield f"{syntax} {number}", syntax, [element]
        yield f"{syntax} all", syntax, elements
