"""Where things stay on disk: the objects, one file per version, and a journal of the changes to the archive.

The journal is one JSON line per transaction; reading it from the start rebuilds the archive. Without a folder to keep,
the objects go to a temporary one and no journal is written.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

_PREAMBLE = bytes(128)


class Journal:
    """The files of the stand-in below one folder."""

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self._objects = folder / "objects"
        self._path = folder / "journal.jsonl" if keep else None
        self._out: BinaryIO | None = None
        self._objects.mkdir(parents=True, exist_ok=True)

    def changes(self) -> Iterator[dict[str, Any]]:
        """All changes written so far; a last line that was cut by a kill is dropped from the file."""
        if self._path is None or not self._path.exists():
            return
        whole = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                yield json.loads(line)
        with self._path.open("r+b") as file:
            file.truncate(whole)

    def append(self, change: dict[str, Any]) -> None:
        if self._path is None:
            return
        if self._out is None:
            self._out = self._path.open("ab")
        self._out.write(json.dumps(change, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self._out.flush()

    def write_object(self, watermark: int, data: bytes) -> None:
        """Store a file as it came, its preamble blanked."""
        with self._object(watermark).open("wb") as out:
            out.write(_PREAMBLE)
            out.write(memoryview(data)[len(_PREAMBLE) :])

    def read_object(self, watermark: int) -> bytes | None:
        path = self._object(watermark)
        return path.read_bytes() if path.exists() else None

    def remove_object(self, watermark: int) -> None:
        self._object(watermark).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget everything."""
        self.close()
        if self._path:
            self._path.unlink(missing_ok=True)
        shutil.rmtree(self._objects)
        self._objects.mkdir()

    def close(self) -> None:
        if self._out:
            self._out.close()
            self._out = None

    def _object(self, watermark: int) -> Path:
        return self._objects / f"{watermark}.dcm"
