"""A circuit opens when nobody gets through, tries one now and then, closes with the first success, and then makes room
little by little.
"""

from itertools import pairwise

import pytest

from shared.errors import Misconfigured, Rejected, Throttled, Unavailable, VersionConflict
from shared.fhir.searchset import UNREADABLE_RESOURCE
from shared.model import StudyKey
from shared.sync.circuit import MOST_ROOM, OPENS_AFTER, Circuit

DOWN = Unavailable("the FHIR server answered 503")
STUDIES = [StudyKey("p", f"1.{number}") for number in range(OPENS_AFTER)]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def opened(clock, error=DOWN):
    circuit = Circuit(clock)
    said = [circuit.failed(study, error) for study in STUDIES]
    assert said == [False] * (OPENS_AFTER - 1) + [True]
    assert circuit.is_open
    return circuit


def room(circuit):
    """How many studies may run at the same time."""
    entered = 0
    while circuit.enter():
        entered += 1
    for _ in range(entered):
        circuit.leave()
    return entered


def closed(clock):
    circuit = opened(clock)
    clock.now += 5
    assert circuit.enter()
    assert circuit.succeeded()
    circuit.leave()
    return circuit


def test_it_opens_after_several_studies_and_says_so_once(clock):
    circuit = opened(clock)
    assert not circuit.failed(StudyKey("p", "2"), DOWN)
    assert not circuit.enter()


def test_one_study_that_fails_for_ever_does_not_open_it(clock):
    circuit = Circuit(clock)
    assert not any(circuit.failed(STUDIES[0], DOWN) for _ in range(100))
    assert room(circuit) == MOST_ROOM


def test_a_success_between_starts_the_count_anew(clock):
    circuit = Circuit(clock)
    for study in STUDIES[:-1]:
        circuit.failed(study, DOWN)
    assert not circuit.succeeded()
    assert not any(circuit.failed(study, DOWN) for study in STUDIES[:-1])
    assert not circuit.is_open


@pytest.mark.parametrize(
    "error", [Rejected("422"), VersionConflict("412"), Unavailable("odd", code=UNREADABLE_RESOURCE)]
)
def test_what_says_nothing_about_a_service_does_not_count(clock, error):
    circuit = Circuit(clock)
    assert not any(circuit.failed(study, error) for study in STUDIES * 3)
    assert not circuit.is_open


def test_one_is_tried_now_and_then_and_ever_less_often(clock):
    circuit = opened(clock)
    tried = []
    for second in range(600):
        clock.now = 100.0 + second
        if circuit.enter():
            tried.append(second)
            circuit.failed(STUDIES[0], DOWN)
            circuit.leave()
    assert tried[:4] == [5, 15, 35, 75]
    assert all(later - earlier <= 60 for earlier, later in pairwise(tried))


def test_while_one_is_tried_no_other_is_however_long_it_takes(clock):
    circuit = opened(clock)
    clock.now += 5
    assert circuit.enter()
    clock.now += 600
    assert not circuit.enter()
    circuit.leave()
    assert circuit.enter()


def test_what_ran_when_it_opened_is_waited_for(clock):
    circuit = Circuit(clock)
    assert circuit.enter()
    for study in STUDIES:
        circuit.failed(study, DOWN)
    clock.now += 600
    assert not circuit.enter()
    circuit.leave()
    assert circuit.enter()


def test_a_wait_that_a_server_asks_for_is_kept(clock):
    circuit = opened(clock, Throttled("429", retry_after_s=30))
    clock.now += 29
    assert not circuit.enter()
    clock.now += 1
    assert circuit.enter()


def test_the_first_success_closes_it(clock):
    circuit = closed(clock)
    assert not circuit.is_open
    assert not circuit.succeeded()


def test_after_that_there_is_room_for_one_and_then_for_more(clock):
    circuit = closed(clock)
    rooms = [room(circuit)]
    for _ in range(100):
        circuit.succeeded()
        rooms.append(room(circuit))
    assert rooms[:5] == [1, 2, 3, 4, 5]
    assert rooms[-1] == MOST_ROOM


def test_a_server_that_asks_for_less_gets_half_and_then_slowly_more(clock):
    circuit = Circuit(clock)
    for _ in range(12):
        circuit.enter()
    circuit.failed(STUDIES[0], Throttled("429"))
    for _ in range(12):
        circuit.leave()
    assert room(circuit) == 6
    rooms = []
    for _ in range(14):
        circuit.succeeded()
        rooms.append(room(circuit))
    assert (rooms[0], rooms[-1]) == (6, 8), "one more for each round of successes"


def test_there_is_always_room_for_one(clock):
    circuit = Circuit(clock)
    for _ in range(100):
        circuit.failed(STUDIES[0], Throttled("429"))
    assert room(circuit) == 1


def test_another_reason_is_said(clock):
    circuit = opened(clock)
    assert circuit.failed(STUDIES[0], Misconfigured("403", code="access-refused"))
    assert not circuit.failed(STUDIES[1], Misconfigured("403", code="access-refused"))
