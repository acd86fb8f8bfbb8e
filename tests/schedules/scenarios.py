"""What is tried: archives of a few studies, what happens to them, and how many workers there are."""

import json
from dataclasses import dataclass

from shared.fhir.id_key import KEY_REFERENCE
from shared.model import DEFAULT_PARTITION, InstanceKey, StudyKey
from tests.builders import series_uid, sop_uid, study_uid
from tests.flow.life import linked
from tests.schedules.world import ALL_GUARDS, PARTITION, Guards, World
from tests.stack import normalised
from tests.unit.datasets import dataset

CT = "1.2.840.10008.5.1.4.1.1.2"


def study(number, partition=DEFAULT_PARTITION):
    return StudyKey(partition, study_uid(number))


def instance(number, place=1):
    return InstanceKey(series_uid(number, 1), sop_uid(number, 1, place))


def content(number, place=1, **attributes):
    key = instance(number, place)
    values = {
        "StudyInstanceUID": study_uid(number),
        "SeriesInstanceUID": key.series_instance_uid,
        "SOPInstanceUID": key.sop_instance_uid,
        "SOPClassUID": CT,
        "PatientID": "A",
        "PatientName": {"Alphabetic": f"Name{number}"},
        "Modality": "CT",
        "InstanceNumber": place,
        "StudyDescription": f"d{number}.{place}",
    }
    return dataset(**(values | attributes))


def stored(number, place=1, partition=DEFAULT_PARTITION, *, late=False, **attributes):
    """The instance is stored, or replaced by one that says something else. late: the feed shows it after later ones."""
    key = study(number, partition)

    def step(world):
        world.sequence += 2
        sequence = world.sequence - 3 if late else world.sequence
        world.dicom.put(key, instance(number, place), content(number, place, **attributes))
        world.newest[key, instance(number, place)] = sequence
        world.change(key, {instance(number, place): sequence})

    return step


def deleted(number, place=1, partition=DEFAULT_PARTITION):
    """The instance is deleted."""
    key = study(number, partition)

    def step(world):
        world.sequence += 2
        world.dicom.take_away(key, instance(number, place))
        world.change(key, {instance(number, place): world.sequence})

    return step


def edited(resource_type, **elements):
    """Somebody else adds something to the resource of this type, once it is there."""

    def step(world):
        world.fhir.edit(resource_type, **elements)

    step.is_possible = lambda world: world.fhir.has(resource_type)
    return step


def looked_at(number):
    """Somebody asks for a whole read of the study."""

    def step(world):
        world.change(study(number), {})

    return step


@dataclass(frozen=True)
class Scenario:
    """`begun`: stored and synced before anything is tried. `at_once`: happened before the first worker looks. `steps`:
    happen in this order, each at any moment. client_ids: whether clients choose ids. is_new: nobody has asked the FHIR
    server for the key of ids before. apps: with tables and a queue of their own, each has its workers and studies.
    """

    name: str
    begun: tuple = ()
    at_once: tuple = ()
    steps: tuple = ()
    workers: int = 2
    faults: int = 1
    most_messages: int = 40
    guards: Guards = ALL_GUARDS
    client_ids: bool = True
    can_fail: bool = True
    is_new: bool = False
    apps: int = 1

    def begin(self, world):
        """Bring a new world to where schedules begin."""
        if self.client_ids and not self.is_new and not self.begun:
            world.fhir.knows_key()
        if self.begun:
            if self.name not in _BEGUN:
                _BEGUN[self.name] = _run(self).saved()
            world.restore(_BEGUN[self.name])
        for step in self.at_once:
            step(world)

    def wrong(self, world):
        """What is wrong at the end of a schedule; empty when nothing is."""
        if world.queue.poison:
            return "a message is poison"
        found, expected = _content(world), self.expected()
        if found != expected:
            return f"FHIR says {json.dumps(found)}\nand should say {json.dumps(expected)}"
        return ""

    def unbounded(self, world):
        """What has no end; empty when everything has."""
        return "messages without end" if world.queue.sent > self.most_messages else ""

    def expected(self):
        """The content at the end of every schedule."""
        if self.name not in _EXPECTED:
            _EXPECTED[self.name] = _content(_projection(self))
        return _EXPECTED[self.name]


_BEGUN = {}
_EXPECTED = {}


def know(scenario, other):
    """What begins and ends the first of them does so for the other, too, in which something will be taken away."""
    _EXPECTED[other.name] = scenario.expected()
    if scenario.begun:
        World(scenario)
        _BEGUN[other.name] = _BEGUN[scenario.name]


def _content(world):
    return linked(normalised([one for name, one in world.fhir.resources.items() if name != KEY_REFERENCE]))


def _run(scenario):
    """A world in which one worker did what was begun, one step after the other, and nothing went wrong."""
    world = World(Scenario("plain", workers=1, faults=0, client_ids=scenario.client_ids))
    for step in scenario.begun:
        step(world)
        _drain(world)
    return world


def _drain(world):
    while choices := world.choices():
        world.apply(choices[0])


def _projection(scenario):
    """What an app that starts from nothing makes of the archive as it is in the end."""
    world = World(Scenario("plain", workers=1, faults=0))
    steps = (*scenario.begun, *scenario.at_once, *scenario.steps)
    edits = [step for step in steps if hasattr(step, "is_possible")]
    for step in steps:
        if step not in edits:
            step(world)
    world.queue.waiting.clear()
    for one in dict.fromkeys(one for one, _ in world.dicom.instances):
        world.change(one, {key: world.newest[one, key] for other, key in world.dicom.instances if other == one})
        _drain(world)
    for step in edits:
        step(world)
    return world


