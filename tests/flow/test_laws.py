"""The laws: any order, any duplication, any delay, any crash, any number of workers end in the same content."""

import asyncio
import random

import pytest

from tests.builders import make_instance, series_uid, sop_uid, study_uid

PATIENTS = ("MRN-0001", "MRN-0002")


async def change_something(stack, choose, alive):
    """One random change of DICOM. `alive` is what is stored now: (study, series, instance)."""
    kind = choose.choices(("store", "delete instance", "delete series", "delete study", "update"), (6, 2, 1, 1, 2))[0]
    if kind == "store" or not alive:
        new = {
            (choose.randint(1, 3), choose.randint(1, 2), choose.randint(1, 30)) for _ in range(choose.randint(1, 12))
        }
        new -= alive
        if new:
            await stack.store(*(_random_instance(choose, *key) for key in sorted(new)))
        alive |= new
        return
    study, series, instance = choose.choice(sorted(alive))
    if kind == "update":
        name = choose.choice(("Lund^Bo", "Okafor^Chi", "Rivera^Ana"))
        patient = choose.choice(PATIENTS)
        await stack.bulk_update(
            study_uid(study),
            **{
                "00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]},
                "00100020": {"vr": "LO", "Value": [patient]},
                "00081030": {"vr": "LO", "Value": [f"description {choose.randint(1, 5)}"]},
            },
        )
        return
    path = {
        "delete instance": f"{study_uid(study)}/series/{series_uid(study, series)}"
        f"/instances/{sop_uid(study, series, instance)}",
        "delete series": f"{study_uid(study)}/series/{series_uid(study, series)}",
        "delete study": study_uid(study),
    }[kind]
    depth = {"delete study": 1, "delete series": 2, "delete instance": 3}[kind]
    await stack.delete(path)
    alive -= {key for key in alive if key[:depth] == (study, series, instance)[:depth]}


def _random_instance(choose, study, series, instance):
    """Instances of one study disagree about it, so that it matters which of them speaks for the others."""
    return make_instance(
        study,
        series,
        instance,
        PatientID=PATIENTS[study % 2],
        PatientName=choose.choice(("Lund^Bo", "Okafor^Chi", "Rivera^Ana")),
        StudyDescription=choose.choice(("one", "two", None)),
        AccessionNumber=choose.choice(("A1", "A2", None)),
        SeriesDescription=choose.choice(("axial", "coronal", None)),
        InstanceNumber=instance if choose.random() < 0.9 else None,
    )


async def changes_and_messages(stack, choose, steps):
    """Change DICOM with polls between, and keep the messages instead of running them."""
    alive, texts = set(), []
    for _ in range(steps):
        await change_something(stack, choose, alive)
        if choose.random() < 0.5:
            await stack.poll()
            texts += await stack.messages()
    await stack.poll()
    return texts + await stack.messages()


async def assert_in_step(stack, fresh_projection):
    """FHIR equals a fresh projection, but for Patients that no study is left of: those stay as they were."""
    fresh = await fresh_projection()
    content = await stack.content()
    linked = {one["subject"]["reference"] for one in fresh if one["resourceType"] == "ImagingStudy"}
    kept = [
        one
        for one in content
        if one["resourceType"] != "Patient" or f"Patient {one['identifier'][0]['value']}" in linked
    ]
    if not linked:
        kept = [one for one in kept if one["resourceType"] != "Endpoint"]
    assert kept == fresh


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_and_duplication_of_messages(stack, fresh_projection, seed):
    choose = random.Random(seed)
    texts = await changes_and_messages(stack, choose, 12)
    texts += choose.choices(texts, k=len(texts) // 2)
    choose.shuffle(texts)
    await stack.run(*texts)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)
    versions = await stack.versions()
    choose.shuffle(texts)
    await stack.run(*texts)
    assert await stack.versions() == versions


@pytest.mark.parametrize("seed", range(4))
async def test_messages_run_while_dicom_changes(stack, fresh_projection, seed):
    choose = random.Random(100 + seed)
    alive, delayed = set(), []
    for _ in range(12):
        await change_something(stack, choose, alive)
        await stack.poll()
        delayed += await stack.messages()
        choose.shuffle(delayed)
        now, delayed = delayed[: len(delayed) // 2], delayed[len(delayed) // 2 :]
        await stack.run(*now)
    await stack.run(*delayed)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


@pytest.mark.parametrize("seed", range(4))
async def test_any_number_of_workers_at_once(stack, fresh_projection, seed):
    choose = random.Random(200 + seed)
    workers = [stack.app, stack.new_app(), stack.new_app(), stack.new_app()]
    texts = await changes_and_messages(stack, choose, 10)
    texts += choose.choices(texts, k=len(texts))
    choose.shuffle(texts)
    await asyncio.gather(*(stack.run(*texts[number::4], app=app) for number, app in enumerate(workers)))
    await stack.drain()
    await assert_in_step(stack, fresh_projection)


@pytest.mark.parametrize("seed", range(4))
async def test_a_worker_that_dies_anywhere(stack, fresh_projection, seed):
    """A pass is cut off after a random time, the way a killed process would be; its message comes again later."""
    choose = random.Random(300 + seed)
    texts = await changes_and_messages(stack, choose, 10)
    undone = list(texts)
    for text in texts * 2:
        task = asyncio.create_task(stack.run(text))
        done, _ = await asyncio.wait({task}, timeout=choose.uniform(0, 0.06))
        if not done:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    choose.shuffle(undone)
    await stack.run(*undone)
    await stack.drain()
    await assert_in_step(stack, fresh_projection)
