"""Rules of the language that a compiler would know. There is none here, so these look for its likeliest complaints."""

import re
from collections.abc import Callable, Iterator

from tests.infra import symbols
from tests.infra.tables import REQUIRED, VERSIONS
from tests.infra.template import Infra

Rule = Callable[[Infra], list[str]]
RULES: list[Rule] = []


def rule(check: Callable[[Infra], Iterator[str]]) -> Rule:
    def listed(infra: Infra) -> list[str]:
        return list(check(infra))

    listed.__name__, listed.__doc__ = check.__name__, check.__doc__
    RULES.append(listed)
    return listed


@rule
def every_file_parses(infra):
    for file, problem in infra.broken.items():
        yield f"{file}: {problem}"
    for file in (name for name in infra.files if name.endswith(".json")):
        try:
            infra.json(file)
        except ValueError as problem:
            yield f"{file}: {problem}"


@rule
def names_are_declared_and_used(infra):
    """The compiler would refuse the one and warn of the other."""
    for file, template in infra.templates.items():
        used, declared = symbols.used(template.text), symbols.declared(template.text)
        yield from (f"{file}: {name} is not declared" for name in used - declared)
        optional = set(template.resources) | set(template.modules)
        yield from (f"{file}: {name} is not used" for name in declared - used - optional)


@rule
def modules_exist_and_get_their_parameters(infra):
    for module in infra.modules():
        if (target := infra.templates.get(module.kind)) is None:
            yield f"{module.file}: {module.symbol} is made from {module.kind}, which is not there"
            continue
        passed = set(module.body.get("params", {}))
        yield from (f"{module.kind} has no parameter {name}" for name in passed - set(target.parameters))
        yield from (f"{module.file}: {module.symbol} lacks {name}" for name in target.required() - passed)


@rule
def properties_that_are_read_exist(infra):
    """Outputs of modules, and members of variables."""
    for file, template in infra.templates.items():
        for symbol, name in re.findall(r"\b(\w+)!?\.outputs\.(\w+)", template.text):
            module = template.modules.get(symbol)
            if module is None or name not in infra.templates[module.kind].outputs:
                yield f"{file}: {symbol} has no output {name}"
        for variable, name in re.findall(r"(?<![\w./'])(\w+)\.(\w+)", template.text):
            members = infra.resolved(file, variable)
            if variable in template.variables and isinstance(members, dict) and name not in members:
                yield f"{file}: {variable} has no {name}"


@rule
def resource_types_and_versions_are_known(infra):
    for one in infra.resources():
        if VERSIONS.get(one.kind) != one.version:
            yield f"{one.file}: {one.kind}@{one.version}, known is {VERSIONS.get(one.kind)}"


@rule
def resources_and_modules_have_what_they_cannot_be_without(infra):
    for one in infra.resources():
        paths = ["name", *(["parent"] if one.kind.count("/") > 1 else [])]
        paths += [] if one.existing else REQUIRED.get(one.kind, "").split()
        yield from (f"{one.file}: {one.symbol} has no {path}" for path in paths if one.value(path) is None)
    yield from (f"{one.file}: {one.symbol} has no name" for one in infra.modules() if "name" not in one.body)
