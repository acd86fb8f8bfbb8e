"""What a Functions host does with bindings, messages, timers and requests; the same on the stand-in and Microsoft's.

Microsoft's is the measure: what it was seen doing is asserted, and the stand-in follows.
"""

import itertools
import time

import pytest

from tests.contract.host.hosts import KEYS, QUEUES, until

pytestmark = pytest.mark.usefixtures("host")
IN_ERROR = ("bad_schedule", "unset_schedule", "no_storage", "bad_queue", "reserved_route")


@pytest.fixture(scope="module")
def host(new_host):
    return new_host("running", timers=("tick", "slow_tick", "yearly")).until_ready()


def repr_start(body):
    return repr(body[:8])


# indexing


def test_the_host_runs_on_without_functions_whose_binding_is_wrong(host):
    host.until_logged(*(f"The '{name}' function is in error" for name in IN_ERROR))
    assert host.http.get("/api/open").status_code == 200
    host.until_recorded("tick")
    assert not any(host.records(name) for name in IN_ERROR)


def test_a_function_that_is_switched_off_does_not_run(host):
    host.until_recorded("tick", count=2)
    assert host.records("switched_off") == []


# messages


def test_success_deletes_the_message(host):
    """Its queue did not exist when the host started."""
    host.put("work", {"name": "fine"})
    [start] = host.until_recorded("work", "start", name="fine")
    assert start["attempt"] == 1
    assert 590 < start["hidden_s"] <= 600
    host.until_recorded("work", "end", name="fine")
    until(lambda: host.length("work") == 0)


def test_a_failure_comes_again_after_visibility_timeout_and_ends_in_the_poison_queue(host):
    host.put("work", {"name": "bad", "fail": 1})
    starts = host.until_recorded("work", "start", count=QUEUES["maxDequeueCount"], name="bad")
    assert [each["attempt"] for each in starts] == [1, 2, 3]
    assert all(later["at"] - earlier["at"] >= 1.8 for earlier, later in itertools.pairwise(starts))
    [poison] = host.until_recorded("poison", "start", name="bad")
    assert poison["attempt"] == 1
    until(lambda: host.length("work") == 0)


def test_a_failure_in_the_poison_queue_stays_hidden(host):
    host.put("work-poison", {"name": "hopeless", "fail": 1})
    host.until_recorded("poison", "start", name="hopeless")
    time.sleep(4)  # twice visibilityTimeout
    assert len(host.records("poison", "start", name="hopeless")) == 1
    assert host.length("work-poison") >= 1
    assert host.visible("work-poison") == []


def test_no_more_messages_run_than_batch_and_threshold_allow(host):
    """A new batch is fetched as soon as no more than the threshold run."""
    host.put("many", *({"name": f"n{number}", "sleep_s": 0.2 + 1.3 * (number % 2)} for number in range(16)))
    host.until_recorded("many", "end", count=16)
    starts = host.records("many", "start")
    most = QUEUES["batchSize"] + QUEUES["newBatchThreshold"]
    assert QUEUES["batchSize"] <= max(each["running"] for each in starts) <= most
    assert len(starts) == 16


def test_functions_that_are_not_async_run_beside_each_other(host):
    """The name of their queue is written with a capital, which stands for a small letter."""
    host.put("thread", {"name": "a"}, {"name": "b"})
    seen = host.until_recorded("thread", count=4)
    assert [each["step"] for each in seen] == ["start", "start", "end", "end"]


@pytest.mark.parametrize("body", [b"text", b"", b"[" * 9_000, b'"a\\u00e9"'], ids=repr_start)
def test_the_body_of_a_message_arrives(host, body):
    host.put("thread", body)
    host.until_recorded("thread", body=body.hex())


def test_bytes_that_are_not_utf8_never_reach_a_function(host):
    """Each try fails, in the poison queue as well: nobody is told of them but the log."""
    host.put("work", b"\xff\xfe\x00")
    until(lambda: host.length("work") == 0)
    host.until_logged("Exception binding parameter")
    time.sleep(1)
    assert host.visible("work-poison") == []
    assert host.length("work-poison") >= 1


