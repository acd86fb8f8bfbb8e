"""Bytes of text elements to text, as the service's library does it (fo-dicom 5.1: DicomEncoding.cs).

An absent, unknown or misspelt Specific Character Set means ASCII, in which every byte above 127 becomes "?".
"""

import codecs
import re

ASCII = "ascii"
_LATIN = {"100": "1", "101": "2", "109": "3", "110": "4", "126": "7", "127": "6", "138": "8", "144": "5", "148": "9"}
_CODECS = {
    "ISO_IR 13": "shift_jis",
    "ISO_IR 149": "cp949",
    "ISO_IR 166": "cp874",
    "ISO_IR 192": "utf-8",
    "GBK": "gbk",
    "GB18030": "gb18030",
    "ISO 2022 IR 6": ASCII,
    "ISO 2022 IR 13": "shift_jis",
    "ISO 2022 IR 87": "iso2022_jp",
    "ISO 2022 IR 149": "cp949",
    "ISO 2022 IR 159": "iso2022_jp",
    "ISO 2022 IR 166": "cp874",
    "ISO 2022 IR 58": "gbk",
    "ISO 2022 GBK": "gbk",
    **{
        f"{prefix} {number}": f"iso8859_{part}"
        for number, part in _LATIN.items()
        for prefix in ("ISO_IR", "ISO 2022 IR")
    },
}
_ESCAPES = {
    b"-A": "iso8859_1",
    b"-B": "iso8859_2",
    b"-C": "iso8859_3",
    b"-D": "iso8859_4",
    b"-F": "iso8859_7",
    b"-G": "iso8859_6",
    b"-H": "iso8859_8",
    b"-L": "iso8859_5",
    b"-M": "iso8859_9",
    b"-T": "cp874",
    b"(B": ASCII,
    b"(J": "shift_jis",
    b")I": "shift_jis",
    b"$(D": "iso2022_jp",
    b"$)C": "cp949",
    b"$)D": "iso2022_jp",
    b"$)A": "gbk",
    b"$B": "iso2022_jp",
}
_TEXT_ENDS, _NAME_ENDS = re.compile(rb"[\r\n\t\f]"), re.compile(rb"[\^=]")


def _unreadable(error: UnicodeError) -> tuple[str, int]:
    """What stands for bytes that a character set does not have, and where reading goes on."""
    assert isinstance(error, UnicodeDecodeError)
    single = {("shift_jis", 0x80): "\x80", ("gbk", 0x80): "€"}.get((error.encoding, error.object[error.start]))
    if single is None and error.encoding == "shift_jis":
        return "・", min(error.start + 2, len(error.object))
    return single or "?" * (error.end - error.start), error.start + 1 if single else error.end


codecs.register_error("unreadable", _unreadable)


def codecs_of(names: list[str]) -> list[str]:
    """The codec of each value of Specific Character Set."""
    return [_codec(name.strip()) for name in names]


def _codec(name: str) -> str:
    return _CODECS.get(name) or _CODECS.get(name.replace("ISO IR", "ISO_IR").replace("ISO-IR", "ISO_IR"), ASCII)


def text(data: bytes, encodings: list[str], *, is_name: bool = False) -> str:
    """The text of an element; escape sequences count only where several character sets are declared."""
    escape = data.find(b"\x1b") if len(encodings) > 1 else -1
    if escape < 0:
        return _decoded(data, encodings[0] if encodings else ASCII)
    fragments = [data[:escape]] if escape else []
    fragments += [b"\x1b" + rest for rest in data[escape + 1 :].split(b"\x1b")]
    return "".join(_fragment(fragment, encodings, _NAME_ENDS if is_name else _TEXT_ENDS) for fragment in fragments)


def _fragment(data: bytes, encodings: list[str], ends: "re.Pattern[bytes]") -> str:
    """One stretch of text; its own character set holds until a delimiter."""
    skipped, codec = 0, encodings[0]
    if data.startswith(b"\x1b"):
        skipped = 4 if data[1:3] == b"$(" or data[2:3] == b")" else 3
        codec = _ESCAPES.get(data[1:skipped], ASCII)
        codec = codec if codec in encodings else ASCII
    if codec == "iso2022_jp":  # the codec itself reads the escape sequence
        return _decoded(data, codec)
    end = ends.search(data, skipped, len(data) - 1)
    if end is None:
        return _decoded(data[skipped:], codec)
    return _decoded(data[skipped : end.start()], codec) + _decoded(data[end.start() :], encodings[0])


def _decoded(data: bytes, codec: str) -> str:
    return data.decode(codec, "replace" if codec == "utf-8" else "unreadable")
