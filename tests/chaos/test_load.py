"""What is planned for a day: the same for a seed, and more of it with each addition."""

from collections import Counter

from tests.chaos import load
from tests.chaos.additions import Addition


def test_a_seed_plans_one_day_and_additions_add_to_it():
    everyday = load.plan(3, 60)
    assert everyday == load.plan(3, 60)
    assert not any(step.partition for step in everyday)
    more = load.plan(3, 60, additions={Addition.MANY_STUDIES})
    assert [step for step in more if step.study < load.FIRST_OF_MANY] == everyday
    kinds = Counter(step.kind for step in more if step.study >= load.FIRST_OF_MANY)
    assert kinds["store"] == load.MANY
    assert kinds["delete study"] + kinds["update"] == load.CHANGES_OF_MANY


def test_studies_move_between_partitions_in_both_orders_and_are_in_one_afterwards():
    steps = load.plan(3, 300, additions={Addition.PARTITIONS})
    place = {}
    for step in steps:
        assert place.setdefault(step.study, step.partition) == step.partition
        if step.kind == "move":
            assert step.to != step.partition
            place[step.study] = step.to
    assert {step.stores_first for step in steps if step.kind == "move"} == {True, False}
    assert set(place.values()) == set(load.PARTITIONS)
