"""Thousands of rows of the feed, datasets and messages that are none, among good ones: nothing stops for them."""

from collections import Counter
from random import Random

import pytest

from shared.storage.error_records import ErrorTable
from tests.property.mutilation import TOP, _Random

STUDIES, INSTANCES = 10, 100
ODD_ROWS, ODD_DATASETS, NO_DATASETS = 0.4, 0.4, 0.1


def odd_rows(choose, rows):
    """Rows that cannot be read, by sequence; of some the UIDs can still be made out. Not the last: it says how long the
    feed is, and without that the app waits for the next one.
    """
    made = {}
    for row in rows[:-1]:
        if choose.random() < ODD_ROWS:
            name = choose.choice(("studyInstanceUid", "seriesInstanceUid", "sopInstanceUid", "partitionName"))
            wrong = choose.choice(("", "1.2/../3", "x" * 70, None, 7, [], {})) if name != "partitionName" else "a/b"
            junk = choose.choice((None, 7, "row", [], [row], {}, row | {"sequence": "9" * 30}, row | {"sequence": -1}))
            made[row["sequence"]] = choose.choice((junk, row | {name: wrong}))
    return made


def odd_datasets(choose, datasets):
    """What is served instead of datasets: some have odd attributes, some are none."""
    made = {}
    for dataset in datasets:
        uid, kind = dataset["00080018"]["Value"][0], choose.random()
        if kind < ODD_DATASETS:
            made[uid] = dataset | _Random(choose.random()).dataset(choose.sample(TOP, 2), share=1)
        elif kind < ODD_DATASETS + NO_DATASETS:
            no_uid = dataset | {"00080018": {"vr": "UI", "Value": ["none"]}}
            made[uid] = choose.choice((None, 7, "dataset", [], {}, [dataset], no_uid))
    return made


async def in_dicom(stack, path):
    answer = await stack.http.get(f"{stack.dicom}/v1/{path}", headers={"Accept": "application/dicom+json"})
    return answer.raise_for_status().json()


async def all_rows(stack):
    rows = []
    while more := await in_dicom(stack, f"changefeed?offset={len(rows)}&limit=100&includeMetadata=false"):
        rows += more
    return rows


@pytest.fixture
async def odd(stack):
    """The stack with an archive of which half is odd; what is odd of it."""
    choose = Random(7)
    await stack.dicom_dev("bulk", {"studies": STUDIES, "instances_per_series": INSTANCES, "patients": 10})
    rows = await all_rows(stack)
    assert len(rows) == STUDIES * INSTANCES
    datasets = {}
    for study in dict.fromkeys(row["studyInstanceUid"] for row in rows):
        datasets |= odd_datasets(choose, await in_dicom(stack, f"studies/{study}/metadata"))
    malformed = odd_rows(choose, rows)
    await stack.dicom_dev("feed", {"rows_instead": malformed, "metadata_instead": datasets})
    return stack, rows, malformed, datasets


def counted(rows, code):
    """Rows with this code by what they are about; a repetition would have a row of its own."""
    return Counter((row["InstanceUid"], row["Exception"]) for row in rows if row["Exception"].startswith(code))


@pytest.mark.not_on("dicom-server", "it makes up no thousands of instances by itself")
async def test_nothing_stops_for_what_cannot_be_read(odd):
    stack, rows, malformed, datasets = odd
    none = {uid for uid, instead in datasets.items() if not _is_dataset(uid, instead)}
    good = {row["sopInstanceUid"] for row in rows if row["sequence"] not in malformed}
    assert min(len(malformed), len(none), len(datasets) - len(none)) > STUDIES * INSTANCES * 0.05
    tried_again = {row["studyInstanceUid"] for row in rows if row["sopInstanceUid"] in none}
    for _ in range(2):
        assert set(await stack.drain(waiting=len(tried_again))) <= {"created", "unchanged", "superseded"}
        studies = await stack.resources("ImagingStudy")
        found = Counter(one["uid"] for study in studies for series in study["series"] for one in series["instance"])
        assert found == Counter({row["sopInstanceUid"] for row in rows} - none)
        failures = await stack.rows("DicomFailToStoreExceptionTable")
        of_feed, of_instances = counted(failures, "malformed-entry"), counted(failures, "unreadable-metadata")
        assert sorted(row["ChangeFeedSequence"].value for row in failures if _is_of_feed(row)) == sorted(malformed)
        assert of_instances == Counter((uid, "unreadable-metadata: the service gives none") for uid in none & good)
        assert set((of_feed + of_instances).values()) == {1}
        assert await stack.rows(ErrorTable.FHIR) == await stack.rows(ErrorTable.TRANSIENT_FAILURE) == []
        await stack.forget("SyncStateTable")


def _is_dataset(uid, instead):
    return isinstance(instead, dict) and instead.get("00080018", {}).get("Value") == [uid]


def _is_of_feed(row):
    return row["Exception"].startswith("malformed-entry")
