"""Whatever services and queues hand over, parsers answer or refuse by name; nothing else is raised."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicom.feed import parse_page
from shared.dicom.study import by_instance
from shared.errors import SyncError
from shared.fhir.bundle import Entry, check_answer
from shared.fhir.identifiers import by_identifier
from shared.model import ChangeFeedEntry, MalformedEntry, StudyChange

MANY = settings(max_examples=2_500, deadline=None, derandomize=True)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["1.2.3", "1.2.3\0", "1" * 65, "2021-03-01T10:15:30.1234567Z", "Microsoft.Default", "create", ""]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = ("sequence", "Sequence", "studyInstanceUid", "SeriesInstanceUID", "sopInstanceUid", "partitionName")
MEMBERS += ("timestamp", "action", "state", "metadata")
ROWS = JSON | st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=10)
TAGS = st.sampled_from(["0020000D", "0020000E", "00080018", "00100020", "00080016", "zz"])
ELEMENTS = JSON | st.fixed_dictionaries({"vr": JSON, "Value": JSON})
CREATE = Entry.create(by_identifier("Patient", "", "1"), {"resourceType": "Patient"})


@MANY
@given(st.lists(ROWS, max_size=6))
def test_a_page_of_the_feed(rows):
    entries, malformed = parse_page(rows, 0)
    assert all(isinstance(entry, ChangeFeedEntry) and entry.sequence > 0 for entry in entries)
    assert all(isinstance(entry, MalformedEntry) for entry in malformed)
    assert len(entries) + len(malformed) <= len(rows)
    told = json.dumps([entry.reason for entry in malformed])
    assert "1.2.3" not in told


@MANY
@given(st.lists(JSON | st.dictionaries(TAGS, ELEMENTS, max_size=6), max_size=5))
def test_metadata(datasets):
    instances, unreadable = by_instance("1.2.3", datasets)
    assert len(instances) + unreadable <= len(datasets)


@MANY
@given(JSON | st.dictionaries(st.sampled_from(["partition", "study", "poll", "part", "series", "attempts"]), JSON))
def test_a_message(value):
    text = json.dumps(value)
    try:
        change = StudyChange.from_json(text)
    except ValueError:
        return
    assert StudyChange.from_json(change.to_json()) == change


@MANY
@given(
    JSON
    | st.fixed_dictionaries(
        {"entry": st.lists(JSON | st.fixed_dictionaries({"response": JSON, "resource": JSON}), max_size=3)}
    )
)
def test_the_answer_to_a_transaction(answer):
    try:
        (created,) = check_answer([CREATE], answer)
    except SyncError:
        return
    assert created.reference.startswith("Patient/")
