"""Change feed JSON to entries, and entries to messages."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.feed import Changes, parse_page
from shared.model import DEFAULT_PARTITION, ChangeFeedEntry, InstanceKey, MalformedEntry, StudyChange, StudyKey
from tests.unit.datasets import ROW

MAX_MESSAGE_BYTES = 48 * 1024
CHANGED_AT = datetime(2021, 3, 1, 10, 15, 30, 123456, tzinfo=UTC)
ENTRY = ChangeFeedEntry(7, StudyKey("Microsoft.Default", "1.2"), InstanceKey("1.2.3", "1.2.3.4"), CHANGED_AT)
LONG_UID = "1.2.826.0.1.3680043.10.1234." + "9" * 36


def _parsed(rows, after=6, last=50):
    page = parse_page(rows, after, last)
    return page.entries, page.malformed


def _pascal(row):
    return {name[0].upper() + name[1:]: value for name, value in row.items()}


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(ROW, id="camelCase, as it is sent"),
        pytest.param(_pascal(ROW), id="PascalCase, as it is documented"),
        pytest.param({name.upper(): value for name, value in ROW.items()}, id="upper case"),
        pytest.param({name.lower(): value for name, value in ROW.items()}, id="lower case"),
        pytest.param(ROW | {"sequence": "7"}, id="sequence as text"),
        pytest.param(ROW | {"action": "update", "state": "current"}, id="lower-case action and state"),
        pytest.param(ROW | {"action": "Archive", "state": "Frozen"}, id="unknown action and state"),
        pytest.param(ROW | {"filePath": "DICOM/x.dcm", "metadata": {}, "more": [1]}, id="unknown members"),
        pytest.param({n: v for n, v in ROW.items() if n not in ("action", "state")}, id="no action, no state"),
        pytest.param({n: v for n, v in ROW.items() if n != "partitionName"}, id="no partition"),
        pytest.param(ROW | {"partitionName": None}, id="partition null"),
        pytest.param(ROW | {"partitionName": ""}, id="partition empty"),
        pytest.param(ROW | {"studyInstanceUid": "1.2\0"}, id="UID padded with NUL"),
        pytest.param(ROW | {"studyInstanceUid": " 1.2 "}, id="UID padded with spaces"),
    ],
)
def test_row_is_read(row):
    assert _parsed([row]) == ([ENTRY], [])


def test_data_partition_is_part_of_the_study():
    entries, _ = _parsed([ROW | {"partitionName": "clinic-a"}])
    assert [entry.study for entry in entries] == [StudyKey("clinic-a", "1.2")]


@pytest.mark.parametrize(
    ("timestamp", "changed_at"),
    [
        pytest.param("2021-03-01T10:15:30.1234567+00:00", CHANGED_AT, id="seven digits"),
        pytest.param("2021-03-01T10:15:30.123456+00:00", CHANGED_AT, id="six digits"),
        pytest.param("2021-03-01T10:15:30.1+00:00", CHANGED_AT.replace(microsecond=100_000), id="one digit"),
        pytest.param("2021-03-01T10:15:30+00:00", CHANGED_AT.replace(microsecond=0), id="no fraction"),
        pytest.param("2021-03-01T10:15:30Z", CHANGED_AT.replace(microsecond=0), id="Z"),
        pytest.param("2021-03-01T10:15:30.1234567Z", CHANGED_AT, id="seven digits and Z"),
        pytest.param("2021-03-01T11:15:30.1234567+01:00", CHANGED_AT, id="east"),
        pytest.param("2021-03-01T06:45:30.1234567-03:30", CHANGED_AT, id="west"),
        pytest.param("2021-03-01T10:15:30", None, id="no zone"),
        pytest.param("yesterday", None, id="word"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="null"),
        pytest.param(1614593730, None, id="number"),
        pytest.param("0001-01-01T00:00:00+02:00", None, id="before the first instant"),
    ],
)
def test_timestamp(timestamp, changed_at):
    entries, malformed = _parsed([ROW | {"timestamp": timestamp}])
    assert ([entry.changed_at for entry in entries], malformed) == ([changed_at], [])


def test_timestamp_that_is_absent():
    entries, _ = _parsed([{name: value for name, value in ROW.items() if name != "timestamp"}])
    assert [entry.changed_at for entry in entries] == [None]


@pytest.mark.parametrize("name", ["a/b", "p" * 65, ".", "..", 7])
def test_the_name_of_a_partition_that_no_path_can_have(name):
    assert _parsed([ROW | {"partitionName": name}]) == (
        [],
        [MalformedEntry(7, "1.2", "1.2.3", "1.2.3.4", "no-partition-name")],
    )


@pytest.mark.parametrize("name", ["...", ".a", "a.", "a..b", "-", "_"])
def test_the_name_of_a_partition_with_dots(name):
    assert [entry.study.partition_name for entry in _parsed([ROW | {"partitionName": name}])[0]] == [name]


def _without(*names):
    return {name: value for name, value in ROW.items() if name not in names}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(None, MalformedEntry(7, reason="not-an-object"), id="null"),
        pytest.param("row", MalformedEntry(7, reason="not-an-object"), id="text"),
        pytest.param([ROW], MalformedEntry(7, reason="not-an-object"), id="list"),
        pytest.param({}, MalformedEntry(7, reason="no-sequence"), id="empty object"),
        pytest.param(
            _without("sequence"), MalformedEntry(7, "1.2", "1.2.3", "1.2.3.4", "no-sequence"), id="no sequence"
        ),
        pytest.param(
            ROW | {"sequence": "7a"}, MalformedEntry(7, "1.2", "1.2.3", "1.2.3.4", "no-sequence"), id="no number"
        ),
        pytest.param(_without("studyInstanceUid"), MalformedEntry(7, "", "1.2.3", "1.2.3.4", "no-uid"), id="no study"),
        pytest.param(_without("seriesInstanceUid"), MalformedEntry(7, "1.2", "", "1.2.3.4", "no-uid"), id="no series"),
        pytest.param(_without("sopInstanceUid"), MalformedEntry(7, "1.2", "1.2.3", "", "no-uid"), id="no instance"),
        pytest.param(
            ROW | {"studyInstanceUid": None}, MalformedEntry(7, "", "1.2.3", "1.2.3.4", "no-uid"), id="study null"
        ),
        pytest.param(
            ROW | {"studyInstanceUid": 12}, MalformedEntry(7, "", "1.2.3", "1.2.3.4", "no-uid"), id="study a number"
        ),
        pytest.param(
            ROW | {"studyInstanceUid": "1.2/../../x"},
            MalformedEntry(7, "", "1.2.3", "1.2.3.4", "no-uid"),
            id="study a path",
        ),
        pytest.param(
            ROW | {"studyInstanceUid": "1." + "2" * 63},
            MalformedEntry(7, "", "1.2.3", "1.2.3.4", "no-uid"),
            id="65 characters",
        ),
    ],
)
def test_row_that_cannot_be_read(row, expected):
    assert _parsed([row]) == ([], [expected])


def test_one_bad_row_spoils_no_other():
    entries, malformed = _parsed([ROW | {"sequence": 8}, "row", ROW | {"sequence": 10}])
    assert [entry.sequence for entry in entries] == [8, 10]
    assert malformed == [MalformedEntry(9, reason="not-an-object")]


def test_rows_without_a_sequence_are_counted_from_the_beginning_of_the_page():
    _, malformed = _parsed(["row", {}])
    assert malformed == [MalformedEntry(7, reason="not-an-object"), MalformedEntry(8, reason="no-sequence")]


@pytest.mark.parametrize(
    ("sequence", "is_read"),
    [
        pytest.param(9, True, id="number"),
        pytest.param("9", True, id="text"),
        pytest.param(-9, False, id="negative"),
        pytest.param(True, False, id="boolean"),
        pytest.param(9.0, False, id="float"),
        pytest.param(None, False, id="null"),
        pytest.param("", False, id="empty"),
        pytest.param([9], False, id="list"),
        pytest.param(0, False, id="none yet"),
        pytest.param(6, False, id="before the page"),
        pytest.param(50, True, id="the last of the page"),
        pytest.param(51, False, id="beyond the page"),
        pytest.param(10**30, False, id="absurd"),
        pytest.param("9" * 5000, False, id="more digits than Python reads"),
        pytest.param("٩", False, id="digits of another script"),
    ],
)
def test_sequence_of_a_row(sequence, is_read):
    entries, malformed = _parsed([ROW | {"sequence": sequence}])
    found = ([entry.sequence for entry in entries], [entry.sequence for entry in malformed])
    assert found == (([int(sequence)], []) if is_read else ([], [7]))


def test_a_row_that_claims_a_sequence_outside_its_page_is_malformed():
    """Or everything between the page and that sequence would be passed over."""
    entries, malformed = _parsed([ROW, ROW | {"sequence": 5000}, ROW | {"sequence": 9}])
    assert [entry.sequence for entry in entries] == [7, 9]
    assert malformed == [MalformedEntry(8, "1.2", "1.2.3", "1.2.3.4", "outside-page")]


@pytest.mark.parametrize(
    ("rows", "there"),
    [
        pytest.param([7, 8, 10], {7, 8, 10}, id="rows that can be read"),
        pytest.param([7, None, 9, 10], {7, 8, 9, 10}, id="one number for one row"),
        pytest.param([7, None, 10], {7, 10}, id="two numbers for one row"),
        pytest.param([7, None, None, None, 10], {7, 10}, id="two numbers for three rows"),
        pytest.param([None, 8, None, None], {7, 8, 9, 10}, id="at both ends"),
        pytest.param([None, 8, None], {7, 8}, id="the last or the last but one"),
        pytest.param([9, 8, None], {8, 9, 10}, id="out of order"),
        pytest.param([None, None, None, None], {7, 8, 9, 10}, id="none can be read"),
        pytest.param([None], set(), id="anywhere"),
        pytest.param([], set(), id="empty"),
    ],
)
def test_a_row_without_a_sequence_takes_no_number_that_may_be_that_of_another(rows, there):
    page = parse_page([row and ROW | {"sequence": row} for row in rows], 6, 10)
    assert set(page.there) == there
    assert len(page.entries) + len(page.malformed) == len(rows)
    assert all(6 < row.sequence <= 10 for row in page.malformed)


def test_rows_that_cannot_be_read_are_not_counted_beyond_the_end_of_the_feed():
    _, malformed = _parsed([None, None, None], after=6, last=8)
    assert [entry.sequence for entry in malformed] == [7, 8, 8]


def test_a_row_out_of_order_does_not_turn_the_count_back():
    _, malformed = _parsed([ROW | {"sequence": 20}, ROW | {"sequence": 8}, None])
    assert [entry.sequence for entry in malformed] == [21]


def _entry(sequence, study="1.2", series="1.2.3", sop="1.2.3.4", partition=DEFAULT_PARTITION):
    return ChangeFeedEntry(sequence, StudyKey(partition, study), InstanceKey(series, sop))


def _messages(entries, poll=5):
    changes = Changes()
    for entry in entries:
        changes.add(entry)
    return list(changes.messages(poll)), changes.count


def test_entries_are_collected_per_study_and_partition():
    entries = [
        _entry(1),
        _entry(2, sop="1.2.3.5"),
        _entry(3, study="1.9"),
        _entry(4, partition="clinic-a"),
    ]
    default, other, clinic = (StudyKey(DEFAULT_PARTITION, "1.2"), StudyKey(DEFAULT_PARTITION, "1.9"), None)
    clinic = StudyKey("clinic-a", "1.2")
    first, second = InstanceKey("1.2.3", "1.2.3.4"), InstanceKey("1.2.3", "1.2.3.5")
    assert _messages(entries) == (
        [
            StudyChange(default, 5, 0, {first: 1, second: 2}),
            StudyChange(other, 5, 0, {first: 3}),
            StudyChange(clinic, 5, 0, {first: 4}),
        ],
        4,
    )


@pytest.mark.parametrize("sequences", [(3, 8), (8, 3), (8, 8)], ids=["in order", "late", "twice"])
def test_highest_sequence_of_an_instance_is_kept(sequences):
    messages, count = _messages([_entry(sequence) for sequence in sequences])
    assert ([dict(message.instances) for message in messages], count) == (
        [{InstanceKey("1.2.3", "1.2.3.4"): 8}],
        2,
    )


def test_nothing_collected_is_no_message():
    assert _messages([]) == ([], 0)


def _uid(*numbers):
    """A UID of 64 characters."""
    text = "1.2." + ".".join(map(str, numbers)) + "."
    return text + "9" * (64 - len(text))


def _worst_text(message):
    """The message as it is at its longest: deferred for a long time."""
    for _ in range(3):
        message = message.deferred(datetime(2021, 3, 1, 10, 15, 30, 123456, tzinfo=UTC) - timedelta(days=1))
    longest = message.to_json().replace('"attempts":3', f'"attempts":{10**9}')
    return longest.encode()


@given(
    series=st.integers(1, 600),
    per_series=st.integers(1, 4),
    first=st.sampled_from([1, 10**6, 2**63 - 10_000]),
    partition=st.sampled_from([DEFAULT_PARTITION, "p" * 64]),
    poll=st.sampled_from([1, 1_700_000_000_000, 2**63 - 1]),
)
def test_splitting_keeps_everything_once_within_the_limit(series, per_series, first, partition, poll):
    entries = [
        _entry(first + row * per_series + column, LONG_UID, _uid(row), _uid(row, column), partition)
        for row in range(series)
        for column in range(per_series)
    ]
    messages, _ = _messages(entries, poll)
    told = [item for message in messages for item in message.instances.items()]
    newest = {entry.instance for entry in entries[per_series - 1 :: per_series]}
    assert max(len(_worst_text(message)) for message in messages) <= MAX_MESSAGE_BYTES
    assert sorted(told) == sorted((entry.instance, entry.sequence) for entry in entries)
    assert {key for key, _ in told[:series]} == newest
    assert [message.part for message in messages] == list(range(len(messages)))
    assert {(message.study, message.poll) for message in messages} == {(StudyKey(partition, LONG_UID), poll)}


def test_newest_of_each_series_is_in_the_first_message():
    entries = [
        _entry(sequence, LONG_UID, _uid(sequence % 3), _uid(sequence % 3, sequence)) for sequence in range(1, 2001)
    ]
    messages, _ = _messages(entries)
    assert len(messages) > 3
    first = messages[0].instances
    assert {key: sequence for key, sequence in first.items() if sequence > 1997} == {
        InstanceKey(_uid(sequence % 3), _uid(sequence % 3, sequence)): sequence for sequence in (1998, 1999, 2000)
    }
    assert max(first.values()) == 2000


def test_message_is_filled_before_another_is_begun():
    entries = [_entry(sequence, LONG_UID, _uid(1), _uid(1, sequence)) for sequence in range(1, 1501)]
    messages, _ = _messages(entries)
    sizes = [len(message.to_json()) for message in messages[:-1]]
    assert min(sizes) > MAX_MESSAGE_BYTES * 0.75


def test_message_is_json_that_can_be_read_back():
    messages, _ = _messages([_entry(sequence, sop=f"1.2.3.{sequence}") for sequence in range(1, 2000)])
    assert [StudyChange.from_json(message.to_json()) for message in messages] == messages
    assert all(json.loads(message.to_json())["study"] == "1.2" for message in messages)
