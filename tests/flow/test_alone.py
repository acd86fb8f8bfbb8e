"""A study in a process of its own, on the real parts of the stack."""

import asyncio
import logging
from dataclasses import replace

import pytest

from shared.errors import Raised
from shared.model import StudyChange
from shared.sync import writers
from shared.sync.others import look_again
from tests.builders import make_instance, study_uid
from tests.hosts.real_host import SITE

FAILED = "FhirFailToStoreExceptionTable"


async def changes(stack):
    await stack.poll()
    return [StudyChange.from_json(text) for text in await stack.messages()]


@pytest.fixture
def fatal(monkeypatch, tmp_path):
    """Say how processes of their own end from now on, at the first study; None: as they should."""
    (tmp_path / "sitecustomize.py").write_text(SITE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def say(how):
        monkeypatch.setenv("FATAL", f'{{"{study_uid(1)}": "{how}"}}' if how else "{}")

    return say


async def claims_end():
    """Those of a process that ended are left to expire."""
    await asyncio.sleep(writers.SETTLED_AFTER_S + 0.5)


async def test_it_writes_what_a_worker_writes_and_says_so_here(stack, fresh_projection, caplog):
    caplog.set_level(logging.INFO)
    await stack.store(make_instance(1), make_instance(1, 1, 2))
    [change] = await changes(stack)
    assert await stack.run(replace(change, alone=True).to_json()) == ["created"]
    assert await stack.content() == await fresh_projection()
    [said] = [one for one in caplog.records if getattr(one, "event", "") == "study_synced"][:1]
    assert (said.field_study, said.field_outcome) == (study_uid(1), "created")


async def test_a_study_that_ended_its_process_goes_alone_until_it_succeeds(stack, fatal):
    await stack.store(make_instance(1))
    [change] = await changes(stack)
    fatal("exit")
    assert await stack.run(replace(change, alone=True).to_json()) == ["failed"]
    assert [row["Exception"] for row in await stack.rows(FAILED)] == ["process-died: it ended its process: exit code 3"]
    # the same once more says nothing new
    assert await stack.run(change.to_json(), replace(change, part=5, alone=True).to_json()) == ["failed", "failed"]
    # the next change is tried, in a process of its own: it would end this one
    await stack.store(make_instance(1, 1, 2))
    [later] = await changes(stack)
    assert await stack.run(later.to_json()) == ["failed"]
    fatal(None)
    await claims_end()
    await stack.store(make_instance(1, 1, 3))
    assert (await stack.drain()) == {"created": 1}
    assert await stack.rows(FAILED) == []
    [state] = await stack.rows("StudyStateTable")
    assert (state["Parked"], state["FatalPoll"].value) == (False, 0)
    assert (await stack.one("ImagingStudy"))["numberOfInstances"] == 3


async def test_it_can_be_retried_by_hand(stack, fatal):
    await stack.store(make_instance(1))
    [change] = await changes(stack)
    fatal("exit")
    await stack.run(replace(change, alone=True).to_json())
    fatal(None)
    await claims_end()
    assert await stack.run(look_again(change.study, 0).to_json()) == ["created"]
    assert await stack.rows(FAILED) == []


async def test_a_defect_names_its_place_and_no_value(stack, fatal):
    await stack.store(make_instance(1))
    [change] = await changes(stack)
    fatal("raise")
    with pytest.raises(Raised) as raised:
        await stack.run(replace(change, alone=True).to_json())
    assert str(raised.value).startswith(f"study {study_uid(1)}, sequence 1: KeyError at sitecustomize.py")
    assert "a name" not in str(raised.value)
