"""What a Functions host does at SIGTERM, SIGINT and SIGKILL, with two hosts of one app, and without storage."""

import signal
import time

import httpx
import pytest

from dev.azurite import connection_string
from dev.process import free_port
from tests.contract.hosts import until

LEASE_S = 600


@pytest.fixture(scope="module")
def nowhere():
    """A storage account that nothing serves."""
    return connection_string({each: f"http://127.0.0.1:{free_port()}/none" for each in ("blob", "queue", "table")})


@pytest.fixture(scope="module")
def hosts(new_host, nowhere):
    """Started side by side: two for signals, one for a kill, one that finds no storage."""
    started = {name: new_host(name) for name in ("sigterm", "sigint")}
    started["killed"] = new_host("app", timers=("tick",), name="killed")
    started["lost"] = new_host("lost", storage=nowhere, timers=("tick",))
    for name in ("sigterm", "sigint", "killed"):
        started[name].until_ready()
    return started


def is_left_hidden(host, name):
    """The message stays hidden for the rest of the lease that it was taken under."""
    [start] = host.records("work", "start", name=name)
    assert LEASE_S - 10 < start["hidden_s"] <= LEASE_S
    assert host.length("work") == 1
    assert host.visible("work") == []
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_ends_within_ten_seconds_is_completed_and_the_rest_is_left_hidden(hosts, number):
    host = hosts[number.name.lower()]
    host.put("work", {"name": "short", "sleep_s": 6}, {"name": "long", "sleep_s": 60})
    host.until_recorded("work", "start", count=2)
    told = time.monotonic()
    host.process.send_signal(number)
    # no request is taken any more, but messages are
    until(lambda: is_refused(host))
    host.put("work", {"name": "late"})
    assert host.ended() == 0
    assert time.monotonic() - told > 8
    assert [each["name"] for each in host.records("work", "end")] == ["late", "short"]
    assert host.records("work", "cancelled") == []
    assert is_left_hidden(host, "long")


def is_refused(host):
    try:
        host.http.get("/api/open")
    except httpx.TransportError:
        return True
    return False


def test_one_of_two_hosts_ticks_and_the_other_takes_over_when_it_is_killed(hosts, new_host):
    """The message that the killed host had stays hidden for the rest of its lease."""
    killed = hosts["killed"]
    killed.until_recorded("tick", count=2)
    other = new_host("app", timers=("tick",), name="other").until_ready()
    killed.put("work", {"name": "long", "sleep_s": 60})
    until(lambda: killed.records("work", "start") or other.records("work", "start"))
    before = len(killed.records("tick"))
    killed.until_recorded("tick", count=before + 3)
    assert other.records("tick") == []
    killed.kill()
    ticks = other.until_recorded("tick", count=2, timeout_s=90)
    assert not any(each["past_due"] for each in ticks)
    if killed.records("work", "start"):
        assert is_left_hidden(killed, "long")


def test_a_host_that_finds_no_storage_ends_with_exit_code_0(hosts):
    host = hosts["lost"]
    assert host.ended(120) == 0
    host.until_logged("An unhandled exception has occurred. Host is shutting down.")
