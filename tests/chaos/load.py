"""A seeded day of an archive: uploads, corrections, deletions and dose reports, planned ahead so that two runs of one
seed do the same.
"""

import random
from dataclasses import dataclass, field

from tests.chaos.additions import Addition

STUDIES, PATIENTS, SCANNERS = 24, 8, 3
REPORT_SERIES = 9
FIRST_OF_MANY, MANY, CHANGES_OF_MANY = 100, 60, 12
FAMILIES = ("Zqvarnholt", "Zqmbeki", "Zqtanizaki", "Zqolsson", "Zqferreira", "Zqdubois", "Zqhaddad", "Zqkowal")
GIVENS = ("Zrannika", "Zrbosede", "Zrkenji", "Zrlasse", "Zrmarina", "Zrolivier", "Zryusuf", "Zrzofia")
# what objects of all kinds leave out
LEFT_OUT = ("StudyDescription", "AccessionNumber", "StudyTime", "SeriesDescription", "PatientSex", "PatientBirthDate")
# where partitions are on, every request has to name one
PARTITIONS = ("Microsoft.Default", "clinic")
MOVES = {"move": 4}
WEIGHTS = {"store": 9, "report": 3, "update": 4, "delete instance": 3, "delete series": 1, "delete study": 2}
PRIVATE = {
    *FAMILIES,
    *GIVENS,
    "Zqphantom",
    "ZQQC01",
    *(f"ZQID{number:04}" for number in range(PATIENTS)),
    *(f"19{30 + number}{month}17" for number in range(PATIENTS) for month in ("09", "11")),
    *(f"19{30 + number}-{month}-17" for number in range(PATIENTS) for month in ("09", "11")),
}


@dataclass(frozen=True)
class Step:
    """One change of the archive, so many seconds after the start.

    partition: where, if the service has any. to: where a study is moved to; stores_first: whether it is in both then.
    """

    at_s: float
    kind: str
    study: int
    keys: tuple = ()
    attributes: dict = field(default_factory=dict)
    partition: str = ""
    to: str = ""
    stores_first: bool = True


def person(choose, number):
    """One patient; what is said of him differs now and then."""
    return {
        "PatientID": f"ZQID{number:04}",
        "PatientName": f"{FAMILIES[number]}^{choose.choice((GIVENS[number], GIVENS[number - 1]))}^^Dr",
        "PatientSex": choose.choice(("M", "F", "O")),
        "PatientBirthDate": f"19{30 + number}{choose.choice(('09', '09', '11'))}17",
    }


def equipment(number):
    return {
        "Manufacturer": "ACME",
        "ManufacturerModelName": "Ray",
        "DeviceSerialNumber": f"SN{number}",
        "StationName": f"CT{number}",
        "SoftwareVersions": "VA1",
    }


def plan(seed, seconds, steps_per_s=1.0, additions=frozenset()):
    """Steps in their order."""
    steps = everyday(seed, seconds, steps_per_s, moves=Addition.PARTITIONS in additions)
    if Addition.MANY_STUDIES in additions:
        partition = PARTITIONS[0] if Addition.PARTITIONS in additions else ""
        steps = sorted([*steps, *many_studies(seed, seconds, partition)], key=lambda step: step.at_s)
    return steps


def many_studies(seed, seconds, partition=""):
    """A patient with 60 studies of one image; the newest of what is left is deleted, corrected, or gets another patient
    again and again.
    """
    choose = random.Random(seed)
    said = {"PatientID": "ZQQC01", "PatientName": "Zqphantom^^^^", "PatientSex": "O", "PatientBirthDate": "19300917"}
    left = list(range(FIRST_OF_MANY, FIRST_OF_MANY + MANY))
    steps = [Step(0, "store", study, ((study, 1, 1),), said | equipment(0), partition) for study in left]
    for at_s in sorted(choose.uniform(seconds / 4, seconds * 0.9) for _ in range(CHANGES_OF_MANY)):
        study = left[-1]
        kind = choose.choice(("delete study", "correct", "relink"))
        if kind != "correct":
            left.pop()
        if kind == "delete study":
            steps.append(Step(at_s, kind, study, ((study,),), {}, partition))
        else:
            sex = {"PatientSex": choose.choice(("F", "M", "O"))}
            told = said | sex if kind == "correct" else person(choose, choose.randrange(PATIENTS))
            steps.append(Step(at_s, "update", study, (), told, partition))
    return steps


def everyday(seed, seconds, steps_per_s, *, moves=False):
    """What happens to studies of a few patients."""
    weights = WEIGHTS | (MOVES if moves else {})
    place_of = {study: PARTITIONS[study % len(PARTITIONS)] if moves else "" for study in range(STUDIES)}
    choose = random.Random(seed)
    patient_of = {study: choose.randrange(PATIENTS) for study in range(STUDIES)}
    alive = set()
    steps = []
    for at_s in sorted(choose.uniform(0, seconds) for _ in range(int(seconds * steps_per_s))):
        kind = choose.choices(list(weights), list(weights.values()))[0]
        takes_away = kind.startswith("delete") or kind == "move"
        study = choose.choice([key[0] for key in sorted(alive)]) if takes_away and alive else None
        study = choose.randrange(STUDIES) if study is None else study
        place = place_of[study]
        there = sorted(key for key in alive if key[0] == study)
        said = {
            **person(choose, patient_of[study]),
            "StudyDescription": choose.choice(("thorax", "abdomen", "follow-up")),
            "AccessionNumber": f"A{study}-{choose.randrange(3)}",
            "StudyTime": choose.choice(("101530", "101545")),
            "TimezoneOffsetFromUTC": choose.choice(("+0100", None)),
        }
        if kind == "store" or (kind != "report" and not there):
            kind, most = "store", choose.choice((1, 1, 3, 8, 25))
            keys = {(study, choose.randint(1, 2), choose.randint(1, 60)) for _ in range(most)} - alive
            more = {"Modality": "CT", "SeriesDescription": choose.choice(("axial", "coronal"))}
            more |= dict.fromkeys(choose.sample(LEFT_OUT, choose.choice((0, 0, 1, 3))))
            steps.append(Step(at_s, kind, study, tuple(sorted(keys)), said | more | equipment(study % SCANNERS), place))
            alive |= keys
        elif kind == "report":
            key = (study, REPORT_SERIES, choose.randint(1, 4))
            if key not in alive:
                steps.append(Step(at_s, kind, study, (key,), said | equipment(study % SCANNERS), place))
                alive.add(key)
        elif kind == "update":
            if choose.random() < 0.4:
                patient_of[study] = choose.randrange(PATIENTS)
            told = person(choose, patient_of[study]) | {"StudyDescription": choose.choice(("thorax", "corrected"))}
            steps.append(Step(at_s, kind, study, (), told, place))
        elif kind == "move":
            to = place_of[study] = choose.choice([one for one in PARTITIONS if one != place])
            more = said | {"Modality": "CT", "SeriesDescription": "moved"} | equipment(study % SCANNERS)
            steps.append(Step(at_s, kind, study, tuple(there), more, place, to, choose.random() < 0.5))
        else:
            depth = {"delete study": 1, "delete series": 2, "delete instance": 3}[kind]
            key = choose.choice(there)[:depth]
            steps.append(Step(at_s, kind, study, (key,), {}, place))
            alive -= {one for one in alive if one[:depth] == key}
    return steps
