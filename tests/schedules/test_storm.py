"""Work is bounded: however many studies a patient has, one change of them costs a few messages."""

from dataclasses import replace

import pytest

from tests.schedules.explore import walk
from tests.schedules.scenarios import FULL, Scenario, deleted, stored


def patient_with(count, *steps, **options):
    """A patient with this many studies of one image, whose demographics the last one provides."""
    name = f"a patient with {count} studies"
    begun = tuple(stored(number) for number in range(1, count + 1))
    return Scenario(name, begun, at_once=steps, most_messages=10 * count, **options)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("faults", [0, 2])
@pytest.mark.parametrize("count", [30, 100])
@pytest.mark.parametrize("change", ["delete", "correct"])
def test_the_provider_of_demographics_goes(count, workers, faults, change):
    step = deleted(count) if change == "delete" else stored(count, PatientID="B")
    scenario = patient_with(count, step, workers=workers, faults=faults)
    world, wrong = walk(replace(scenario, name=f"{scenario.name}, {change}"), 7)
    assert wrong == ""
    assert world.queue.sent <= 10


@pytest.mark.parametrize("faults", [0, 2])
def test_the_only_provider_of_a_birth_date_goes(faults):
    others = tuple(stored(number) for number in range(1, 30))
    step = stored(30, PatientID="B", **FULL)
    scenario = Scenario(
        "the only one of 30 studies with a birth date goes",
        begun=(*others, stored(30, **FULL)),
        at_once=(step,),
        faults=faults,
        most_messages=300,
    )
    world, wrong = walk(scenario, 7)
    assert wrong == ""
    assert world.queue.sent <= 10
