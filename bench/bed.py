"""The bed of a run: servers that both sides use, what these counted, and the two sides as child processes."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import httpx

from bench.usage import cpu_s_of
from dev.microsoft import missing
from dev.parts import Dicom, Fhir
from dev.process import ROOT, Part, running

if TYPE_CHECKING:
    from bench.container import Container

ANY_PORT = ("--port", "0")
STORAGE_PORTS = ("--blob-port", "0", "--queue-port", "0", "--table-port", "0")
FIRST_START_S = 600.0  # HAPI is built and fetched then
ALL = 10_000_000  # rows, more than any scenario has
RUNS = itertools.count(1)
Figures = dict[str, Any]


class Side:
    """The app or the re-enactment of DICOM Cast; obeys one order after the other."""

    def __init__(self, name: str, env: dict[str, str]) -> None:
        self.name = name
        self._child = subprocess.Popen(
            [sys.executable, "-m", "bench.child", name],
            cwd=ROOT,
            env={**os.environ, **env, "DEV_PARENT_PID": str(os.getpid())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.start_s: float = self._line()["start_s"]

    def send(self, **order: Any) -> None:
        """Give an order without waiting for the answer."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(order) + "\n")
        self._child.stdin.flush()

    def answer(self) -> Figures:
        """What was done and used."""
        return self._line()

    def do(self, **order: Any) -> Figures:
        """Give an order and wait for the answer."""
        self.send(**order)
        return self.answer()

    def catch_up(self, bed: "Bed", most: int | None = None) -> Figures:
        """Let go what was held back, and have it worked off: all of it, or about the first so many entries."""
        bed.release()
        return self.do(do="catch_up", **({"most": most} if most and self.name == "cast" else {}))

    def close(self) -> None:
        """End the process."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.wait(30)
        self._child.stdout.close()

    def _line(self) -> Figures:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended with status {self._child.wait()}")
        found: Figures = json.loads(line)
        return found


@dataclass
class Bed:
    """Azurite, the DICOM service, the FHIR server."""

    azurite: Part
    dicom_part: Part
    fhir_part: Part
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=600))

    @property
    def dicom(self) -> str:
        url: str = self.dicom_part.urls["url"]
        return url

    @property
    def fhir(self) -> str:
        url: str = self.fhir_part.urls["url"]
        return url

    def empty(self, *, only_fhir: bool = False) -> Self:
        """Forget everything that the servers hold."""
        if not only_fhir:
            self.http.post(f"{self.dicom}/_dev/reset").raise_for_status()
        self.http.post(f"{self.fhir_part.urls['admin']}/reset").raise_for_status()
        return self

    def environment(self, fhir: str | None = None) -> dict[str, str]:
        """Settings of a new app with tables and a queue of its own."""
        run = next(RUNS)
        return {
            "AzureWebJobsStorage": self.azurite.urls["connection_string"],
            "DicomWeb__Endpoint": self.dicom,
            "Fhir__Endpoint": fhir or self.fhir,
            "TableStore__TableNamePrefix": f"bench{os.getpid()}x{run}",
            "STUDY_QUEUE_NAME": f"bench-{os.getpid()}-{run}",
        }

    def hold(self) -> None:
        """Keep every later row of the change feed back."""
        self.http.post(f"{self.dicom}/_dev/feed", json={"hold": ALL}).raise_for_status()

    def release(self, count: int | None = None) -> None:
        """Let go what was held back, or the first so many rows of it."""
        self.http.post(f"{self.dicom}/_dev/feed", json={"release": count or True}).raise_for_status()

    def latest(self) -> int:
        """The newest sequence that can be seen; 0 where the feed is empty."""
        answer = self.http.get(f"{self.dicom}/v1/changefeed/latest", params={"includeMetadata": "false"})
        return int(answer.raise_for_status().json()["sequence"]) if answer.status_code == 200 else 0

    @contextlib.contextmanager
    def side(self, name: str, env: dict[str, str] | None = None) -> Iterator["Side | Container"]:
        """A side for the length of a `with` block; `cast` is DICOM Cast itself where it is to be had."""
        environment = env or self.environment()
        side = _container(environment) if name == "cast" and has_dicom_cast() else Side(name, environment)
        try:
            yield side
        finally:
            side.close()

    def counters(self) -> Figures:
        """Traffic that the two servers counted, and their CPU seconds; with Microsoft's, those of the proxy that counts
        are among them.
        """
        fhir = self.http.get(f"{self.fhir_part.urls['admin']}/stats").raise_for_status().json()
        dicom = self.http.get(f"{self.dicom}/_dev/stats").raise_for_status().json()
        return {
            "fhir_requests": fhir["total"],
            "fhir_sent": fhir["bytes_in"],
            "fhir_received": fhir["bytes_out"],
            "dicom_requests": sum(sum(methods.values()) for methods in dicom["requests"].values()),
            "dicom_received": dicom["bytes_out"],
            "fhir_cpu_s": cpu_s_of(self.fhir_part.process.pid),
            "dicom_cpu_s": cpu_s_of(self.dicom_part.process.pid),
            "storage_cpu_s": cpu_s_of(self.azurite.process.pid),
        }

    def resources(self) -> list[dict[str, Any]]:
        """Everything in the FHIR server."""
        found: list[dict[str, Any]] = self.http.get(f"{self.fhir_part.urls['admin']}/dump").json()
        return found


def has_dicom_cast() -> bool:
    """Whether this machine has DICOM Cast itself; its re-enactment is measured elsewhere."""
    return not missing("dicom-cast")


def _container(env: dict[str, str]) -> "Container":
    from bench.container import Container  # noqa: PLC0415 - it knows the bed

    return Container(env)


@contextlib.contextmanager
def away(bed: Bed, seconds: float, places: int | None = None) -> Iterator[str]:
    """The FHIR server as it is from elsewhere: a proxy holds each request back for so long, which costs no CPU, and
    only so many at a time.
    """
    with running("proxy", "--to", bed.fhir, *ANY_PORT) as proxy:
        rule = {"kind": "slow", "seconds": seconds, "places": places}
        bed.http.post(f"{proxy.urls['admin']}/rules", json={"rules": [rule]}).raise_for_status()
        url: str = proxy.urls["url"]
        yield url


@contextlib.contextmanager
def running_bed(dicom: Dicom = Dicom.STAND_IN, fhir: Fhir = Fhir.LOCAL) -> Iterator[Bed]:
    """The servers for the length of a `with` block."""
    counted = {"dicom-server", "fhir-server"}
    commands = [(each, *ANY_PORT, *(("--admin",) if each in counted else ())) for each in (dicom.command, fhir.command)]
    with (
        running("azurite", *STORAGE_PORTS) as azurite,
        running(*commands[0], timeout_s=FIRST_START_S) as service,
        running(*commands[1], timeout_s=FIRST_START_S) as server,
    ):
        bed = Bed(azurite, service, server)
        with bed.http:
            yield bed
