"""When the irradiation began."""

import pytest

from shared.mapping.started import earliest
from tests.unit.dose.reports import (
    CT,
    container,
    ct_event,
    date_time,
    dose_report,
    event_uid,
    events,
    nuclear_report,
    num,
    summary,
    x_ray_event,
)


def _start(*items, zone="", **attributes):
    found, findings = summary(dose_report(*items, **attributes), zone=zone)
    return found.elements.get("effectiveDateTime"), findings


@pytest.mark.parametrize(
    ("written", "zone", "attributes", "expected", "findings"),
    [
        ("19970101000631.737+0000", "", {}, "1997-01-01T00:06:31.737+00:00", []),
        ("20210301094500-0330", "+01:00", {}, "2021-03-01T09:45:00-03:30", []),
        ("20210301094500-0330", "", {"TimezoneOffsetFromUTC": "+0500"}, "2021-03-01T09:45:00-03:30", []),
        ("20210301094500", "+01:00", {"TimezoneOffsetFromUTC": "+0500"}, "2021-03-01T09:45:00+05:00", []),
        ("20210301094500", "Europe/Berlin", {}, "2021-03-01T09:45:00+01:00", []),
        ("20210301094500.123456", "", {}, "2021-03-01", []),
        ("20210301094500", "", {}, "2021-03-01", []),
        ("202103010945", "+01:00", {}, "2021-03-01T09:45:00+01:00", []),
        ("2021030109", "+01:00", {}, "2021-03-01T09:00:00+01:00", []),
        ("20210301", "+01:00", {}, "2021-03-01", []),
        ("20210301+0100", "", {}, "2021-03-01", []),
        ("202103", "", {}, "2021-03", []),
        ("2021", "", {}, "2021", []),
        ("20210301094500&0100", "+01:00", {}, "2021-03-01", ["invalid-time"]),
        ("20210301250000", "+01:00", {}, "2021-03-01", ["invalid-time"]),
        ("20210301094500+01", "+01:00", {}, "2021-03-01T09:45:00+01:00", ["invalid-offset"]),
        ("20211301094500", "+01:00", {}, None, ["invalid-date"]),
        ("yesterday", "+01:00", {}, None, ["invalid-date"]),
        ("", "+01:00", {}, None, []),
    ],
)
def test_date_times(written, zone, attributes, expected, findings):
    found = _start(date_time("113809", written), zone=zone, ContentDate=None, **attributes)
    assert found == (expected, [("StartOfXRayIrradiation", code) for code in findings])


def test_an_offset_of_the_dataset_that_is_none():
    found = _start(
        date_time("113809", "20210301094500"), zone="+01:00", ContentDate=None, TimezoneOffsetFromUTC="UTC-04:00"
    )
    assert found == ("2021-03-01T09:45:00+01:00", [("TimezoneOffsetFromUTC", "invalid-offset")])


HEADER = {"SeriesDate": "20210311", "SeriesTime": "1100", "StudyDate": "20210301", "StudyTime": "0900"}


@pytest.mark.parametrize(
    ("items", "missing", "expected"),
    [
        ([date_time("113809", "20210305"), x_ray_event(1, date_time("111526", "20210304"))], [], "2021-03-05"),
        (
            [x_ray_event(1, date_time("111526", "20210307")), x_ray_event(2, date_time("111526", "20210306"))],
            [],
            "2021-03-06",
        ),
        ([date_time("113809", "soon"), x_ray_event(1, date_time("111526", "20210304"))], [], "2021-03-04"),
        ([], [], "2021-03-11T11:00:00+01:00"),
        ([], ["SeriesDate"], "2021-03-01T10:01:00+01:00"),
        ([], ["SeriesDate", "ContentDate"], "2021-03-01T09:00:00+01:00"),
        ([], ["SeriesDate", "ContentDate", "StudyDate"], None),
    ],
)
def test_the_clock_of_the_irradiation_first(items, missing, expected):
    attributes = HEADER | dict.fromkeys(missing)
    assert _start(*items, zone="+01:00", **attributes)[0] == expected


def test_the_earliest_event_by_instant():
    first = x_ray_event(1, date_time("111526", "20211031023000+0200"))
    second = x_ray_event(2, date_time("111526", "20211031021500+0100"))
    assert _start(second, first)[0] == "2021-10-31T02:30:00+02:00"


def test_start_of_an_administration():
    report = nuclear_report(date_time("123003", "20210302103000"), num("113507", 1, "MBq"))
    assert summary(report, zone="+01:00")[0].elements["effectiveDateTime"] == "2021-03-02T10:30:00+01:00"


def test_an_event_has_its_own_start_or_none():
    found = events(
        dose_report(
            date_time("113809", "20210301"),
            ct_event(1, date_time("111526", "20210302")),
            ct_event(2),
            procedure=CT,
            SeriesDate="20210303",
        )
    )
    assert found[event_uid(1)].elements["effectiveDateTime"] == "2021-03-02"
    assert "effectiveDateTime" not in found[event_uid(2)].elements


def test_events_without_a_uid_tell_the_time_too():
    assert _start(container("113706", date_time("111526", "20210302")))[0] == "2021-03-02"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (["2021-03-02", "2021-03-01T10:00:00Z"], "2021-03-01T10:00:00Z"),
        (["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00.5+13:59"], "0001-01-01T00:00:00+14:00"),
    ],
)
def test_earliest(texts, expected):
    assert earliest(texts) == expected
