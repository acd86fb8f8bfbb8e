"""What a process used so far: CPU time, peak memory, calls to Azure Storage, and the time that answers took."""

import time
from collections import Counter
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from azure.core.pipeline.transport import AioHttpTransport

CLOCK_TICKS = 100  # of Linux, per second


def peak_mb(pid: int | str = "self") -> float:
    """The most memory that a process ever had resident, in MB (Linux); 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")), 0.0)


def tree(pid: int) -> list[int]:
    """A process and all below it (Linux)."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # ended meanwhile
        return []
    return [pid, *(each for child in children for each in tree(child))]


def cpu_s_of(pid: int) -> float:
    """CPU seconds of a process and of all below it (Linux)."""
    total = 0.0
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # utime, stime, and those of children that ended
        total += sum(int(fields[number]) for number in range(11, 15)) / CLOCK_TICKS
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(cpu_s_of(int(child)) for child in (task / "children").read_text().split())
    except OSError:  # ended meanwhile
        pass
    return total


class StorageCalls:
    """Counts requests to tables and queues by service and method, in every client of this process."""

    def __init__(self, queue_url: str) -> None:
        self.counts: Counter[str] = Counter()
        self._queue_host = urlsplit(queue_url).netloc
        self._send = AioHttpTransport.send
        AioHttpTransport.send = self._counted()

    def _counted(self) -> Any:
        send, counts, queue_host = self._send, self.counts, self._queue_host

        async def counted(transport: Any, request: Any, **options: Any) -> Any:
            service = "queue" if urlsplit(request.url).netloc == queue_host else "table"
            counts[f"{service} {request.method}"] += 1
            return await send(transport, request, **options)

        return counted


class Waits(Protocol):
    """How long answers were waited for."""

    def clear(self) -> None: ...

    def seconds(self) -> float: ...


class Meter:
    """Differences since the last look."""

    def __init__(self, calls: StorageCalls | None, answers: Waits | None = None) -> None:
        self._calls = calls
        self._answers = answers
        self.start()

    def start(self) -> None:
        if self._answers:
            self._answers.clear()
        if self._calls:
            self._calls.counts.clear()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, Any]:
        """Seconds, CPU seconds, peak MB, seconds of waiting for DICOM and FHIR, storage calls by kind."""
        return {
            "seconds": time.perf_counter() - self._wall,
            "cpu_s": time.process_time() - self._cpu,
            "peak_mb": peak_mb(),
            "answers_s": self._answers.seconds() if self._answers else 0.0,
            "storage": dict(self._calls.counts) if self._calls else {},
        }
