"""What a Functions host does at SIGTERM, SIGINT and SIGKILL, with two hosts of one app, and without storage."""

import signal
import time

import httpx
import pytest

from dev.azurite import connection_string
from dev.process import free_port
from tests.contract.host.hosts import until

LEASE_S = 600


@pytest.fixture(scope="module")
def nowhere():
    """A storage account that nothing serves."""
    return connection_string({each: f"http://127.0.0.1:{free_port()}/none" for each in ("blob", "queue", "table")})


@pytest.fixture(scope="module")
def hosts(new_host, nowhere):
    """Started side by side: two for signals, one for a kill, one that finds no storage."""
    started = {name: new_host(name) for name in ("sigterm", "sigint")}
    started |= {name: new_host("app", timers=("tick",), name=name) for name in ("killed", "other")}
    started["lost"] = new_host("lost", storage=nowhere, timers=("tick",))
    for name in ("sigterm", "sigint", "killed", "other"):
        started[name].until_ready()
    return started


def is_left_hidden(host, name):
    """The message stays hidden for the rest of the lease that it was taken under."""
    [start] = host.records("work", "start", name=name)
    assert LEASE_S - 10 < start["hidden_s"] <= LEASE_S
    assert name not in host.visible_names("work")


def test_one_of_two_hosts_ticks(hosts):
    """Then it is killed; the last test looks for what the other one does."""
    killed, other = hosts["killed"], hosts["other"]
    until(lambda: killed.records("tick") or other.records("tick"))
    if other.records("tick"):
        killed, other = hosts["killed"], hosts["other"] = other, killed
    before = len(killed.records("tick"))
    killed.until_recorded("tick", count=before + 3)
    assert other.records("tick") == []
    killed.put("work", *({"name": f"long{number}", "sleep_s": 600} for number in range(4)))
    killed.until_recorded("work", "start")
    killed.kill()


def test_what_ends_within_ten_seconds_is_completed_and_the_rest_is_left_hidden(hosts):
    """No request is taken any more; messages are, until the host ends."""
    stopped = {number: hosts[number.name.lower()] for number in (signal.SIGTERM, signal.SIGINT)}
    for host in stopped.values():
        host.put("work", {"name": "short", "sleep_s": 6}, {"name": "long", "sleep_s": 60})
        host.until_recorded("work", "start", count=2)
    told = time.monotonic()
    for number, host in stopped.items():
        host.process.send_signal(number)
    for host in stopped.values():
        until(lambda: is_refused(host))  # noqa: B023 - called at once
        host.put("work", {"name": "late"})
    assert [host.ended() for host in stopped.values()] == [0, 0]
    assert time.monotonic() - told > 8
    for host in stopped.values():
        assert [each["name"] for each in host.records("work", "end")] == ["late", "short"]
        assert host.records("work", "cancelled") == []
        assert host.length("work") == 1
        is_left_hidden(host, "long")


def is_refused(host):
    try:
        host.http.get("/api/open")
    except httpx.TransportError:
        return True
    return False


def test_a_host_that_finds_no_storage_ends_with_exit_code_0(hosts):
    host = hosts["lost"]
    assert host.ended(120) == 0
    host.until_logged("An unhandled exception has occurred. Host is shutting down.")


def test_the_other_host_ticks_when_the_first_is_killed(hosts):
    """What the killed host had in flight stays hidden for the rest of its lease."""
    killed, other = hosts["killed"], hosts["other"]
    ticks = other.until_recorded("tick", count=2, timeout_s=120)
    assert not any(each["past_due"] for each in ticks)
    for start in killed.records("work", "start"):
        is_left_hidden(killed, start["name"])
        assert other.records("work", "start", name=start["name"]) == []
