"""The host on a real queue service: what becomes of a message, and of a host that ends with messages in its hands."""

import base64
import contextlib
import json
import signal
import time

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

from dev.azurite import ACCOUNT, KEY
from dev.process import Part, free_port, running

APP = """
import asyncio, json, os, time
import azure.functions as func

app = func.FunctionApp()
running = 0

def record(queue, message, **more):
    fields = {"queue": queue, "body": message.get_body().decode(), "attempt": message.dequeue_count, **more}
    with open(os.environ["RECORDS"], "a") as file:
        file.write(json.dumps({"at": time.time(), **fields}) + chr(10))

def queue_trigger(name):
    return app.queue_trigger(arg_name="message", queue_name="%PREFIX%-" + name, connection="Storage")

@queue_trigger("good")
async def good(message: func.QueueMessage) -> None:
    record("good", message, id=message.id, inserted=message.insertion_time.isoformat())

@queue_trigger("plain")
def plain(message: func.QueueMessage) -> None:
    time.sleep(0.3)
    record("plain", message)

@queue_trigger("bad")
async def bad(message: func.QueueMessage) -> None:
    record("bad", message)
    raise ValueError("as ever")

@queue_trigger("bad-poison")
async def bad_poison(message: func.QueueMessage) -> None:
    record("bad-poison", message)

@queue_trigger("many")
async def many(message: func.QueueMessage) -> None:
    global running
    running += 1
    record("many", message, running=running)
    await asyncio.sleep(0.1 + 0.4 * (int(message.get_body()) % 2))
    running -= 1

@queue_trigger("slow")
async def slow(message: func.QueueMessage) -> None:
    record("slow", message, step="start")
    try:
        await asyncio.sleep(float(message.get_body()))
        record("slow", message, step="end")
    except asyncio.CancelledError:
        record("slow", message, step="cancelled")
        raise
"""
QUEUES = {
    "batchSize": 2,
    "newBatchThreshold": 1,
    "visibilityTimeout": "00:00:01",
    "maxDequeueCount": 2,
    "maxPollingInterval": "00:00:00.300",
}


@pytest.fixture(scope="module")
def azurite():
    with running("azurite", "--blob-port", "0", "--queue-port", "0", "--table-port", "0") as part:
        yield part.urls["connection_string"]


