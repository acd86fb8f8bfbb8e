"""Whatever services and queues hand over, parsers answer or refuse by name; nothing else is raised.

Most of what is made begins as something good, of which a few places are odd: pure noise stops at the first check.
"""

import json

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from shared.dicom.feed import Changes, parse_page
from shared.dicom.study import by_instance
from shared.errors import SyncError
from shared.fhir.bundle import Entry, check_answer
from shared.fhir.identifiers import by_identifier
from shared.model import ChangeFeedEntry, MalformedEntry, StudyChange
from tests.unit.datasets import ROW

MANY = settings(max_examples=2_500, deadline=None, derandomize=True, database=None)
AFTER, LAST = 6, 106
SECRET = "MRN-0001"
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["1.2.3", "1.2.3\0", "1" * 65, "9" * 5000, "2021-03-01T10:15:30.1234567Z", SECRET, "create", ""]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=3,
)


GONE = object()


def odd(good, more=()):
    """The good object, up to three members of which are something else or gone."""
    names = [*good, *more]
    wrong = st.dictionaries(st.sampled_from(names), JSON | st.just(GONE), max_size=3)
    return wrong.map(lambda bent: {name: value for name, value in (good | bent).items() if value is not GONE})


ROWS = st.lists(JSON | odd(ROW, ("Sequence", "SOPInstanceUID", "metadata")), max_size=4)


def parsed(rows):
    page = parse_page(rows, AFTER, LAST)
    return page.entries, page.malformed


@MANY
@given(ROWS)
def test_a_page_of_the_feed(rows):
    entries, malformed = parsed(rows)
    assert len(entries) + len(malformed) == len(rows)
    assert all(isinstance(entry, ChangeFeedEntry) and AFTER < entry.sequence <= LAST for entry in entries)
    assert all(isinstance(entry, MalformedEntry) and AFTER < entry.sequence <= LAST for entry in malformed)
    reasons = {"not-an-object", "no-sequence", "no-uid", "no-partition-name", "outside-page"}
    assert {entry.reason for entry in malformed} <= reasons
    assert SECRET not in str(malformed)
    changes = Changes()
    for entry in entries:
        changes.add(entry)
    messages = list(changes.messages(1))
    assert [StudyChange.from_json(message.to_json()) for message in messages] == messages, "it may be sent"


ELEMENT = st.sampled_from([{"vr": "UI", "Value": ["1.2.3"]}, {"vr": "UI"}, {"vr": "UI", "Value": [None]}])
DATASET = {tag: {"vr": "UI", "Value": [uid]} for tag, uid in (("0020000D", "1.2"), ("0020000E", "1.2.3"))}
DATASET["00080018"] = {"vr": "UI", "Value": ["1.2.3.4"]}
DATASETS = st.lists(
    JSON | odd(DATASET, ("00100020", "zz")) | st.tuples(odd(DATASET), ELEMENT).map(lambda o: o[0] | {"00080018": o[1]}),
    max_size=5,
)


@MANY
@given(DATASETS)
def test_metadata(datasets):
    instances, unreadable = by_instance("1.2", datasets)
    assert len(instances) + unreadable <= len(datasets)
    assert unreadable >= sum(not isinstance(dataset, dict) for dataset in datasets)


CHANGE = {"partition": "Microsoft.Default", "study": "1.2", "poll": 5, "part": 0, "series": {"1.2.3": {"1.2.3.4": 7}}}
CHANGES = JSON | odd(CHANGE, ("attempts", "firstFailedAt"))


@MANY
@given(CHANGES)
def test_a_message(value):
    try:
        change = StudyChange.from_json(json.dumps(value))
    except ValueError as error:
        assert str(error) == "not a StudyChange message"  # noqa: PT017 - most are
        return
    assert StudyChange.from_json(change.to_json()) == change


CREATE = Entry.create(by_identifier("Patient", "urn:x", "1"), {"resourceType": "Patient"})
ANSWERED = odd({"status": "201 Created", "location": "Patient/1/_history/1", "etag": 'W/"1"'})
RESOURCE = odd({"resourceType": "Patient", "id": "1"})
ENTRIES = st.lists(JSON | st.fixed_dictionaries({"response": JSON | ANSWERED, "resource": JSON | RESOURCE}), max_size=3)
ANSWERS = JSON | st.fixed_dictionaries({"resourceType": st.just("Bundle"), "entry": JSON | ENTRIES})


@MANY
@given(ANSWERS)
def test_the_answer_to_a_transaction(answer):
    try:
        answers = check_answer([CREATE], answer)
    except SyncError:
        return
    assert [bool(one.reference) for one in answers] == [True]


def _is_message(value):
    try:
        return bool(StudyChange.from_json(json.dumps(value)))
    except ValueError:
        return False


def _is_created(answer):
    try:
        return bool(check_answer([CREATE], answer))
    except SyncError:
        return False


@pytest.mark.parametrize(
    ("made", "reaches"),
    [
        pytest.param(ROWS, lambda rows: len(parsed(rows)[0]) > 1, id="entries"),
        pytest.param(
            ROWS, lambda rows: {"no-uid", "no-sequence"} <= {o.reason for o in parsed(rows)[1]}, id="no entries"
        ),
        pytest.param(DATASETS, lambda datasets: by_instance("1.2", datasets)[0], id="datasets"),
        pytest.param(DATASETS, lambda datasets: by_instance("1.2", datasets)[1] > 1, id="no datasets"),
        pytest.param(CHANGES, _is_message, id="messages"),
        pytest.param(CHANGES, lambda value: not _is_message(value), id="no messages"),
        pytest.param(ANSWERS, _is_created, id="answers"),
        pytest.param(ANSWERS, lambda answer: not _is_created(answer), id="no answers"),
    ],
)
def test_what_is_made_reaches_both_ends(made, reaches):
    """Or the tests above would hold of parsers that do nothing."""
    find(made, reaches, settings=settings(max_examples=2_000, derandomize=True, database=None))
