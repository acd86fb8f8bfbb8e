import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from dev.host.errors import BindingError, StartError
from dev.host.logs import Levels
from dev.host.options import QueueOptions, read_options
from dev.host.queues import Backoff
from dev.host.settings import load_local_settings, resolve, time_span_s
from dev.host.storage import queue_service
from dev.host.timers import parse_schedule

NOON = datetime(2026, 3, 2, 12, 0, 0, 500_000, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00:05", 5),
        ("00:00:00.250", 0.25),
        ("01:02:03", 3723),
        ("7.00:00:00", 604800),
        ("00:10", 600),
        ("*/5 * * * * *", None),
        ("", None),
    ],
)
def test_time_span(text, seconds):
    assert time_span_s(text) == seconds


def test_setting_expressions_are_filled_in_wherever_they_stand(monkeypatch):
    monkeypatch.setenv("QUEUE", "study-changes")
    assert resolve("%QUEUE%-poison") == "study-changes-poison"
    assert resolve("plain") == "plain"


def test_unknown_setting_is_named(monkeypatch):
    monkeypatch.delenv("QUEUE", raising=False)
    with pytest.raises(BindingError, match="the app setting QUEUE is not set"):
        resolve("%QUEUE%")


def test_environment_wins_over_local_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HOST_TEST_BOTH", "environment")
    monkeypatch.setenv("HOST_TEST_FILE", "")
    monkeypatch.delenv("HOST_TEST_FILE")
    values = {"HOST_TEST_BOTH": "file", "HOST_TEST_FILE": "file"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    load_local_settings(tmp_path, None)
    assert resolve("%HOST_TEST_BOTH% %HOST_TEST_FILE%") == "environment file"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("*/2 * * * * *", NOON.replace(microsecond=0) + timedelta(seconds=2)),
        ("0 */5 * * * *", NOON.replace(minute=5, second=0, microsecond=0)),
        ("0 0 3 * * 0", datetime(2026, 3, 8, 3, tzinfo=UTC)),
        ("30 * * * *", NOON.replace(minute=30, second=0, microsecond=0)),
        # day of month and day of week must both hold: the first 13th that is a Friday
        ("0 0 0 13 * 5", datetime(2026, 3, 13, tzinfo=UTC)),
        ("00:00:05", NOON + timedelta(seconds=5)),
    ],
)
def test_next_occurrence(schedule, expected):
    assert parse_schedule(schedule)(NOON) == expected


@pytest.mark.parametrize("schedule", ["soon", "* * *", "61 * * * * *", "00:00:00"])
def test_wrong_schedule_is_refused(schedule):
    with pytest.raises(BindingError, match="the schedule"):
        parse_schedule(schedule)


def write_host_json(folder, **queues):
    (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"queues": queues}}))


def test_queue_options_of_host_json(tmp_path):
    write_host_json(tmp_path, batchSize=8, visibilityTimeout="00:01:00", messageEncoding="none", maxDequeueCount=3)
    assert read_options(tmp_path).queues == QueueOptions(
        batch_size=8,
        new_batch_threshold=4,
        visibility_timeout_s=60,
        max_dequeue_count=3,
        max_polling_interval_s=2,
        base64=False,
    )


def test_app_setting_overrides_host_json(tmp_path, monkeypatch):
    write_host_json(tmp_path, batchSize=8)
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__queues__batchSize", "2")
    assert read_options(tmp_path).queues.batch_size == 2


@pytest.mark.parametrize(
    ("queues", "named"),
    [
        ({"batchSize": 33}, "extensions.queues.batchSize"),
        ({"visibilityTimeout": 5}, "extensions.queues.visibilityTimeout"),
        ({"messageEncoding": "utf8"}, "extensions.queues.messageEncoding"),
    ],
)
def test_wrong_host_json_is_refused_by_name(tmp_path, queues, named):
    write_host_json(tmp_path, **queues)
    with pytest.raises(StartError, match=named):
        read_options(tmp_path)


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ({"Work": "UseDevelopmentStorage=true"}, "http://127.0.0.1:10001/devstoreaccount1"),
        ({"AzureWebJobsWork": "UseDevelopmentStorage=true;"}, "http://127.0.0.1:10001/devstoreaccount1"),
        ({"Work": "AccountName=a;AccountKey=a2V5"}, "https://a.queue.core.windows.net"),
        ({"Work__queueServiceUri": "https://b.queue.core.windows.net"}, "https://b.queue.core.windows.net"),
        ({"Work__accountName": "c", "Work__clientId": "d"}, "https://c.queue.core.windows.net"),
    ],
)
async def test_storage_is_found_by_the_name_of_the_connection(monkeypatch, settings, endpoint):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    async with queue_service("Work") as service:
        assert service.primary_endpoint.rstrip("/") == endpoint


def test_connection_without_settings_is_named(monkeypatch):
    monkeypatch.delenv("Work", raising=False)
    with pytest.raises(BindingError, match="no storage for the connection Work"):
        queue_service("Work")


def test_level_of_a_category_is_that_of_its_longest_named_beginning():
    named = {"default": "Warning", "Function": "Debug", "Function.noisy": "Error", "Function.noisy.User": "None"}
    expected = {
        "Host": logging.WARNING,
        "Function.sync": logging.DEBUG,
        "Function.sync.User": logging.DEBUG,
        "Function.noisy": logging.ERROR,
        "function.NOISY.user": logging.CRITICAL + 1,
        "Functions": logging.WARNING,
    }
    assert {category: Levels(named).level(category) for category in expected} == expected


def test_polling_backs_off_and_starts_over_after_a_hit():
    backoff = Backoff(longest_s=2.0)
    delays = [backoff.after(found=False) for _ in range(8)]
    assert delays == sorted(delays)
    assert delays[0] < 0.25
    assert delays[-1] == 2.0
    assert backoff.after(found=True) == 0.1
