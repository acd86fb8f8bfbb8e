"""DA, TM and a zone as FHIR dateTime."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.values import Attributes
from shared.mapping.started import date_time, is_before
from tests.unit.datasets import codes, dataset

# https://hl7.org/fhir/R4/datatypes.html#dateTime
DATE_TIME = re.compile(
    r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00)))?)?)?",
    re.ASCII,
)


def _started(zone="", **attributes):
    read = Attributes(dataset(**attributes))
    return date_time(read, "StudyDate", "StudyTime", zone), codes(read.findings)


@pytest.mark.parametrize(
    ("date", "time", "offset", "zone", "started"),
    [
        pytest.param("20210301", "101530", "+0100", "", "2021-03-01T10:15:30+01:00", id="offset"),
        pytest.param("20210301", "101530", "-0330", "", "2021-03-01T10:15:30-03:30", id="offset west"),
        pytest.param("20210301", "101530", "+0000", "", "2021-03-01T10:15:30+00:00", id="UTC"),
        pytest.param("20210301", "101530.25", "+0100", "", "2021-03-01T10:15:30.25+01:00", id="fraction"),
        pytest.param("20210301", "10", "+0100", "", "2021-03-01T10:00:00+01:00", id="hour alone"),
        pytest.param("99991231", "235959", "+0000", "", "9999-12-31T23:59:59+00:00", id="last second"),
        pytest.param("00010101", "000000", "+0000", "", "0001-01-01T00:00:00+00:00", id="first second"),
        pytest.param(
            "00010101", "140000", "+1400", "", "0001-01-01T14:00:00+14:00", id="first second of UTC in the east"
        ),
        pytest.param("20210301", "101530", None, "", "2021-03-01", id="no zone: the date alone"),
        pytest.param("20210301", None, "+0100", "", "2021-03-01", id="no time"),
        pytest.param("20210301", None, None, "Europe/Berlin", "2021-03-01", id="no time, default zone"),
        pytest.param(None, "101530", "+0100", "", None, id="no date"),
        pytest.param(None, None, None, "Europe/Berlin", None, id="nothing"),
        pytest.param("202103", "101530", "+0100", "", "2021-03", id="month"),
        pytest.param("2021", "101530", "+0100", "", "2021", id="year"),
        pytest.param("20210301", "101530", "+0100", "Asia/Tokyo", "2021-03-01T10:15:30+01:00", id="offset beats zone"),
        pytest.param("20210301", "101530", None, "+01:00", "2021-03-01T10:15:30+01:00", id="default offset"),
        pytest.param("20210301", "101530", None, "-0330", "2021-03-01T10:15:30-03:30", id="default offset, no colon"),
        pytest.param("20210301", "101530", None, "UTC", "2021-03-01T10:15:30+00:00", id="zone UTC"),
        pytest.param("20210301", "101530", None, "Europe/Berlin", "2021-03-01T10:15:30+01:00", id="winter"),
        pytest.param("20210701", "101530", None, "Europe/Berlin", "2021-07-01T10:15:30+02:00", id="summer"),
        pytest.param("20210328", "015959", None, "Europe/Berlin", "2021-03-28T01:59:59+01:00", id="before the change"),
        pytest.param("20210328", "030000", None, "Europe/Berlin", "2021-03-28T03:00:00+02:00", id="after the change"),
        pytest.param("20210328", "023000", None, "Europe/Berlin", "2021-03-28T02:30:00+01:00", id="skipped hour"),
        pytest.param("20211031", "023000", None, "Europe/Berlin", "2021-10-31T02:30:00+02:00", id="hour that is twice"),
        pytest.param("20211031", "030000", None, "Europe/Berlin", "2021-10-31T03:00:00+01:00", id="back in winter"),
        pytest.param("20210701", "101530", None, "America/St_Johns", "2021-07-01T10:15:30-02:30", id="half-hour zone"),
        pytest.param("20210101", "101530", None, "Australia/Sydney", "2021-01-01T10:15:30+11:00", id="southern summer"),
        pytest.param("20210101", "101530", None, "Asia/Kathmandu", "2021-01-01T10:15:30+05:45", id="quarter-hour zone"),
    ],
)
def test_started(date, time, offset, zone, started):
    found = _started(zone, StudyDate=date, StudyTime=time, TimezoneOffsetFromUTC=offset)
    assert found == (started, [])
    assert started is None or DATE_TIME.fullmatch(started)


@pytest.mark.parametrize(
    ("attributes", "started", "found"),
    [
        pytest.param(
            {"StudyDate": "20210301", "StudyTime": "240000", "TimezoneOffsetFromUTC": "+0100"},
            "2021-03-01",
            [("StudyTime", "invalid-time")],
            id="time invalid: the date stays",
        ),
        pytest.param(
            {"StudyDate": "20161231", "StudyTime": "235960", "TimezoneOffsetFromUTC": "+0000"},
            "2016-12-31",
            [("StudyTime", "leap-second")],
            id="leap second",
        ),
        pytest.param(
            {"StudyDate": "20210301", "StudyTime": "101160.5", "TimezoneOffsetFromUTC": "+0000"},
            "2021-03-01",
            [("StudyTime", "leap-second")],
            id="second 60 at any time",
        ),
        pytest.param(
            {"StudyDate": "99991231", "StudyTime": "235959", "TimezoneOffsetFromUTC": "-1200"},
            "9999-12-31",
            [("StudyDate", "out-of-range")],
            id="in the year 10000 by UTC",
        ),
        pytest.param(
            {"StudyDate": "00010101", "StudyTime": "000000", "TimezoneOffsetFromUTC": "+1400"},
            "0001-01-01",
            [("StudyDate", "out-of-range")],
            id="before the year 1 by UTC",
        ),
        pytest.param(
            {"StudyDate": "00000101", "StudyTime": "000000", "TimezoneOffsetFromUTC": "+0000"},
            None,
            [("StudyDate", "invalid-date")],
            id="year 0",
        ),
        pytest.param(
            {"StudyDate": "20211301", "StudyTime": "101530", "TimezoneOffsetFromUTC": "+0100"},
            None,
            [("StudyDate", "invalid-date")],
            id="date invalid",
        ),
        pytest.param(
            {"StudyDate": "20210301", "StudyTime": "101530", "TimezoneOffsetFromUTC": "+9900"},
            "2021-03-01",
            [("TimezoneOffsetFromUTC", "invalid-offset")],
            id="offset invalid",
        ),
    ],
)
def test_what_is_invalid_is_found_and_left_out(attributes, started, found):
    assert _started(**attributes) == (started, found)


@pytest.mark.parametrize("zone", ["", "Asia/Tokyo", "America/New_York", "+14:00", "-1200"])
@pytest.mark.parametrize("date", ["00010101", "99991231"])
@pytest.mark.parametrize("time", ["000000", "235959", "235960"])
def test_the_edges_of_the_calendar_in_any_zone(date, time, zone):
    started, _ = _started(zone, StudyDate=date, StudyTime=time)
    assert DATE_TIME.fullmatch(started)
    assert "T" not in started or datetime.fromisoformat(started).astimezone(UTC)


def test_invalid_offset_gives_way_to_the_default_zone():
    attributes = {"StudyDate": "20210301", "StudyTime": "101530", "TimezoneOffsetFromUTC": "x"}
    assert _started("Europe/Berlin", **attributes) == (
        "2021-03-01T10:15:30+01:00",
        [("TimezoneOffsetFromUTC", "invalid-offset")],
    )


DIGITS = st.text("0123456789.+-", max_size=14)


@given(DIGITS, DIGITS, st.none() | st.from_regex(r"[+-][0-9]{4}", fullmatch=True), st.sampled_from(["", "Asia/Tokyo"]))
def test_whatever_is_sent_the_result_is_a_fhir_date_time(date, time, offset, zone):
    started, _ = _started(zone, StudyDate=date, StudyTime=time, TimezoneOffsetFromUTC=offset)
    assert started is None or (DATE_TIME.fullmatch(started) and ":60" not in started)


@given(st.dates(), st.times(), st.from_regex(r"[+-](0[0-9]|1[0-5])[0-5][0-9]", fullmatch=True))
def test_real_dates_times_and_offsets_are_fhir_date_times(date, time, offset):
    started, _ = _started(
        StudyDate=date.strftime("%Y%m%d").zfill(8), StudyTime=time.strftime("%H%M%S.%f"), TimezoneOffsetFromUTC=offset
    )
    assert DATE_TIME.fullmatch(started)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param("2021-03-01T10:15:29+01:00", "2021-03-01T10:15:30+01:00", True, id="a second before"),
        pytest.param("2021-03-01T10:15:30+01:00", "2021-03-01T10:15:30+01:00", False, id="the same"),
        pytest.param("2021-03-01T10:00:00+01:00", "2021-03-01T09:30:00Z", True, id="in another zone"),
        pytest.param("2021-03-01", "2021-03-01T10:15:30Z", False, id="a date of the same day"),
        pytest.param("2021-02-28", "2021-03-01T10:15:30Z", True, id="the day before"),
        pytest.param("2021", "2021-03-01", False, id="a year"),
        pytest.param("2020-12", "2021", True, id="the month before a year"),
        pytest.param("2021-03-01T10:15:60Z", "2021-03-01T10:16:30Z", False, id="a second that no clock here has"),
        pytest.param("2021-03-01T10:15:30", "2021-03-02T10:16:30Z", True, id="without a zone"),
        pytest.param("yesterday", "2021-03-01", False, id="no date"),
    ],
)
def test_is_before(one, other, expected):
    assert is_before(one, other) is expected
