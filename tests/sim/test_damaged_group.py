"""A failure that belongs to a study is no failure of the service: a group of damaged studies holds nobody else up, and
an outage is noticed all the same. Simulated time.
"""

import pytest

from shared.storage.error_records import ErrorTable
from tests.sim.damaged_group import Plan, lived

GROUPS = {
    "metadata": Plan(damaged=150, healthy=50, old=200),
    "metadata, messages without instances": Plan(damaged=150, healthy=50, old=200, are_named=False),
    "metadata and searches": Plan(damaged=150, healthy=50, old=200, are_named=False, has_index=False),
    "writes": Plan(damaged=150, healthy=50, is_write_refused=True),
}


@pytest.mark.parametrize("plan", GROUPS.values(), ids=GROUPS)
def test_a_group_of_studies_that_fail_for_themselves_holds_nobody_up(plan):
    world = lived(plan)
    assert len(world.lags) == plan.healthy
    assert world.lag(0.9) < 60
    assert world.lags[-1] < 120
    assert world.rows(ErrorTable.FHIR) == []


def test_a_storage_of_metadata_that_answers_for_nothing_is_an_outage():
    """Feed and index answer meanwhile."""
    plan = Plan(damaged=0, healthy=300, old=200, within_s=3600, down_s=3600)
    world = lived(plan)
    assert len(world.lags) == plan.healthy
    asked = [sum(world.archive.asked[minute * 60 + second] for second in range(60)) for minute in range(10, 59)]
    assert sum(asked) / len(asked) < plan.workers * 25, (
        "one study a minute and worker, and what tells that it is an outage"
    )
    late = [at_s for uid, at_s in world.done.items()]
    assert min(late) > plan.down_s
    assert max(late) < plan.down_s + 20 * 60
