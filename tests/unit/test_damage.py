"""When instances that cannot be read are asked for again."""

import pytest

from shared.model import InstanceKey, StudyChange, StudyKey
from shared.sync.damage import DELAYS_S, next_try

STUDY = StudyKey("Microsoft.Default", "1.2.3")
A, B = InstanceKey("1.2.3.1", "1.2.3.1.1"), InstanceKey("1.2.3.1", "1.2.3.1.2")


def change(**members):
    return StudyChange(STUDY, 5, **members)


def test_the_first_try_is_a_message_of_its_own():
    message, delay_s = next_try(change(instances={A: 7}), {A}, [])
    assert (message.instances, message.tries, message.attempts, message.poll) == ({A: 7}, 1, 0, 5)
    assert message.part < 0
    assert DELAYS_S[0] <= delay_s <= DELAYS_S[0] * 1.25


@pytest.mark.parametrize("attempts", [0, 3, 50])
def test_an_outage_uses_no_try_up(attempts):
    """The message of a try waits for services that refuse everyone, as any other does."""
    message, delay_s = next_try(change(part=-7, instances={A: 0}, tries=2, attempts=attempts), {A}, [A])
    assert (message.tries, message.attempts) == (3, 0)
    assert DELAYS_S[2] <= delay_s


def test_nothing_comes_after_the_last_try():
    assert next_try(change(part=-7, instances={A: 0}, tries=len(DELAYS_S)), {A}, [A]) is None


def test_what_another_message_asks_for_is_left_to_it():
    assert next_try(change(instances={A: 7}), {A}, [A]) is None
    message, _ = next_try(change(instances={A: 7, B: 8}), {A, B}, [A])
    assert message.instances == {B: 8}


def test_a_message_that_waited_for_services_is_no_try():
    """A resync that was deferred in an outage: what is recorded has its message."""
    assert next_try(change(part=-7, attempts=4), {A}, [A]) is None
