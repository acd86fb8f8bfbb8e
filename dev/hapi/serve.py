"""`python -m dev hapi`: HAPI FHIR JPA, a FHIR R4 server that many hospitals run, in memory, for tests.

Built from Maven Central when it is first started (pom.xml). Needs Java 17 or newer, and Maven to build; nothing else of
the local stack does.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from dev.process import announce, ended, stopped_at_end, terminate_on_sigterm

FOLDER = Path(__file__).resolve().parent
JAR = FOLDER / "target" / "hapi-fhir.jar"
OLDEST_JAVA = 17
# a small heap, and code compiled once: half the start-up time on two cores
JVM_FLAGS = ("-Xmx900m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# a refused transaction is the server's answer, not news for the log
QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
READY = re.compile(rb"READY (\S+)")
VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def missing() -> str:
    """What this machine lacks to run it, in a sentence; empty when nothing."""
    java = shutil.which("java")
    if java is None:
        return f"Java {OLDEST_JAVA} or newer is needed: there is no `java` on the PATH"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = VERSION.search(said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        return f"Java {OLDEST_JAVA} or newer is needed: `java` is {version[1] if version else 'something else'}"
    if _is_outdated() and shutil.which("mvn") is None:
        return "Maven is needed to build it: there is no `mvn` on the PATH"
    return ""


def _is_outdated() -> bool:
    """Whether the jar is missing or older than what it is made of."""
    sources = [FOLDER / "pom.xml", *(FOLDER / "src").rglob("*.java")]
    return not JAR.is_file() or JAR.stat().st_mtime < max(source.stat().st_mtime for source in sources)


def _build() -> None:
    print("hapi: building it, which fetches 290 MB the first time", file=sys.stderr, flush=True)
    mvn = str(shutil.which("mvn"))
    done = subprocess.run(
        [mvn, "-q", "-B", "package"],
        cwd=FOLDER,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"hapi: `mvn package` failed with status {done.returncode}:\n{done.stdout.strip()}")


def _origin(child: "subprocess.Popen[bytes]") -> str:
    """Where it listens, once it says so; what goes wrong is on stderr already."""
    assert child.stdout is not None
    for line in child.stdout:
        if ready := READY.match(line):
            return ready[1].decode()
    sys.exit(child.wait() or 1)


def command(
    port: Annotated[int, typer.Option(help="0 picks a free one")] = 8091,
    *,
    check: Annotated[bool, typer.Option("--check", help="only say what this machine lacks to run it")] = False,
    build: Annotated[bool, typer.Option("--build", help="only build it, if that was not done yet")] = False,
) -> None:
    """Start HAPI FHIR, another FHIR R4 server, for tests: Java 17 and Maven are needed."""
    if lack := missing():
        sys.exit(f"hapi: {lack}")
    if check:
        return
    terminate_on_sigterm()
    if _is_outdated():
        _build()
    if build:
        return
    child = subprocess.Popen(
        ["java", *JVM_FLAGS, QUIET, "-jar", str(JAR), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with stopped_at_end(child):
        origin = _origin(child)
        announce(part="hapi", url=f"{origin}/fhir", admin=f"{origin}/_dev")
        status = ended(child)
    sys.exit(f"hapi: ended by itself with status {status}")
