"""A thousand schedules by chance, and whether taking a guard away is noticed (`make schedules` searches them all)."""

from dataclasses import replace

import pytest

from tests.schedules.explore import walk
from tests.schedules.scenarios import ALL

WALKS = 1000


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_schedules_by_chance(scenario):
    """Each ends in the content that one worker gives, on which nothing goes wrong."""
    for seed in range(WALKS // len(ALL)):
        _, wrong = walk(replace(scenario, faults=seed % 3 * scenario.can_fail), seed)
        assert wrong == "", f"seed {seed}"
