"""One Functions host on the app in `host_app`, the stand-in or Microsoft's, seen from outside."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueServiceClient

from dev import microsoft
from dev.process import DEV, ROOT, free_port

APP = Path(__file__).parent / "host_app"
SIDES = (
    pytest.param("stand-in", marks=pytest.mark.stand_in),
    pytest.param("func", marks=pytest.mark.real("func")),
)
KEYS = {"x-functions-key": "opens"}
START_S = 180.0

QUEUES = {
    "batchSize": 4,
    "newBatchThreshold": 2,
    "visibilityTimeout": "00:00:02",
    "maxDequeueCount": 3,
    "maxPollingInterval": "00:00:00.500",
    "messageEncoding": "base64",
}
HOST_JSON = {
    "version": "2.0",
    "functionTimeout": "00:10:00",
    "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
    "extensions": {"queues": QUEUES},
    "logging": {"logLevel": {"default": "Information", "Azure": "Error", "Function.quiet_lines": "Warning"}},
}
TIMERS = ("tick", "slow_tick", "yearly")


def until(condition, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


class RunningHost:
    """A host process; its queues are those of its host id, so hosts of one id share them."""

    def __init__(self, side, folder, connection_string, host_id, *, timers=(), name="one", host_json=HOST_JSON):
        self.side, self.host_id, self.folder = side, host_id, folder
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(APP / "function_app.py", folder)
        (folder / "host.json").write_text(json.dumps(host_json))
        self._records = folder / "records"
        self._records.touch()
        self.log = folder / "log"
        off = {f"AzureWebJobs.{each}.Disabled": "true" for each in {"switched_off", *TIMERS} - set(timers)}
        settings = {"TICK": "* * * * * *", "PREFIX": host_id, "RECORDS": str(self._records), "HOST_NAME": name, **off}
        settings |= {"AzureWebJobsStorage": connection_string, "FUNCTIONS_WORKER_RUNTIME": "python"}
        settings |= {"AzureFunctionsWebHost__hostid": host_id}
        (folder / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": settings}))
        self.service = QueueServiceClient.from_connection_string(connection_string)
        self.http = httpx.Client(trust_env=False, timeout=60)
        self._begin()

    def _begin(self):
        self.port = free_port()
        self.http.base_url = f"http://127.0.0.1:{self.port}"
        if self.side == "func":
            command, cwd = [str(microsoft.program("func")), "start", "--port", str(self.port)], self.folder
        else:
            keys = ("--key", KEYS["x-functions-key"])
            command, cwd = [*DEV, "host", "--app", str(self.folder), "--port", str(self.port), *keys], ROOT
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=cwd, env={**os.environ, "PATH": path}, stdout=log, stderr=log, start_new_session=True
            )

    def until_ready(self):
        """Return once the app answers; the host answers earlier."""
        until(self._answers, START_S)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            # it takes seconds until the host binds its port: somebody else was quicker
            taken = "is unavailable" in self.log.read_text(errors="replace")
            assert taken, f"the host ended with status {self.process.returncode}"
            self._begin()
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/api/open").status_code == 200

    def ended(self, timeout_s=60.0):
        """The exit status."""
        return self.process.wait(timeout_s)

    def kill(self):
        """SIGKILL the host and its worker process, as when the machine dies."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self):
        self.kill()
        self.http.close()
        self.service.close()

    # queues

    def queue(self, name):
        return self.service.get_queue_client(f"{self.host_id}-{name}")

    def put(self, queue, *orders, raw=False):
        """Messages as the app's client would send them: JSON or bytes, as base64; or texts as they are."""
        with contextlib.suppress(ResourceExistsError):
            self.queue(queue).create_queue()
        for order in orders:
            body = order if isinstance(order, bytes) else json.dumps(order).encode()
            self.queue(queue).send_message(order if raw else base64.b64encode(body).decode())

    def length(self, queue):
        """Hidden messages count too."""
        return self.queue(queue).get_queue_properties().approximate_message_count

    def visible(self, queue):
        """Texts of messages that could be taken now; none where there is no queue yet."""
        with contextlib.suppress(ResourceNotFoundError):
            return [message.content for message in self.queue(queue).peek_messages(32)]
        return []

    def visible_names(self, queue):
        return [json.loads(base64.b64decode(text))["name"] for text in self.visible(queue)]

    # what the app wrote down

    def records(self, function, step=None, **fields):
        wanted = {"function": function, **({"step": step} if step else {}), **fields}
        lines = self._records.read_text().splitlines()
        return [one for one in map(json.loads, lines) if wanted.items() <= one.items()]

    def until_recorded(self, function, step=None, *, count=1, timeout_s=60.0, **fields):
        return until(lambda: len(found := self.records(function, step, **fields)) >= count and found, timeout_s)

    def until_logged(self, *texts, timeout_s=30.0):
        until(lambda: all(text in self.log.read_text(errors="replace") for text in texts), timeout_s)
