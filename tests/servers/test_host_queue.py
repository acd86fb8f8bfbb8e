"""What only the stand-in has about queues: dead hosts' messages come back sooner, and one line about an outage."""

import base64
import contextlib
import json
import time

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueServiceClient

from dev.process import Part, free_port, running

APP = """
import asyncio, json, os, time
import azure.functions as func

app = func.FunctionApp()

@app.queue_trigger(arg_name="message", queue_name="work", connection="Storage")
async def work(message: func.QueueMessage) -> None:
    def record(step):
        with open(os.environ["RECORDS"], "a") as file:
            file.write(json.dumps({"step": step, "attempt": message.dequeue_count}) + chr(10))

    record("start")
    await asyncio.sleep(float(message.get_body()))
    record("end")
"""
HIDDEN_S = 2


def until(condition, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


class Host:
    """The stand-in on the app above."""

    def __init__(self, folder, connection_string):
        (folder / "function_app.py").write_text(APP)
        (folder / "host.json").write_text(json.dumps({"version": "2.0"}))
        self._records = folder / "records"
        self._records.touch()
        self.log = folder / "log"
        self._service = QueueServiceClient.from_connection_string(connection_string)
        self.queue = self._service.get_queue_client("work")
        arguments = ["host", "--app", str(folder), "--port", "0", "--crash-visibility-s", str(HIDDEN_S)]
        env = {"Storage": connection_string, "RECORDS": str(self._records)}
        self.part = Part(arguments, env=env, log=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.part.stop()
        self._service.close()

    def put(self, text):
        with contextlib.suppress(ResourceExistsError):
            self.queue.create_queue()
        self.queue.send_message(base64.b64encode(text.encode()).decode())

    def records(self):
        return [tuple(json.loads(line).values()) for line in self._records.read_text().splitlines()]


def azurite(**ports):
    arguments = [
        each for service in ("blob", "queue", "table") for each in (f"--{service}-port", ports.get(service, "0"))
    ]
    return running("azurite", *arguments)


@pytest.fixture
def host(tmp_path):
    with azurite() as storage, Host(tmp_path, storage.urls["connection_string"]) as host:
        yield host


def test_message_stays_hidden_while_its_function_runs(host):
    """It runs longer than a dead host's message would stay hidden."""
    host.put(str(1.5 * HIDDEN_S))
    until(lambda: len(host.records()) == 2)
    assert host.records() == [("start", 1), ("end", 1)]
    until(lambda: host.queue.get_queue_properties().approximate_message_count == 0)


def test_message_of_a_killed_host_comes_back(host):
    host.put("60")
    until(host.records)
    host.part.kill()
    assert list(host.queue.receive_messages()) == []
    [again] = until(lambda: list(host.queue.receive_messages()))
    assert again.dequeue_count == 2


def test_storage_that_goes_away_is_waited_for_with_one_line(tmp_path):
    port = str(free_port())
    with contextlib.ExitStack() as stack:
        with azurite(queue=port) as storage:
            host = stack.enter_context(Host(tmp_path, storage.urls["connection_string"]))
            host.put("0")
            until(lambda: ("end", 1) in host.records())
        until(lambda: "does not answer" in host.log.read_text())
        time.sleep(HIDDEN_S)  # several polls
        with azurite(queue=port):
            host.put("0")
            until(lambda: host.records().count(("end", 1)) == 2)
        told = [line.split(" queue work ")[1] for line in host.log.read_text().splitlines() if " queue work " in line]
        assert told[1] == "answers again"
        assert told[0].startswith("does not answer, waiting for it: ")
        # the second azurite is gone, too, by now
        assert len(told) <= 3
