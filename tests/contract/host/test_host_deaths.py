"""What a Functions host does when its worker process ends: by itself, and by `functionTimeout`."""

import time

import pytest

from tests.contract.host.hosts import HOST_JSON, QUEUES, until

OVERDUE_S = 4
INNOCENT = ("innocent0", "innocent1")


@pytest.fixture(scope="module")
def hosts(new_host):
    """One whose worker dies, one whose functions take too long; they start side by side."""
    short = {**HOST_JSON, "functionTimeout": f"00:00:{OVERDUE_S:02}"}
    both = new_host("deaths", timers=("tick",)), new_host("overdue", host_json=short)
    for host in both:
        host.until_ready()
    begin(both)
    return both


def begin(hosts):
    """All that the tests of this file look at, at once: it takes a while on both hosts."""
    dying, overdue = hosts
    overdue.put("work", {"name": "overdue", "sleep_s": 60})
    innocent = [{"name": name, "sleep_s": 60} for name in INNOCENT]
    dying.put("work", {"name": "killer", "sleep_s": 1, "exit": 1}, *innocent)
    dying.put("many", {"name": "elsewhere", "sleep_s": 60})


def test_all_in_flight_fail_when_the_process_dies_and_at_its_third_death_the_host_ends(hosts):
    host = hosts[0]
    # first death: everything that ran comes again with a higher count, in another process
    names = ("killer", *INNOCENT)
    for name in names:
        first, second = host.until_recorded("work", "start", count=2, name=name)[:2]
        assert (first["attempt"], second["attempt"]) == (1, 2)
        assert first["pid"] != second["pid"]
        assert second["at"] - first["at"] >= 2.8  # one second of work, then visibilityTimeout
    host.until_recorded("many", name="elsewhere", attempt=2)
    # second death: requests and messages are taken as ever; they fail at first, then they wait for the next process
    until(lambda: host.log.read_text(errors="replace").count("Language Worker Process exited") >= 2)
    answer = until(lambda: (answer := host.http.get("/api/open")).status_code == 200 and answer)
    [third] = host.until_recorded("work", "start", name="killer", attempt=3)
    assert answer.json()["pid"] == third["pid"]
    # third death
    assert host.ended() == 0
    # the last try of all three was the third death: the innocent are in the poison queue with the killer
    assert [len(host.records("work", "start", name=name)) for name in names] == [3, 3, 3]
    assert host.length("work") == 0
    assert host.length("work-poison") == len(names)
    # the poison function was given them without a process to run it
    assert host.records("poison") == []


def test_between_two_starts_of_a_process_are_ten_seconds_and_the_timer_makes_up_for_one_tick(hosts):
    """Only the first death is followed by another process at once. The host runs no function in the meantime."""
    host = hosts[0]
    starts = {}
    for record in host.records("tick") + host.records("work", "start"):
        starts[record["pid"]] = min(record["at"], starts.get(record["pid"], record["at"]))
    assert len(starts) == 3
    killer = host.records("work", "start", name="killer")
    second, third = sorted(starts.values())[1:]
    assert second - killer[0]["at"] < 8
    assert third - second > 7
    after = [each for each in host.records("tick") if each["pid"] == killer[2]["pid"]]
    if len(after) > 1:
        assert after[1]["at"] - after[0]["at"] < 1.2


def test_a_function_that_exceeds_function_timeout_ends_with_its_process(hosts):
    """Not the function is ended but the process; all in it fails. This is no death that counts: the host goes on."""
    host = hosts[1]
    first, second, _third = host.until_recorded("work", "start", count=QUEUES["maxDequeueCount"], name="overdue")
    assert second["at"] - first["at"] >= OVERDUE_S
    assert first["pid"] != second["pid"]
    assert host.records("work", "cancelled") == []
    until(lambda: host.length("work") == 0)
    assert host.length("work-poison") == 1
    assert len(host.records("work", "start", name="overdue")) == QUEUES["maxDequeueCount"]
    assert host.process.poll() is None
    # the time that a request waits for a process counts, too
    until(lambda: host.http.get("/api/open").status_code == 200)


def test_what_runs_beside_a_function_that_exceeds_function_timeout_fails_with_it(hosts):
    host = hosts[1]
    overdue, beside, again = next(filter(None, (one_beside_another(host, number) for number in range(5))))
    assert beside["pid"] == overdue["pid"] != again["pid"]


def one_beside_another(host, number):
    """The starts of one that is overdue, of one that begins later and would end in time, were it alone, and of its next
    try. None where a slow machine began the later one in the next process, or ended the process too late for it.
    """
    names = [f"{each}{number}" for each in ("later-overdue", "beside")]
    host.put("work", {"name": names[0], "sleep_s": 60})
    [overdue] = host.until_recorded("work", "start", name=names[0], attempt=1)
    time.sleep(OVERDUE_S / 2)
    host.put("work", {"name": names[1], "sleep_s": OVERDUE_S - 0.2})
    beside, then = host.until_recorded("work", name=names[1], count=2)[:2]
    return (overdue, beside, then) if then["step"] == "start" else None
