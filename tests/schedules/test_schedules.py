"""A thousand schedules by chance, and whether taking a guard away is noticed (`make schedules` searches them all)."""

from dataclasses import replace

import pytest

from tests.schedules.explore import walk
from tests.schedules.scenarios import ALL
from tests.schedules.world import Guards

WALKS = 1000


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_schedules_by_chance(scenario):
    """Each ends in the content that one worker gives, on which nothing goes wrong."""
    for seed in range(WALKS // len(ALL)):
        _, wrong = walk(replace(scenario, faults=seed % 3 * scenario.can_fail), seed)
        assert wrong == "", f"seed {seed}"


def test_a_guard_that_is_taken_away_is_noticed():
    """Without the ETag of the state rows. A search that cannot fail shows nothing."""
    guards = Guards(etag=False)
    wrong = (
        (scenario.name, seed)
        for seed in range(WALKS)
        for scenario in ALL
        if walk(
            replace(scenario, name=f"{scenario.name} without ETag", guards=guards, faults=seed % 3 * scenario.can_fail),
            seed,
        )[1]
    )
    assert next(wrong, None), "some schedule"
