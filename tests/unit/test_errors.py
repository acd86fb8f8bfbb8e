"""The taxonomy: codes are row keys and documentation, so they are unique and do not change."""

import ast
import re
from pathlib import Path

import pytest

from shared import errors

SHARED = Path(errors.__file__).parent
TREE = {
    "SyncError": ("Exception", "error"),
    "TransientError": ("SyncError", "transient"),
    "Throttled": ("TransientError", "throttled"),
    "Unavailable": ("TransientError", "unavailable"),
    "NoRoom": ("TransientError", "no-room"),
    "VersionConflict": ("TransientError", "version-conflict"),
    "Overwritten": ("VersionConflict", "overwritten"),
    "PermanentError": ("SyncError", "permanent"),
    "InvalidStudy": ("PermanentError", "invalid-study"),
    "AmbiguousMatch": ("PermanentError", "ambiguous-match"),
    "Rejected": ("PermanentError", "rejected"),
    "Misconfigured": ("SyncError", "misconfigured"),
}


def _classes():
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.SyncError)
    }


def _literal_codes():
    for path in sorted(SHARED.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                yield node.value.value


def test_tree_and_codes_are_those_documented():
    found = {name: (kind.__base__.__name__, kind.code) for name, kind in _classes().items()}
    assert found == TREE


def test_codes_are_unique():
    codes = [kind.code for kind in _classes().values()]
    assert sorted(set(codes)) == sorted(codes)


def test_codes_have_one_spelling():
    codes = [code for code in (*(kind.code for kind in _classes().values()), *_literal_codes()) if code is not None]
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code)] == []


@pytest.mark.parametrize("name", sorted(TREE))
def test_message_and_code(name):
    error = _classes()[name]("what happened")
    assert (str(error), error.code) == ("what happened", TREE[name][1])


@pytest.mark.parametrize("name", sorted(TREE))
def test_code_of_one_error_leaves_that_of_its_class(name):
    kind = _classes()[name]
    assert (kind("what happened", code="special").code, kind.code) == ("special", TREE[name][1])


@pytest.mark.parametrize("name", ["TransientError", "Throttled", "Unavailable", "VersionConflict"])
def test_transient_errors_carry_what_the_server_asked(name):
    kind = _classes()[name]
    assert (kind("m").retry_after_s, kind("m", retry_after_s=3.0).retry_after_s) == (None, 3.0)


def test_outcome_of_an_unavailable_server_is_unknown_unless_said():
    assert errors.Unavailable("m").outcome_unknown is True
    assert errors.Unavailable("m", outcome_unknown=False).outcome_unknown is False


@pytest.mark.parametrize(
    ("problems", "expected"),
    [
        pytest.param((), ("what happened",), id="the message itself"),
        pytest.param(["one", "two"], ("one", "two"), id="several"),
    ],
)
def test_misconfigured_names_each_problem(problems, expected):
    assert errors.Misconfigured("what happened", problems=problems).problems == expected
