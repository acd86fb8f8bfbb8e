"""The templates keep the rules, and no rule passes a template that breaks it."""

import pytest

from tests.infra import mutations
from tests.infra.compiler import RULES, every_file_parses
from tests.infra.template import Infra

INFRA = Infra.read()
MUTATIONS = [*mutations.WRITTEN, *mutations.made(INFRA)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_templates_keep_the_rule(rule):
    assert rule(INFRA) == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: f"{one.rule.__name__}-{one.says}")
def test_rule_finds_the_fault(mutation):
    infra = INFRA.changed(mutation.file, mutation.old, mutation.new)
    assert not infra.broken or mutation.rule is every_file_parses
    problems = mutation.rule(infra)
    assert any(mutation.says in problem for problem in problems), problems


def test_every_rule_is_shown_to_fail():
    assert {mutation.rule for mutation in MUTATIONS} == set(RULES)


def test_every_file_is_looked_at():
    by_themselves = {"infra/main.bicep", "infra/fhir-role.bicep"}
    assert {module.kind for module in INFRA.modules()} == set(INFRA.templates) - by_themselves