def test_a_message_that_is_not_base64_is_in_the_poison_queue_without_a_try(host):
    host.put("many", "not base64!", raw=True)
    until(lambda: host.visible("many-poison") == ["not base64!"], 10)
    assert host.length("many") == 0


def test_what_is_not_base64_in_a_poison_queue_stays_there_hidden(host):
    before = len(host.records("poison"))
    host.put("work-poison", "not base64!", raw=True)
    until(lambda: host.visible("work-poison") == [])
    assert host.length("work-poison") >= 1
    assert len(host.records("poison")) == before


def test_properties_of_a_message_that_is_json_take_the_place_of_what_the_host_tells_of_it(host):
    """Binding data: the host looks them up by name, in any case, and the message comes first."""
    host.put("work", {"name": "odd", "id": "mine", "DequeueCount": 77})
    [start] = host.until_recorded("work", "start", name="odd")
    assert (start["id"], start["attempt"]) == ("mine", 77)


# timers


def test_a_timer_ticks_at_each_occurrence(host):
    ticks = host.until_recorded("tick", count=6)
    assert not any(each["past_due"] for each in ticks)
    assert len({round(each["at"]) for each in ticks[1:5]}) >= 3


def test_a_timer_never_overlaps_itself_and_makes_up_for_one_missed_tick_at_once(host):
    seen = host.until_recorded("slow_tick", count=6)
    assert [each["step"] for each in seen[:6]] == ["start", "end"] * 3
    assert not any(each.get("past_due") for each in seen)
    pauses = [seen[number + 1]["at"] - seen[number]["at"] for number in (1, 3)]
    # at the next full second there would be up to one
    assert min(pauses) < 0.3


def test_a_timer_that_is_not_due_does_not_run(host):
    host.until_recorded("tick", count=3)
    assert host.records("yearly") == []


# HTTP


def test_the_root_says_that_the_host_is_there(host):
    assert host.http.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/api/open", "/API/Open"])
def test_paths_are_found_in_any_case(host, path):
    answer = host.http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/open"),
        ("HEAD", "/api/open"),
        ("GET", "/api/items/5"),
        ("POST", "/api/items/five"),
        ("GET", "/api/administration"),
        ("GET", "/api/nowhere"),
    ],
)
def test_what_no_route_takes_is_a_404(host, method, path):
    answer = host.http.request(method, path, headers=KEYS)
    assert (answer.status_code, answer.text) == (404, "")


def test_route_query_body_and_headers_reach_the_function_and_come_back(host):
    answer = host.http.post("/api/items/5", params={"q": "x"}, json={"a": 1}, headers=KEYS)
    assert (answer.status_code, answer.json()) == (201, {"id": "5", "q": "x", "body": {"a": 1}})
    assert answer.headers["x-function"] == "guarded"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/api/broken", "/api/nothing"])
def test_a_failure_is_an_empty_500(host, path):
    """Nothing returned is a failure, too."""
    answer = host.http.get(path)
    assert (answer.status_code, answer.text) == (500, "")


def test_a_function_that_blocks_the_event_loop_stops_all_the_others_that_are_async(host):
    host.http.get("/api/block", params={"s": 3})
    start, end = host.records("block")
    between = [each for each in host.records("tick") if start["at"] + 0.1 < each["at"] < end["at"]]
    assert between == []


# logs


def test_records_of_a_function_are_told_and_invocations_too(host):
    host.http.get("/api/lines")
    host.until_logged("lines info", "lines warning", "lines info of an SDK")
    host.until_logged("Executing 'Functions.lines'", "Executed 'Functions.lines' (Succeeded")
    host.http.get("/api/broken")
    host.until_logged("Executed 'Functions.broken' (Failed", "text of the error")
    assert "lines debug" not in host.log.read_text()


def test_levels_of_host_json_count_for_the_functions_they_name(host):
    """By the beginning of `Function.<name>.User`; the name of the logger does not matter."""
    host.http.get("/api/quiet_lines")
    host.http.get("/api/lines")
    host.until_logged("quiet warning")
    log = host.log.read_text()
    assert "quiet info" not in log
    assert "Executing 'Functions.quiet_lines'" not in log
