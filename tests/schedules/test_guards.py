"""Each guard is taken away once: the schedules notice. A search that cannot fail shows nothing."""

import contextlib
from dataclasses import replace

import pytest

from shared.errors import Overwritten
from shared.fhir.creation import Creation
from shared.model import StudyChange
from shared.sync import writers
from tests.schedules import scenarios
from tests.schedules.explore import walk
from tests.schedules.world import Guards, World

MOST_WALKS = 1000


def without(name, scenario, monkeypatch, *, guards=None):
    """The first schedule that ends otherwise without the guard: its seed. What is expected is known before."""
    named = replace(scenario, name=f"{scenario.name} without {name}", guards=guards or scenario.guards)
    scenarios.know(scenario, named)
    GONE.get(name, lambda _: None)(monkeypatch)
    walks = (
        (seed, walk(replace(named, faults=(1 + seed % 2) * named.can_fail), seed)[1]) for seed in range(MOST_WALKS)
    )
    return next((seed for seed, wrong in walks if wrong), None)


def no_undoing(monkeypatch):
    """What a late creation overwrote stays overwritten; the pass runs again."""

    async def check_first(self, _, answers):
        late = [answer for answer in answers if answer.is_late]
        before = [await self._before(answer) for answer in late]
        if any(versions != [None] for versions in before):
            raise Overwritten("m")

    monkeypatch.setattr(Creation, "check_first", check_first)


def no_other_run(monkeypatch):
    """What a late creation overwrote is put back, and the creation is taken for one that came first."""
    check_first = Creation.check_first

    async def check(*args):
        with contextlib.suppress(Overwritten):
            await check_first(*args)

    monkeypatch.setattr(Creation, "check_first", check)


def no_poll_number(monkeypatch):
    """Every message seems to come from the same poll."""

    def change(self, study, listed):
        self.queue.put(StudyChange(study, 1000, self.sequence, listed).to_json())

    monkeypatch.setattr(World, "change", change)


def no_waiting(monkeypatch):
    """A message whose transaction had no answer comes again at once."""
    monkeypatch.setattr(writers, "SETTLED_AFTER_S", 0.0)


GONE = {"undoing": no_undoing, "another run": no_other_run, "poll number": no_poll_number, "waiting": no_waiting}


@pytest.mark.parametrize(
    ("name", "scenario", "guards"),
    [
        ("ETag", scenarios.RELINKED, Guards(etag=False)),
        ("ifMatch", scenarios.EDITED, Guards(if_match=False)),
        ("undoing", scenarios.NEW_AND_EDITED, None),
        ("another run", scenarios.TWO_APPS, None),
        ("poll number", scenarios.SHOWN_LATE, None),
        ("waiting", scenarios.CORRECTED, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_without_a_guard(name, scenario, guards, monkeypatch):
    assert without(name, scenario, monkeypatch, guards=guards) is not None