PHONE = [{"system": "phone", "value": "1"}]
NEW_PATIENT = Scenario("two new studies of one new patient", at_once=(stored(1), stored(2)))
ONE_STUDY = Scenario("two changes of one new study", at_once=(stored(1), stored(1, 2)))
DELETED = Scenario(
    "the newest of three studies of a patient goes", begun=(stored(1), stored(2), stored(3)), steps=(deleted(3),)
)
RELINKED = Scenario(
    "a study gets another patient while one of its old patient changes",
    begun=(stored(1), stored(2)),
    at_once=(stored(2, PatientID="B"),),
    steps=(stored(1, 2),),
)
REMOVED = Scenario(
    "a study goes while an image of it comes", begun=(stored(1),), steps=(stored(1, 2), deleted(1), deleted(1, 2))
)
MOVED = Scenario(
    "a study moves to another data partition",
    begun=(stored(1),),
    at_once=(stored(1, partition=PARTITION, StudyDescription="moved"), deleted(1)),
)
LET_GO = Scenario(
    "two data partitions give up one of two images that both have",
    begun=(stored(1), stored(1, 2), stored(1, partition=PARTITION), stored(1, 2, partition=PARTITION)),
    at_once=(deleted(1), deleted(1, partition=PARTITION)),
)
SHOWN_LATE = Scenario(
    "the feed shows a change behind a later one",
    begun=(stored(1), stored(1, 2)),
    at_once=(stored(1, late=True, InstanceNumber=7),),
)
CORRECTED = Scenario("a new study is corrected", at_once=(stored(1),), steps=(stored(1, StudyDescription="corrected"),))
TWO_APPS = Scenario(
    "two apps, and new studies of one new patient",
    at_once=(stored(1, PatientName={}), stored(2, PatientSex="M")),
    apps=2,
    can_fail=False,
)
EDITED = Scenario(
    "somebody edits a patient whose study is corrected",
    begun=(stored(1),),
    at_once=(stored(1, PatientName={"Alphabetic": "Other"}),),
    steps=(edited("Patient", telecom=PHONE),),
)
# here nothing fails: a crash between an overwriting creation and its undoing takes away what others wrote in the moment
# before, see docs/decisions.md
NEW_AND_EDITED = Scenario(
    "somebody edits a patient that two new studies create",
    at_once=(stored(1), stored(2)),
    steps=(edited("Patient", telecom=PHONE),),
    can_fail=False,
)
NEW_SERVER = Scenario(
    "two new studies, and the first that writes to this server", at_once=(stored(1), stored(2)), is_new=True
)
IDS_OF_SERVER = Scenario(
    "two new studies, where the server chooses ids", at_once=(stored(1), stored(2)), client_ids=False
)
THREE = Scenario(
    "three workers and three new studies of one new patient", at_once=(stored(1), stored(2), stored(3)), workers=3
)
FULL = {"PatientSex": "M", "PatientBirthDate": "19600101"}
SUCCESSOR_GOES = Scenario(
    "a study gives up a birth date while the next one that has it goes",
    begun=(
        stored(1, **FULL),
        stored(2, PatientName={}, PatientBirthDate="1990"),
        stored(3, PatientBirthDate="1970"),
    ),
    at_once=(stored(3),),
    steps=(deleted(2),),
)
NEW_AND_MOVED = Scenario(
    "a new study gets another patient, and the newest of the one that it never had goes",
    begun=(stored(1, **FULL), stored(2, PatientID="B", **FULL)),
    at_once=(stored(3, PatientSex="O"), stored(4, PatientSex="F")),
    steps=(stored(3, PatientID="B"), deleted(4)),
)
ONLY_ONE_GOES = Scenario(
    "the only study that has a sex and a birth date gets another patient",
    begun=(stored(1), stored(2, **FULL)),
    at_once=(stored(2, PatientID="B", **FULL),),
    steps=(stored(1, 2),),
)
LAST_TWO_GO = Scenario(
    "the only two studies that have a sex and a birth date go",
    begun=(stored(1), stored(2, PatientSex="M", PatientBirthDate="1970"), stored(3, **FULL)),
    at_once=(stored(3, PatientID="B", **FULL), deleted(2)),
)
ANOTHER_COMES = Scenario(
    "a study that has a sex and a birth date comes while the only one that had them goes",
    begun=(stored(1), stored(2, **FULL)),
    at_once=(stored(2, PatientID="B", **FULL), stored(3, **FULL)),
)
THERE_AND_BACK = Scenario(
    "the only study that has a sex and a birth date gets another patient, and its own again",
    begun=(stored(1), stored(2, **FULL)),
    at_once=(stored(2, PatientID="B", **FULL),),
    steps=(stored(2, **FULL),),
)
TWO_PERSONS = Scenario(
    "two new studies that contradict each other",
    at_once=(
        stored(1, PatientSex="F", PatientBirthDate="1970"),
        stored(2, **FULL),
    ),
)
ALL = (
    NEW_PATIENT,
    ONE_STUDY,
    DELETED,
    RELINKED,
    REMOVED,
    SHOWN_LATE,
    CORRECTED,
    TWO_APPS,
    EDITED,
    NEW_AND_EDITED,
    NEW_SERVER,
    IDS_OF_SERVER,
    THREE,
    MOVED,
    LET_GO,
    SUCCESSOR_GOES,
    NEW_AND_MOVED,
    ONLY_ONE_GOES,
    LAST_TWO_GO,
    ANOTHER_COMES,
    THERE_AND_BACK,
    TWO_PERSONS,
)
