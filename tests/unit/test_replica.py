"""What a search must show of what was written, and for how long."""

import pytest

from shared.errors import VersionConflict
from shared.fhir.bundle import Answer, Entry
from shared.state import Written
from shared.sync.replica import LAG_S, check_shown, newest, written_by

T1, T2, T3 = (f"2021-03-01T10:00:00.{number}00Z" for number in (1, 2, 3))


def study(updated_at=T1, kind="ImagingStudy"):
    return {"resourceType": kind, "id": "a", "meta": {"versionId": "1", "lastUpdated": updated_at}}


@pytest.mark.parametrize(
    ("written", "found", "is_old"),
    [
        (None, [], False),
        (Written(T2, 0), [study(T1)], True),
        (Written(T2, 0), [], True),
        (Written(T2, 0), [study(T2)], False),
        (Written(T2, 0), [study("2021-03-01T10:00:00.2+00:00")], False),
        (Written(T2, 0), [study("2021-03-01T12:00:00.1+02:00")], True),
        (Written(T2, 0), [study(T3)], False),
        (Written(T2, 0), [study(T1), study(T2)], False),
        (Written(T2, 0, is_gone=True), [], False),
        (Written(T2, 0, is_gone=True), [study(T1)], True),
        (Written(T2, 0, is_gone=True), [study(T2)], True),
        (Written(T2, 0, is_gone=True), [study(T3)], False),
        (Written("", 0), [], False),
        (Written("yesterday", 0), [study(T1)], False),
        (Written(T2, 0), [study("yesterday")], False),
        (Written(T2, 0), [{"resourceType": "ImagingStudy", "id": "a"}], False),
    ],
)
def test_what_a_search_shows(written, found, is_old):
    check_shown(written, found, LAG_S + 1)  # it is believed in the end
    if is_old:
        with pytest.raises(VersionConflict):
            check_shown(written, found, LAG_S)
    else:
        check_shown(written, found, LAG_S)


def test_what_a_transaction_wrote():
    entries = [
        Entry.update(study(), study()),
        Entry("POST", "Observation", study(kind="Observation")),
        Entry.update(study(kind="Observation"), study()),
        Entry.delete(study(kind="Device")),
    ]
    answers = [Answer("ImagingStudy/a", T2), Answer("Observation/b", T3), Answer("Observation/c", T2), Answer("")]
    assert written_by(entries, answers, 7) == {
        "ImagingStudy": Written(T2, 7),
        "Observation": Written(T3, 7),
        "Device": Written("", 7),
    }
    assert written_by([Entry.delete(study())], [Answer("")], 7) == {"ImagingStudy": Written(T1, 7, is_gone=True)}


def test_the_newest_version_of_two_counts():
    """Whenever it was written: the dates of a server have whole seconds."""
    one = {"ImagingStudy": Written(T2, 1), "Observation": Written(T3, 5)}
    other = {"ImagingStudy": Written(T1, 3), "Observation": Written(T1, 2), "Patient": Written(T1, 9)}
    assert newest(one, other) == {"ImagingStudy": Written(T2, 1), "Observation": Written(T3, 5)}


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (Written(T2, 3, is_gone=True), Written(T2, 3)),
        (Written(T3, 3), Written(T2, 3, is_gone=True)),
        (Written("2021-03-01T10:00:00.3+00:00", 3), Written(T2, 3)),
        (Written(T1, 3), Written("", 4)),
    ],
)
def test_the_version_after_a_deletion_counts(later, earlier):
    for one, other in ((later, earlier), (earlier, later)):
        assert newest({"ImagingStudy": one}, {"ImagingStudy": other}) == {"ImagingStudy": later}