def until(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


class Running:
    """A host on the app above, with queues of its own; they are written and read as the app's client would."""

    def __init__(self, folder, connection_string, *arguments, prefix, **more_env):
        (folder / "function_app.py").write_text(APP)
        host_json = {"version": "2.0", "functionTimeout": "00:00:03", "extensions": {"queues": QUEUES}}
        (folder / "host.json").write_text(json.dumps(host_json))
        self._records = folder / "records"
        self._records.touch()
        self.log = folder / "log"
        self.prefix = prefix
        self.service = QueueServiceClient.from_connection_string(connection_string)
        env = {"Storage": connection_string, "PREFIX": prefix, "RECORDS": str(self._records), **more_env}
        self.part = Part(["host", "--app", str(folder), "--port", "0", *arguments], env=env, log=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.part.stop()
        self.service.close()

    def queue(self, name):
        return self.service.get_queue_client(f"{self.prefix}-{name}", message_encode_policy=TextBase64EncodePolicy())

    def put(self, name, *texts):
        with contextlib.suppress(ResourceExistsError):
            self.queue(name).create_queue()
        for text in texts:
            self.queue(name).send_message(text)

    def length(self, name):
        """Hidden messages count too."""
        return self.queue(name).get_queue_properties().approximate_message_count

    def records(self, name):
        return [each for each in map(json.loads, self._records.read_text().splitlines()) if each["queue"] == name]

    def until_recorded(self, name, count):
        return until(lambda: len(found := self.records(name)) >= count and found)


@pytest.fixture(scope="module")
def host(azurite, tmp_path_factory):
    with Running(tmp_path_factory.mktemp("app"), azurite, "--crash-visibility-s", "2", prefix="a") as host:
        yield host


def test_success_deletes_the_message(host):
    """The queue does not exist when the host starts: it is waited for."""
    host.put("good", "hello")
    [seen] = host.until_recorded("good", 1)
    assert (seen["body"], seen["attempt"]) == ("hello", 1)
    assert seen["id"]
    assert seen["inserted"].endswith("+00:00")
    until(lambda: host.length("good") == 0)


def test_failure_is_retried_after_the_visibility_timeout_and_ends_in_the_poison_queue(host):
    host.put("bad", "doomed")
    [poison] = host.until_recorded("bad-poison", 1)
    assert poison["body"] == "doomed"
    first, second = host.records("bad")
    assert [first["attempt"], second["attempt"]] == [1, 2]
    assert second["at"] - first["at"] > 0.9
    assert host.length("bad") == 0


def test_no_more_messages_run_than_batch_and_threshold_allow(host):
    host.put("many", *[str(number) for number in range(10)])
    seen = host.until_recorded("many", 10)
    assert max(each["running"] for each in seen) == QUEUES["batchSize"] + QUEUES["newBatchThreshold"]
    assert sorted(int(each["body"]) for each in seen) == list(range(10))


def test_functions_that_are_not_async_run_beside_each_other(host):
    host.put("plain", "a", "b")
    first, second = host.until_recorded("plain", 2)
    assert second["at"] - first["at"] < 0.25


def test_message_with_another_encoding_goes_to_the_poison_queue_unrun(host):
    host.put("plain")
    host.service.get_queue_client("a-plain").send_message("not base64!")
    until(lambda: host.length("plain") == 0)
    poison = host.service.get_queue_client("a-plain-poison")
    assert [message.content for message in poison.receive_messages()] == ["not base64!"]


def test_message_stays_hidden_while_its_function_runs(host):
    """It runs longer than a dead host's message would stay hidden."""
    host.put("slow", "2.6")
    seen = host.until_recorded("slow", 2)
    assert [(each["step"], each["attempt"]) for each in seen] == [("start", 1), ("end", 1)]
    until(lambda: host.length("slow") == 0)


def test_function_timeout_cancels_and_counts_as_failure(host):
    host.put("slow", "60")
    seen = until(lambda: len(found := [each for each in host.records("slow") if each["body"] == "60"]) >= 3 and found)
    assert [(each["step"], each["attempt"]) for each in seen] == [("start", 1), ("cancelled", 1), ("start", 2)]
    assert 2.9 < seen[1]["at"] - seen[0]["at"] < 4
    host.queue("slow").clear_messages()


def test_sigterm_lets_short_runs_end_and_gives_long_ones_back(azurite, tmp_path):
    # functionTimeout would end the long run before the grace time does
    with Running(tmp_path, azurite, prefix="sigterm", AzureFunctionsJobHost__functionTimeout="-1") as host:
        host.put("slow", "1.2", "60")
        host.until_recorded("slow", 2)
        started = time.monotonic()
        host.part.process.send_signal(signal.SIGTERM)
        assert host.part.process.wait(9) == 0
        assert time.monotonic() - started < 7
        ends = {each["body"]: each["step"] for each in host.records("slow") if each["step"] != "start"}
        assert ends == {"1.2": "end", "60": "cancelled"}
        [left] = until(lambda: list(host.queue("slow").receive_messages()))
        assert base64.b64decode(left.content) == b"60"


def test_message_of_a_killed_host_comes_back(azurite, tmp_path):
    with Running(tmp_path, azurite, "--crash-visibility-s", "2", prefix="kill") as host:
        host.put("slow", "60")
        [seen] = host.until_recorded("slow", 1)
        host.part.kill()
        assert list(host.queue("slow").receive_messages()) == []
        [again] = until(lambda: list(host.queue("slow").receive_messages()), timeout_s=4)
        assert again.dequeue_count == 2
        assert time.time() - seen["at"] > 0.9


def test_storage_that_is_down_is_waited_for_with_one_line(tmp_path):
    ports = {service: str(free_port()) for service in ("blob", "queue", "table")}
    endpoint = f"QueueEndpoint=http://127.0.0.1:{ports['queue']}/{ACCOUNT};"
    connection_string = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoint}"
    with Running(tmp_path, connection_string, prefix="late") as host:
        until(lambda: "does not answer" in host.log.read_text())
        arguments = [each for service, port in ports.items() for each in (f"--{service}-port", port)]
        with running("azurite", *arguments):
            host.put("good", "patient")
            host.until_recorded("good", 1)
            told = [
                line.split("queue late-good ")[1] for line in host.log.read_text().splitlines() if "late-good" in line
            ]
        assert told == ["does not answer, waiting for it: ServiceRequestError", "answers again"]
