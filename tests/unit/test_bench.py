"""The bench notices what it is there to notice, and says the same of the same numbers."""

import pytest

from bench import page, report, report_in_hosts
from bench.checks import exponent, failures, growth
from bench.costs import PEAK
from bench.simulation import Limits, arrivals, simulated


def side(requests, entries, seconds=1.0):
    return {"fhir_requests": requests, "entries": entries, "seconds": seconds}


def results(*rows):
    """Bursts of (instances, FHIR requests of the app, entries that the re-enactment got to)."""
    return {
        f"burst {size}": {
            "name": f"burst {size}",
            "instances": size,
            "app": side(requests, size),
            "cast": side(3 * done, done, done / 10),
        }
        for size, requests, done in rows
    }


def test_few_requests_of_any_burst_are_fine():
    assert failures(results((10, 5, 10), (100, 5, 100), (10_000, 5, 300))) == []


def test_a_burst_with_too_many_requests_fails():
    assert failures(results((10, 9, 10), (100, 9, 100))) == [
        "burst 10: 9 FHIR requests, 8 are allowed",
        "burst 100: 9 FHIR requests, 8 are allowed",
    ]


def test_requests_that_grow_fail_while_they_are_still_few():
    assert failures(results((10, 4, 10), (1_000, 8, 100))) == [
        "FHIR requests grow with the instances of a burst: exponent 0.15"
    ]


def test_a_burst_of_which_entries_are_missing_fails():
    found = results((10, 5, 10), (100, 5, 100))
    found["burst 100"]["app"]["entries"] = 99
    assert failures(found) == ["burst 100: 99 entries of 100 were read"]


@pytest.mark.parametrize("power", [0, 1, 2])
def test_exponent_is_the_power_of_n(power):
    assert exponent([(n, 3 * n**power) for n in (10, 100, 10_000)]) == pytest.approx(power)


def test_growth_leaves_out_what_was_stopped_early():
    assert growth(results((10, 5, 10), (100, 5, 100), (10_000, 5, 10)), "cast", "fhir_requests") == pytest.approx(1)


def test_what_was_stopped_early_is_extrapolated_linearly():
    one = results((10_000, 5, 300))["burst 10000"]
    assert report.scaled(one, "cast", "fhir_requests") == pytest.approx(30_000)
    assert report.scaled(one, "app", "fhir_requests") == 5


def compared(way, load, app_s, cast_s):
    sides = {
        side: {"seconds": seconds, "cpu_s": seconds, "peak_mb": 100.0, "fhir_requests": 4, "dicom_requests": 5}
        for side, seconds in (("app", app_s), ("cast", cast_s))
    }
    return {"way": way, "load": load, "instances": 100, "host": "func", "sides": sides, "own_s": 0.3, "answers_s": 0.2}


def test_the_app_in_its_host_is_held_to_its_goals_on_microsofts_server_alone():
    found = {
        "1": compared("beside it", "burst 100", 1.0, 2.0),
        "2": compared("Microsoft's, 30 ms a store call", "burst 100", 1.0, 29.0),
    }
    assert report_in_hosts.goals(found) == [
        ("own time of burst 100, FHIR server beside it, ≤ 2 × its answers'", "1.50 ×", "yes"),
        ("time against DICOM Cast, FHIR server Microsoft's, 30 ms a store call, burst 100, ≥ 30 ×", "29.0 ×", "no"),
        ("own time of burst 100, FHIR server Microsoft's, 30 ms a store call, ≤ 2 × its answers'", "1.50 ×", "yes"),
    ]
    assert [row[2] for row in report_in_hosts.ratios(found)[1:]] == ["2.0", "29.0"]
    assert report.all_scenarios(found) == []


@pytest.mark.parametrize("cast", [report_in_hosts.REAL, report_in_hosts.RE_ENACTMENT])
def test_figures_say_whose_they_are(cast):
    found = {"machine": {"cast": cast}, **results((10, 5, 10))}
    for one in found.values():
        if "app" in one:
            for side in ("app", "cast"):
                one[side] |= dict.fromkeys(("fhir_sent", "fhir_received", "dicom_received", "dicom_requests"), 1000)
                one[side] |= {"cpu_s": 1.0, "peak_mb": 50.0, "storage_calls": 3, "storage": {}}
    assert [row[1] for row in report.scenarios(found)[1:]] == ["app", cast]


def test_tables_of_a_run_take_the_place_of_the_last_ones():
    text = "a\n<!-- bench: x -->\nold\n<!-- end: x -->\n<!-- bench: y -->\nkept\n<!-- end: y -->"
    assert page.replaced(text, "x", "new") == text.replace("old", "new")


def test_a_day_brings_what_it_is_said_to_bring():
    instances = sum(arrivals(1_000_000, second) for second in range(86_400))
    assert round(instances) == 1_000_000
    assert max(arrivals(86_400, second) for second in range(86_400)) == PEAK


@pytest.mark.parametrize(
    ("limits", "waits"),
    [
        pytest.param(Limits(feed=10_000, workers=200, fhir=1_000), (False, False, True), id="enough of everything"),
        pytest.param(Limits(feed=2_000, workers=200, fhir=1_000), (True, False, True), id="a slow feed"),
        pytest.param(Limits(feed=10_000, workers=60, fhir=1_000), (False, True, True), id="few workers"),
        pytest.param(Limits(feed=10_000, workers=200, fhir=200), (False, True, True), id="a slow FHIR server"),
        pytest.param(Limits(feed=1_000, workers=200, fhir=1_000), (True, False, False), id="a feed below the average"),
    ],
)
def test_what_waits_is_what_is_too_slow(limits, waits):
    found = simulated(100_000_000, limits)
    assert (found.feed_s > 60, found.queue_s > 60, found.catches_up) == waits
