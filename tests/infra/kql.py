"""As much of the Kusto query language as the alerts use, over rows in memory. What it does not know raises.

Rows are dictionaries; nothing (null) is None, and a comparison with nothing is false.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

Row = Mapping[str, Any]
Value = Callable[[Row], Any]

TOKEN = re.compile(
    r"""\s*(?:(?P<span>\d+[smhd])\b|(?P<number>\d+)|"(?P<text>(?:[^"\\]|\\.)*)"|(?P<name>matches\ regex|\w+)
    |(?P<sign>==|!=|<=|>=|[-+*<>=(),]))""",
    re.VERBOSE,
)
CONSTANTS = {"true": True, "false": False}
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LITERALS: dict[str, Callable[[str], Any]] = {
    "span": lambda text: timedelta(**{UNITS[text[-1]]: int(text[:-1])}),
    "number": int,
    "text": str,
}
COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "startswith": lambda text, start: text.lower().startswith(start.lower()),
    "contains": lambda text, part: part.lower() in text.lower(),
    "matches regex": lambda text, pattern: re.search(pattern, text) is not None,
}
ADDED: dict[str, Callable[[Any, Any], Any]] = {"+": operator.add, "-": operator.sub}
MULTIPLIED: dict[str, Callable[[Any, Any], Any]] = {"*": operator.mul}


def run(query: str, tables: Mapping[str, Iterable[Row]], now: datetime) -> list[Row]:
    """The rows that a query answers at a moment."""
    table, *steps = [step.strip() for step in re.split(r"\n\s*\|", query.strip())]
    rows: Iterable[Row] = tables[table]
    for step in steps:
        verb, _, rest = step.partition(" ")
        rows = VERBS[verb](_Parser(rest, now), rows)
    return list(rows)


def _where(parser: "_Parser", rows: Iterable[Row]) -> Iterable[Row]:
    test = parser.whole()
    return [row for row in rows if test(row)]


def _extend(parser: "_Parser", rows: Iterable[Row]) -> Iterable[Row]:
    columns = parser.columns()
    return [{**row, **{name: value(row) for name, value in columns}} for row in rows]


def _summarize(parser: "_Parser", rows: Iterable[Row]) -> Iterable[Row]:
    """Always one row, as where there is no `by`."""
    rows, found = list(rows), {}
    for name, aggregate, values in parser.aggregates():
        of_rows = [[value(row) for value in values] for row in rows]
        if aggregate == "arg_max":
            names = parser.names_of(name)
            best = max((one for one in of_rows if one[0] is not None), key=lambda one: one[0], default=[None] * 2)
            found |= dict(zip(names, best, strict=True))
        else:
            found[name] = AGGREGATES[aggregate](of_rows)
    return [found]


VERBS = {"where": _where, "extend": _extend, "summarize": _summarize}
AGGREGATES: dict[str, Callable[[list[list[Any]]], Any]] = {
    "count": len,
    "countif": lambda rows: sum(bool(row[0]) for row in rows),
    "min": lambda rows: min((row[0] for row in rows if row[0] is not None), default=None),
    "maxif": lambda rows: max((row[0] for row in rows if row[1]), default=None),
}


@cache
def _extracted(pattern: str, group: int, text: str | None) -> str | None:
    found = re.search(pattern, text) if text is not None else None
    return found[group] if found else None


def _whole_number(text: str | None) -> int | None:
    return int(text) if text else None


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "extract": _extracted,
    "toint": _whole_number,
    "tolong": _whole_number,
    "isnull": lambda value: value is None,
    "not": lambda value: None if value is None else not value,
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
}


class _Parser:
    """Expressions of one step, as functions of a row."""

    def __init__(self, text: str, now: datetime) -> None:
        self._now = now
        self._tokens: list[tuple[str, str]] = []
        text, place = text.rstrip(), 0
        while place < len(text):
            found = TOKEN.match(text, place)
            if found is None:
                raise ValueError(f"cannot read {text[place:]!r}")
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind]))
            place = found.end()

    def whole(self) -> Value:
        value = self._any_of()
        if self._tokens:
            raise ValueError(f"cannot read {self._tokens!r}")
        return value

    def columns(self) -> list[tuple[str, Value]]:
        """`Name = expression` and further ones."""
        found = []
        while self._tokens:
            name = self._take("name")
            self._take("sign", "=")
            found.append((name, self._any_of()))
            self._comma()
        return found

    def aggregates(self) -> list[tuple[str, str, list[Value]]]:
        """Name, aggregate and its arguments, of each column; of `arg_max` the name is that of its arguments."""
        found = []
        while self._tokens:
            name = self._take("name")
            aggregate = name
            if self._next("="):
                aggregate = self._take("name")
            else:
                inner = self._tokens[1 : self._tokens.index(("sign", ")"))]
                name = ",".join(text for kind, text in inner if kind == "name")
            found.append((name, aggregate, self._arguments()))
            self._comma()
        return found

    @staticmethod
    def names_of(name: str) -> list[str]:
        return name.split(",")

    def _any_of(self) -> Value:
        values = [self._all_of()]
        while self._next("or"):
            values.append(self._all_of())
        return values[0] if len(values) == 1 else lambda row: any(value(row) for value in values)

    def _all_of(self) -> Value:
        values = [self._comparison()]
        while self._next("and"):
            values.append(self._comparison())
        return values[0] if len(values) == 1 else lambda row: all(value(row) for value in values)

    def _comparison(self) -> Value:
        return self._binary(COMPARED, self._sum, where_null=False)

    def _sum(self) -> Value:
        return self._binary(ADDED, lambda: self._binary(MULTIPLIED, self._one, where_null=None), where_null=None)

    def _binary(self, operators: Mapping[str, Any], operand: Callable[[], Value], where_null: Any) -> Value:
        left = operand()
        while self._tokens and self._tokens[0][1] in operators and self._tokens[0][0] != "text":
            left = _applied(operators[self._tokens.pop(0)[1]], left, operand(), where_null)
        return left

    def _one(self) -> Value:
        kind, text = self._tokens.pop(0)
        if (kind, text) == ("sign", "("):
            value = self._any_of()
            self._take("sign", ")")
            return value
        if kind in LITERALS:
            literal = LITERALS[kind](text)
            return lambda _: literal
        if kind != "name":
            raise ValueError(f"cannot read {text!r}")
        return self._named(text)

    def _named(self, name: str) -> Value:
        """A constant, a function with its arguments, or a column."""
        if name in CONSTANTS:
            return lambda _: CONSTANTS[name]
        if not self._tokens or self._tokens[0] != ("sign", "("):
            return lambda row: row[name]
        arguments = self._arguments()
        if name == "ago":
            return lambda row: self._now - arguments[0](row)
        function = FUNCTIONS[name]
        return lambda row: function(*(argument(row) for argument in arguments))

    def _arguments(self) -> list[Value]:
        self._take("sign", "(")
        found = []
        while not self._next(")"):
            found.append(self._any_of())
            self._comma()
        return found

    def _comma(self) -> None:
        self._next(",")

    def _next(self, text: str) -> bool:
        """Whether this is what comes next; it is taken then."""
        is_next = bool(self._tokens) and self._tokens[0][1] == text and self._tokens[0][0] != "text"
        if is_next:
            self._tokens.pop(0)
        return is_next

    def _take(self, kind: str, text: str | None = None) -> str:
        found, word = self._tokens.pop(0)
        if found != kind or text not in (None, word):
            raise ValueError(f"{word!r} stands where {text or kind} is expected")
        return word


def _applied(operate: Callable[[Any, Any], Any], left: Value, right: Value, where_null: Any) -> Value:
    def value(row: Row) -> Any:
        one, other = left(row), right(row)
        return where_null if one is None or other is None else operate(one, other)

    return value
