"""A short day under fire; `make chaos` goes on for minutes."""

import pytest

from tests.chaos.run import run
from tests.chaos.trouble import Conditions


@pytest.mark.timeout(400)
async def test_a_short_day_under_fire(tmp_path):
    conditions = Conditions(rate=0.3, kill_every_s=4, pause_every_s=3, hosts=2, steps_per_s=2)
    outcome = await run(tmp_path, 11, 12, conditions)
    assert outcome.wrong == []
    assert outcome.faults.total() > 50
    assert outcome.trouble.kills
    assert outcome.trouble.duplicated
    assert outcome.outcomes["created"]
