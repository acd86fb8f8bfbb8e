"""The app before a FHIR server that behaves as Microsoft's may: the end is the same as with any other."""

import pytest

from tests.flow.life import STEPS, assert_nothing_left, differences, linked

EXPECTED = {}
REFUSED = {"methods": ["POST"], "holds": '"type":"transaction"'}


@pytest.fixture
async def expected(new_stack, fresh_projection):
    """What FHIR says after each step where nothing is in the way."""
    if not EXPECTED:
        stack = new_stack()
        for step in STEPS:
            await step(stack)
            await stack.drain()
            content = linked(await stack.content())
            assert differences(content, await fresh_projection()) == [], step.__name__
            EXPECTED[step] = content
    return EXPECTED


async def live(stack, expected):
    for step in STEPS:
        await step(stack)
        await stack.drain()
        assert differences(linked(await stack.content()), expected[step]) == [], step.__name__
        await assert_nothing_left(stack)


SWITCHES = [
    {"searched_creates_s": 0.05},
    {"lost_creates": 1},
    {"lost_creates": 9},
    {"swap_refusals": True},
    {"extra_entry": True},
    {"location_on_update": False},
    {"lag_s": 0.4},
    {"swap_refusals": True, "extra_entry": True, "location_on_update": False, "searched_creates_s": 0.05},
    {"lost_creates": 9, "swap_refusals": True, "extra_entry": True, "location_on_update": False},
    {"lag_s": 0.4, "searched_creates_s": 0.05, "swap_refusals": True},
    {"lag_s": 0.4, "lost_creates": 9},
]


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize("switches", SWITCHES, ids=lambda one: "-".join(f"{name}={one[name]}" for name in one))
async def test_each_switch(expected, stack, between, switches):
    before = await between("fhir")
    before["fhir"].use([], fhir=switches)
    await live(stack, expected)
