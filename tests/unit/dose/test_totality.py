"""Whatever a report holds: nothing is raised, what comes out is valid R4, and findings name no values."""

import copy
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mapping.dose.observations import map_reports
from tests.unit.dose.reports import (
    CT,
    STUDY,
    accumulated,
    code,
    container,
    ct_event,
    date_time,
    device,
    dose_report,
    event_uid,
    mapped,
    nuclear_report,
    num,
    person,
    plane,
    report_uid,
    summary,
    text,
    uid,
    x_ray_event,
)

ZONE = "Europe/Berlin"
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["", " ", "\0", "1e999", "-1", "1..2", "20210301\\", "\ud800", "\x1b(B", "^^^^^^", "0" * 100]),
)
GARBAGE = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["Value", "vr", "Alphabetic", "0040A730", "0040A043", "x"]), inner, max_size=3),
        st.builds(lambda values: {"vr": "SQ", "Value": values}, st.lists(inner, max_size=2)),
    ),
    max_leaves=6,
)
SECRET = "secret"


def _full_reports():
    values = [
        num("113722", 1e-05, "Gy.m2"),
        num("113731", 2, "1"),
        num("111637", 1, "mGy", code("SRT:G-C171", "T-04030")),
    ]
    x_ray = dose_report(
        date_time("113809", "20210301094500.5+0100"),
        accumulated(*values, acquisition_plane="113620"),
        x_ray_event(1, plane("113620"), date_time("111526", "20210301"), code("123014", "SRT:T-D3000"), device("S2")),
        text("121016", "S1"),
        uid("121012", "1.2.3"),
        person("Roe^Jane", "113850", text("113871", "P1")),
        Manufacturer="ACME",
        DeviceSerialNumber="S1",
        TimezoneOffsetFromUTC="+0100",
        ReferencedRequestSequence=[{"00080050": {"Value": ["A1"]}}],
        PredecessorDocumentsSequence=[
            {"00081115": {"Value": [{"00081199": {"Value": [{"00081155": {"Value": ["1.2"]}}]}}]}}
        ],
    )
    ct = dose_report(container("113811", num("113813", 7.5, "mGycm")), ct_event(1), ct_event(2), procedure=CT, number=2)
    agent = code("SRT:F-61FDB", "SRT:C-B1031", code("SRT:C-10072", "SRT:C-111A1"))
    nuclear = nuclear_report(agent, date_time("123003", "20210301"), num("113507", 394, "MBq"), number=3)
    return [x_ray, ct, nuclear]


REPORTS = _full_reports()


def _places(found, path=()):
    """Paths of everything within."""
    yield path
    children = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))


PLACES = [path for path in _places(REPORTS) if path]


def _put(found, path, value):
    for key in path[:-1]:
        found = found[key] if isinstance(found, dict | list) and _has(found, key) else None
    if isinstance(found, dict | list) and _has(found, path[-1]):
        found[path[-1]] = value


def _has(found, key):
    return key in found if isinstance(found, dict) else isinstance(key, int) and key < len(found)


def _check(reports):
    content = mapped(*reports, zone=ZONE)
    for findings in content.findings.values():
        assert len(findings) == len(set(findings))
        for finding in findings:
            assert re.fullmatch(r"[A-Za-z]+", finding.keyword)
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", finding.code)
    for observation in content.observations:
        assert len(observation.elements["performer"]) == 1
        assert observation.elements["valueString"]
        json.dumps(observation.elements, allow_nan=False)
    return content


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(PLACES), GARBAGE), min_size=1, max_size=4))
def test_reports_with_garbage_anywhere(changes):
    reports = copy.deepcopy(REPORTS)
    for path, garbage in changes:
        _put(reports, path, copy.deepcopy(garbage))
    _check(reports)


def test_garbage_in_each_place():
    reports = copy.deepcopy(REPORTS)
    for path in PLACES:
        holder = reports
        for key in path[:-1]:
            holder = holder[key]
        right = holder[path[-1]]
        for garbage in (None, "x", float("nan"), {}, {"Value": [{}]}):
            holder[path[-1]] = garbage
            map_reports([reports[path[0]]], STUDY, ZONE, with_events=True)
        holder[path[-1]] = right


@given(st.lists(GARBAGE, max_size=3))
def test_garbage_alone(reports):
    assert map_reports(reports, STUDY, ZONE, with_events=True).observations == ()


@given(st.permutations(range(len(REPORTS))))
def test_order_does_not_matter(order):
    assert _check([REPORTS[index] for index in order]) == _check(REPORTS)


def test_reports_are_left_as_they_were():
    reports = copy.deepcopy(REPORTS)
    _check(reports)
    assert reports == REPORTS


def test_a_tree_of_ten_thousand_levels():
    deep = num("113813", 1, "mGy.cm")
    for _ in range(10_000):
        deep = container("113811", deep)
    report = dose_report(container("113811", num("113813", 2, "mGy.cm")), deep, number=1)
    found, findings = summary(report)
    assert found.elements["component"][1]["valueQuantity"]["value"] == 2
    assert findings == []


@pytest.mark.timeout(20)
def test_a_large_report_takes_no_time():
    report = dose_report(*(x_ray_event(number, *[num("113733", 70, "kV")] * 30) for number in range(500)))
    found = map_reports([report], STUDY, ZONE, with_events=True)
    assert len(found.observations) == 501


def test_findings_hold_no_values():
    report = dose_report(
        accumulated(num("113722", SECRET), num("113731", SECRET), num("113725", 1, SECRET)),
        container("113706", uid("113769", SECRET), date_time("111526", SECRET)),
        x_ray_event(1, code("123014", f"SRT:{SECRET}")),
        uid("121012", SECRET),
        CompletionFlag=SECRET,
        ContentDate=SECRET,
        ContentTime=SECRET,
        TimezoneOffsetFromUTC=SECRET,
    )
    content = map_reports([report], STUDY, ZONE, with_events=True)
    assert {finding.code for finding in content.findings[report_uid()]} == {
        "invalid-date",
        "invalid-number",
        "invalid-offset",
        "invalid-time",
        "invalid-uid",
        "unknown-code",
        "unknown-unit",
    }
    assert SECRET not in repr(content.findings)
    assert event_uid(1) not in repr(content.findings)
