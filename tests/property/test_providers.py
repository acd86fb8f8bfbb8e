"""Whatever comes in whatever order: each element has the value of the newest instance that has one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dicom.study import Truth
from shared.mapping.provides import provided
from shared.mapping.series_layer import Links
from shared.mapping.study_identifiers import study_identity
from shared.mapping.study_layer import equipment_by_series, keys_of, lay_study, new_study
from shared.sync.delta import Before, study_delta
from tests.unit.datasets import STUDY, instance_dataset, key

ALL = [key(series, instance) for series in (1, 2) for instance in (1, 2, 3)]
NEW = new_study(study_identity(STUDY), "https://dicom.example.org/")
LINKS = Links("Patient/p1", "Endpoint/e1")
STUDY_VALUES = {"StudyDescription": "description", "ReferringPhysicianName": "referrer", "StudyDate": "started"}
SERIES_VALUES = {"SeriesDescription": "description", "OperatorsName": "performer", "BodyPartExamined": "bodySite"}
NAMES = (*STUDY_VALUES, *SERIES_VALUES, "AccessionNumber", "Modality", "DeviceSerialNumber", "PatientName")
ABSENT, EMPTY, UNUSABLE, USABLE = range(4)
KINDS = st.sampled_from((ABSENT, EMPTY, UNUSABLE, USABLE, USABLE))
SAID = st.fixed_dictionaries(dict.fromkeys(NAMES, KINDS))
# an instance is stored, changed or deleted; messages of earlier changes are delivered at any later time
STEPS = st.lists(
    st.tuples(st.sampled_from(ALL), st.one_of(st.none(), SAID), st.lists(st.integers(0, 40), max_size=3)),
    min_size=1,
    max_size=14,
)


def _value(name, position):
    values = {
        "StudyDate": f"202103{position % 28 + 1:02}",
        "BodyPartExamined": ("HEAD", "CHEST", "KNEE")[position % 3],
        "Modality": ("CT", "MR", "US")[position % 3],
        "AccessionNumber": f"A{position % 3}",
    }
    return values.get(name, f"{name[:9]}{position}")


def _dataset(instance, position, said):
    series, number = ALL.index(instance) // 3 + 1, ALL.index(instance) % 3 + 1
    values = {name: _value(name, position) for name, kind in said.items() if kind == USABLE}
    values |= {name: "" for name, kind in said.items() if kind == EMPTY or (kind, name) == (UNUSABLE, "Modality")}
    values |= {"StudyDate": "yesterday"} if said["StudyDate"] == UNUSABLE else {}
    dataset = instance_dataset(series, number, Manufacturer="ACME", **values)
    if said["Modality"] == ABSENT:
        dataset.pop("00080060")
    return dataset


def _read(stored, ledger, listed, truth, *, whole=False):
    """What one message makes of the stored study and what is remembered, as a pass does it."""
    known = Before(ledger, listed, keys_of(stored))
    some = {one: truth[one] for one in listed if one in truth}
    gone = frozenset(one for one in listed if one not in truth)
    delta = None if whole else study_delta(Truth(some, gone=gone), provided(some, ""), known, final=False)
    if delta is None:
        gone = frozenset(one for one in keys_of(stored) if one not in truth)
        delta = study_delta(Truth(truth, gone=gone, is_whole=True), provided(truth, ""), known, final=True)
    devices = {one: f"Device/{one.serial_number}" for one in equipment_by_series(delta.content).values()}
    links = Links(LINKS.subject, LINKS.endpoint, devices)
    return lay_study(stored or NEW, delta.content, delta.gone, links, "").resource, delta


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_the_newest_instance_with_a_value_provides_it(steps):
    truth, said_of, sequence_of, messages = {}, {}, {}, []
    stored, ledger, waiting = None, {}, set()
    for sequence, (instance, said, delivered) in enumerate(steps, start=1):
        truth.pop(instance, None)
        said_of.pop(instance, None)
        if said is not None:
            truth[instance], said_of[instance] = _dataset(instance, sequence, said), said
        sequence_of[instance] = sequence
        messages.append({instance: sequence})
        waiting.add(sequence)
        for number in delivered:
            place = number % len(messages)
            waiting.discard(place + 1)
            stored, delta = _read(stored, ledger, messages[place], truth)
            ledger = delta.ledger
    for number in sorted(waiting, reverse=True):
        stored, delta = _read(stored, ledger, messages[number - 1], truth)
        ledger = delta.ledger
    fresh, _ = _read(None, {}, sequence_of, truth, whole=True)
    assert stored == fresh
    assert (stored is None) == (not truth)
    if stored is not None:
        _check(stored, said_of, sequence_of)


def _newest(name, said_of, sequence_of, series=None):
    """The sequence of the newest instance that has a usable value; None where none has."""
    having = [
        sequence_of[one]
        for one, said in said_of.items()
        if said[name] == USABLE and series in (None, one.series_instance_uid)
    ]
    return max(having, default=None)


def _check(stored, said_of, sequence_of):
    """The rule itself, told from what the instances say."""
    description = _newest("StudyDescription", said_of, sequence_of)
    assert stored.get("description") == (description and _value("StudyDescription", description))
    numbers = {
        _value("AccessionNumber", sequence_of[one])
        for one, said in said_of.items()
        if said["AccessionNumber"] == USABLE
    }
    assert {row["value"] for row in stored["identifier"] if "system" not in row} == numbers
    assert {row["identifier"]["value"] for row in stored.get("basedOn", [])} == numbers
    for series in stored["series"]:
        newest = {name: _newest(name, said_of, sequence_of, series["uid"]) for name in NAMES}
        at = newest["SeriesDescription"]
        assert series.get("description") == (at and _value("SeriesDescription", at))
        assert series["modality"]["code"] == (_value("Modality", newest["Modality"]) if newest["Modality"] else "OT")
        actors = [row["actor"] for row in series.get("performer", [])]
        operator, serial = newest["OperatorsName"], newest["DeviceSerialNumber"]
        persons = [one["display"] for one in actors if "display" in one]
        assert persons == ([_value("OperatorsName", operator)] if operator else [])
        devices = [one["reference"] for one in actors if "reference" in one]
        assert devices == ([f"Device/{_value('DeviceSerialNumber', serial)}"] if serial else [])
