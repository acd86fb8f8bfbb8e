"""The queue message and the values around it."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import DEFAULT_PARTITION, Checkpoint, Finding, InstanceKey, Outcome, StudyChange, StudyKey
from shared.state import PatientState, StudyState

STUDY = StudyKey(DEFAULT_PARTITION, "1.2")
NOW = datetime(2021, 3, 1, 10, 15, 30, tzinfo=UTC)
UIDS = st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,6}){0,4}", fullmatch=True)
CHANGES = st.builds(
    StudyChange,
    study=st.builds(StudyKey, st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True), UIDS),
    poll=st.integers(0, 2**63 - 1),
    part=st.integers(-(2**48), 10_000),
    instances=st.dictionaries(st.builds(InstanceKey, UIDS, UIDS), st.integers(0, 2**63 - 1), max_size=5),
    attempts=st.integers(0, 10_000),
    first_failed_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


def _message(**members):
    return json.dumps({"partition": DEFAULT_PARTITION, "study": "1.2", "poll": 5} | members)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param(
            StudyChange(STUDY, 5),
            '{"partition":"Microsoft.Default","study":"1.2","poll":5,"part":0,"series":{}}',
            id="whole study",
        ),
        pytest.param(
            StudyChange(STUDY, 5, 1, {InstanceKey("1.2.3", "1.2.3.4"): 7, InstanceKey("1.2.3", "1.2.3.5"): 8}),
            '{"partition":"Microsoft.Default","study":"1.2","poll":5,"part":1,'
            '"series":{"1.2.3":{"1.2.3.4":7,"1.2.3.5":8}}}',
            id="two instances of a series",
        ),
        pytest.param(
            StudyChange(STUDY, 5, attempts=2, first_failed_at=NOW),
            '{"partition":"Microsoft.Default","study":"1.2","poll":5,"part":0,"series":{},'
            '"attempts":2,"firstFailedAt":"2021-03-01T10:15:30+00:00"}',
            id="retrying",
        ),
    ],
)
def test_text_of_a_message(change, text):
    assert change.to_json() == text
    assert StudyChange.from_json(text) == change


@given(CHANGES)
def test_message_survives_the_queue(change):
    assert StudyChange.from_json(change.to_json()) == change


def test_message_needs_no_more_than_study_and_poll():
    assert StudyChange.from_json(_message()) == StudyChange(STUDY, 5, 0, {}, 0, None)


def test_nothing_is_remembered_at_first():
    assert StudyState() == StudyState({}, 0, (), (), "", has_records=False, parked=False, etag=None)
    assert PatientState() == PatientState({}, birth_date_is_ours=False, etag=None)
    assert Checkpoint() == Checkpoint(0, 0, (), None)


def test_instant_of_another_zone_is_read_as_utc():
    text = _message(firstFailedAt="2021-03-01T11:15:30+01:00")
    assert StudyChange.from_json(text).first_failed_at.isoformat() == "2021-03-01T10:15:30+00:00"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("hello", id="word"),
        pytest.param("{", id="broken JSON"),
        pytest.param("null", id="null"),
        pytest.param("7", id="number"),
        pytest.param("[]", id="list"),
        pytest.param("{}", id="nothing in it"),
        pytest.param('{"study":"1.2","poll":5}', id="no partition"),
        pytest.param('{"partition":"Microsoft.Default","poll":5}', id="no study"),
        pytest.param('{"partition":"Microsoft.Default","study":"1.2"}', id="no poll"),
        pytest.param(_message(poll="soon"), id="poll a word"),
        pytest.param(_message(poll=None), id="poll null"),
        pytest.param(_message(series=[]), id="series a list"),
        pytest.param(_message(series={"1.2.3": 7}), id="series without instances"),
        pytest.param(_message(series={"1.2.3": {"1.2.3.4": "x"}}), id="sequence a word"),
        pytest.param(_message(series={"1.2.3": {"1.2.3.4": None}}), id="sequence null"),
        pytest.param(_message(firstFailedAt="yesterday"), id="instant a word"),
        pytest.param(_message(firstFailedAt=7), id="instant a number"),
        pytest.param(_message(poll=float("inf")), id="poll infinite"),
        pytest.param(_message(firstFailedAt="0001-01-01T00:00:00+14:00"), id="instant before the first"),
        pytest.param("[" * 100_000, id="nested without end"),
        pytest.param(_message(study="1.2/../../x"), id="study a path"),
        pytest.param(_message(study=""), id="study empty"),
        pytest.param(_message(study="1" * 65), id="study too long"),
        pytest.param(_message(study=["1.2"]), id="study a list"),
        pytest.param(_message(partition="a/b"), id="partition a path"),
        pytest.param(_message(partition=""), id="partition empty"),
        pytest.param(_message(partition="."), id="partition a step of a path"),
        pytest.param(_message(partition=".."), id="partition a step back in a path"),
        pytest.param(_message(partition="p" * 65), id="partition too long"),
        pytest.param(_message(series={"x": {"1.2.3.4": 7}}), id="series no UID"),
        pytest.param(_message(series={"1.2.3": {"../1": 7}}), id="instance a path"),
        pytest.param(_message(series={"1.2.3": {"1.2.3.4": True}}), id="sequence a boolean"),
        pytest.param(_message(series={"1.2.3": {"1.2.3.4": 7.0}}), id="sequence a fraction"),
        pytest.param(_message(series={"1.2.3": {"1.2.3.4": 2**63}}), id="sequence too large for the tables"),
        pytest.param(_message(series={"1.2.3": {"1.2.3.4": -7}}), id="sequence negative"),
        pytest.param(_message(poll="7"), id="poll a text"),
        pytest.param(_message(attempts=2**31), id="attempts too many for the tables"),
        pytest.param(_message(attempts=-1), id="attempts negative"),
    ],
)
def test_what_is_no_message_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"^not a StudyChange message$"):
        StudyChange.from_json(text)


MEMBERS = ("partition", "study", "poll", "part", "series", "attempts", "firstFailedAt")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.text() | st.dictionaries(st.sampled_from(MEMBERS), VALUES).map(json.dumps))
def test_any_text_is_a_message_or_a_value_error(text):
    try:
        change = StudyChange.from_json(text)
    except ValueError:
        return
    assert isinstance(change, StudyChange)


@pytest.mark.parametrize(
    ("instances", "sequence"),
    [
        pytest.param({}, 0, id="whole study"),
        pytest.param({InstanceKey("1", "2"): 7, InstanceKey("1", "3"): 9, InstanceKey("1", "4"): 8}, 9, id="three"),
    ],
)
def test_sequence_of_a_message_is_its_highest(instances, sequence):
    assert StudyChange(STUDY, 5, instances=instances).sequence == sequence


def test_message_id_does_not_change_when_it_is_deferred():
    change = StudyChange(STUDY, 5, 2)
    assert (change.message_id, change.deferred(NOW).message_id) == ("5.2", "5.2")


def test_deferring_counts_and_remembers_the_first_failure():
    later = NOW + timedelta(hours=1)
    change = StudyChange(STUDY, 5, 2, {InstanceKey("1", "2"): 7})
    expected = StudyChange(STUDY, 5, 2, {InstanceKey("1", "2"): 7}, attempts=2, first_failed_at=NOW)
    assert change.deferred(NOW).deferred(later) == expected


def test_what_is_not_the_study_s_fault_does_not_begin_its_age():
    change = StudyChange(STUDY, 5)
    assert change.deferred(None) == StudyChange(STUDY, 5, attempts=1)
    assert change.deferred(NOW).deferred(None) == StudyChange(STUDY, 5, attempts=2, first_failed_at=NOW)


def test_instant_in_a_zone_is_the_same_after_the_queue():
    change = StudyChange(STUDY, 5).deferred(NOW.astimezone(timezone(timedelta(hours=2))))
    assert StudyChange.from_json(change.to_json()).first_failed_at == NOW


def test_outcomes_complete_the_sentence():
    assert [str(outcome) for outcome in Outcome] == [
        "created",
        "updated",
        "removed",
        "reduced",
        "emptied",
        "unchanged",
        "superseded",
        "retrying",
        "failed",
    ]


def test_findings_are_ordered_by_keyword_and_code():
    found = [Finding("StudyDate", "invalid-date"), Finding("Modality", "missing"), Finding("Modality", "a")]
    assert sorted(found) == [Finding("Modality", "a"), Finding("Modality", "missing"), found[0]]
