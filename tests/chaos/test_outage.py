"""A FHIR server that is dead for seconds; `python -m tests.chaos.outage` goes on for a minute."""

import pytest

from tests.chaos.outage import run


@pytest.mark.timeout(240)
async def test_a_server_that_is_killed_and_comes_back(tmp_path):
    outcome = await run(tmp_path, studies=30, down_s=5.0)
    assert outcome.wrong == []
    assert outcome.waiting > 10
    assert outcome.asked < 120, "of 30 studies with many attempts each"
    assert outcome.events["services_refuse"] <= 4, "once for each worker, and once more if the reason changes"
    assert outcome.events["services_back"] >= 1
