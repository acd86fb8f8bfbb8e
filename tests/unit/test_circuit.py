"""A circuit opens when nobody gets through, lets one through now and then, and closes with the first success."""

from itertools import pairwise

import pytest

from shared.errors import Misconfigured, Rejected, Throttled, TransientError, Unavailable, VersionConflict
from shared.model import StudyKey
from shared.sync.circuit import OPENS_AFTER, Circuit

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


def test_it_opens_after_several_studies_and_says_so_once(clock):
    circuit = opened(clock)
    assert not circuit.failed(StudyKey("p", "2"), DOWN)
    assert not circuit.admits()


def test_one_study_that_fails_for_ever_does_not_open_it(clock):
    circuit = Circuit(clock)
    assert not any(circuit.failed(STUDIES[0], DOWN) for _ in range(100))
    assert circuit.admits()


def test_a_success_between_starts_the_count_anew(clock):
    circuit = Circuit(clock)
    for study in STUDIES[:-1]:
        circuit.failed(study, DOWN)
    assert not circuit.succeeded()
    assert not any(circuit.failed(study, DOWN) for study in STUDIES[:-1])
    assert not circuit.is_open


@pytest.mark.parametrize("error", [Rejected("422"), VersionConflict("412"), TransientError("held", code="claimed")])
def test_what_says_nothing_about_a_service_does_not_count(clock, error):
    circuit = Circuit(clock)
    assert not any(circuit.failed(study, error) for study in STUDIES * 3)
    assert not circuit.is_open


def test_one_is_tried_now_and_then_and_ever_less_often(clock):
    circuit = opened(clock)
    tried = []
    for second in range(600):
        clock.now = 100.0 + second
        if circuit.admits():
            tried.append(second)
            circuit.failed(STUDIES[0], DOWN)
    assert tried[:4] == [5, 15, 35, 75]
    assert all(later - earlier <= 60 for earlier, later in pairwise(tried))


def test_a_wait_that_a_server_asks_for_is_kept(clock):
    circuit = opened(clock, Throttled("429", retry_after_s=30))
    clock.now += 29
    assert not circuit.admits()
    clock.now += 1
    assert circuit.admits()


def test_the_first_success_closes_it(clock):
    circuit = opened(clock)
    assert circuit.succeeded()
    assert circuit.admits()
    assert not circuit.succeeded()


def test_another_reason_is_said(clock):
    circuit = opened(clock)
    assert circuit.failed(STUDIES[0], Misconfigured("403", code="access-refused"))
    assert not circuit.failed(STUDIES[1], Misconfigured("403", code="access-refused"))
