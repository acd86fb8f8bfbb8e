"""Microsoft's own DICOM Cast as a side of the comparison, where it is to be had."""

import re
import time
from pathlib import Path

from bench.bed import Bed, Figures
from bench.usage import cpu_s_of, peak_mb
from dev.process import Part

LOG = Path(__file__).parent / "out" / "dicom-cast.log"
READ = re.compile(rb"Processed DICOM events sequenced \[\d+, (\d+)\]")
IDLE = re.compile(b"No new DICOM events to process")
LOOK_S = 0.01
TIMEOUT_S = 3600.0
# so short that what it waits between two pages does not count
AT_ONCE = "00:00:00.0500000"


class Container:
    """Polls all the time; an order lets it see what was held back. It keeps its own state, in tables of its own."""

    name = "cast"

    def __init__(self, env: dict[str, str], poll_interval: str = AT_ONCE) -> None:
        LOG.parent.mkdir(exist_ok=True)
        LOG.unlink(missing_ok=True)
        own = {
            "TableStore__ConnectionString": env["AzureWebJobsStorage"],
            "DicomCastWorker__PollInterval": poll_interval,
        }
        started = time.perf_counter()
        self._part = Part(("dicom-cast",), env=env | own, log=LOG)
        self.pid: int = self._part.urls["pid"]
        self._said = b""
        self._read = self._sequence = 0
        self._log = LOG.open("rb")
        self._wait_for(IDLE)
        self.start_s = time.perf_counter() - started

    def catch_up(self, bed: Bed, most: int | None = None) -> Figures:
        """Let go what was held back, or the first so many entries of it, and wait until that is read."""
        cpu_s, started = cpu_s_of(self.pid), time.perf_counter()
        bed.release(most)
        wanted = bed.latest()
        self.wait_until_read(wanted)
        found = self._used(cpu_s, started) | {"entries": wanted - self._sequence}
        self._sequence = wanted
        return found

    def do(self, **_: object) -> Figures:
        """Wait for one poll that finds nothing."""
        cpu_s, started = cpu_s_of(self.pid), time.perf_counter()
        self._news()
        self._said = b""
        self._wait_for(IDLE)
        return self._used(cpu_s, started) | {"entries": 0}

    def wait_until_read(self, sequence: int) -> None:
        """Until it says that it is through with this one."""
        deadline = time.monotonic() + TIMEOUT_S
        while sequence > self._read:
            self._wait(deadline)
            self._news()

    def close(self) -> None:
        """End the process."""
        self._log.close()
        self._part.stop()

    def _news(self) -> None:
        """Read on in its log."""
        self._said = self._said[-200:] + self._log.read()  # a line may come in two parts
        self._read = max([self._read, *map(int, READ.findall(self._said))])

    def _wait_for(self, words: re.Pattern[bytes]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not words.search(self._said):
            self._wait(deadline)
            self._news()

    def _wait(self, deadline: float) -> None:
        if self._part.has_ended or time.monotonic() > deadline:
            raise RuntimeError("DICOM Cast ended, or is stuck; bench/out/dicom-cast.log says more")
        time.sleep(LOOK_S)

    def _used(self, cpu_s: float, started: float) -> Figures:
        return {
            "seconds": time.perf_counter() - started,
            "cpu_s": cpu_s_of(self.pid) - cpu_s,
            "peak_mb": peak_mb(self.pid),
            "storage": {},
        }
