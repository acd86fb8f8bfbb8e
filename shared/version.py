"""The version of the app that runs: its release, and a digest of its files."""

import hashlib
from functools import cache
from pathlib import Path

RELEASE = "0.1.0"
ROOT = Path(__file__).parent.parent
# all that is deployed of the project
PARTS = ("function_app.py", "host.json", "requirements.txt", "shared")
DIGITS = 8


def version_of(root: Path) -> str:
    """The version of the app in a folder, as `0.1.0+3fa94c0d`.

    The same files have the same version however they were deployed: no step of the build has to write it.
    """
    files = [path for part in PARTS for path in (root / part, *(root / part).rglob("*"))]
    digest = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file() and path.suffix != ".pyc"):
        name, content = path.relative_to(root).as_posix().encode(), path.read_bytes()
        digest.update(b"%d %b %d %b" % (len(name), name, len(content), content))
    return f"{RELEASE}+{digest.hexdigest()[:DIGITS]}"


@cache
def version() -> str:
    """The version of the app that this process runs."""
    return version_of(ROOT)
