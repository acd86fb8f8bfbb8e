"""A year in the life of two patients, in steps, and what FHIR says after each."""

import json
from collections import Counter

from tests.builders import DEFAULTS, make_instance, study_uid
from tests.flow.test_dose import EQUIPMENT, path, report
from tests.stack import _name
from tests.unit.datasets import dataset
from tests.unit.dose.reports import STUDY, ct_report

OTHER = "MRN-0002"
SAID_BY_ALL = ("PatientName", "PatientSex", "PatientBirthDate", "StudyTime", "AccessionNumber", "StudyDescription")


def image(number, **attributes):
    return make_instance(7, 2, number, **{"StudyInstanceUID": STUDY, **EQUIPMENT, **attributes})


def dose(*events, **options):
    """A report that says of patient and study what the images say: whichever speaks, it is the same."""
    found = report(ct_report(events, **options))
    for keyword in SAID_BY_ALL:
        setattr(found, keyword, DEFAULTS[keyword])
    return found


async def create(stack):
    await stack.store(dose(1, 2), image(1), image(2))
    await stack.store(make_instance(8, PatientName="Lund^Bo", **EQUIPMENT))
    await stack.store(make_instance(9, PatientID=OTHER, PatientName="Okafor^Chi", **EQUIPMENT))


async def update(stack):
    await stack.bulk_update(STUDY, **dataset(StudyDescription="corrected", PatientBirthDate="19710203"))


async def relink(stack):
    """And a report that takes the place of the one before."""
    await stack.store(dose(1, 2, 3, number=2))
    await stack.bulk_update(STUDY, **dataset(PatientID=OTHER, StudyDescription="CT head", PatientBirthDate="19720304"))


async def delete(stack):
    await stack.delete(path(2))
    await stack.delete(study_uid(8))


STAY = ("Patient", "Endpoint", "Device")
STEPS = (create, update, relink, delete)
ERROR_TABLES = (
    "InvalidDicomTagExceptionTable",
    "DicomFailToStoreExceptionTable",
    "FhirFailToStoreExceptionTable",
    "TransientRetryExceptionTable",
    "TransientFailureExceptionTable",
)


async def strays(stack):
    """Instances that are recorded as those of another patient."""
    rows = await stack.rows("InvalidDicomTagExceptionTable")
    return sorted(row["InstanceUid"] for row in rows if _is_stray(row))


def _is_stray(row):
    return str(row.get("Exception")).startswith("patient-conflict")


async def assert_nothing_left(stack):
    """Nobody waits, nobody was set aside, and nothing that was complained of is still there, but for strays."""
    rows = {table: [row for row in await stack.rows(table) if not _is_stray(row)] for table in ERROR_TABLES}
    assert {table: some for table, some in rows.items() if some} == {}
    assert [await queue.depth() for queue in (stack.app.queue, stack.app.poison_queue)] == [0, 0]


def linked(content):
    """What a fresh projection has too: what no study refers to stays, and is left out here."""
    studies = json.dumps([one for one in content if one["resourceType"] == "ImagingStudy"])
    return [one for one in content if one["resourceType"] not in STAY or json.dumps(_name(one)) in studies]


def differences(content, expected):
    """What one of them has more of: on which side, of what, and the elements that differ."""
    return [
        (side, _name(one), {name: value for name, value in one.items() if name not in other or other[name] != value})
        for side, ones, others in (("found", content, expected), ("expected", expected, content))
        for place, one in enumerate(ones)
        if ones[:place].count(one) >= others.count(one)
        for other in [next((two for two in others if _name(two) == _name(one)), {})]
    ]


async def twins(stack):
    """Identities that several resources have."""
    names = Counter(str((one["resourceType"], one.get("identifier") or one["name"])) for one in await stack.resources())
    return [name for name, count in names.items() if count > 1]
