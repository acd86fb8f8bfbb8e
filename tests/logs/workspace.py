"""A workspace of logs in memory, asked in KQL (duckdb-kql), and when each alert of the templates is on over it."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import duckdb_kql
import yaml

from dev.process import ROOT
from tests.logs.tables import COLUMNS

RULES = {one["name"]: one for one in yaml.safe_load((ROOT / "infra" / "alerts.yaml").read_text())}
MINUTES = {"PT5M": 5, "PT15M": 15, "P2D": 2 * 1440}
TYPES = {"string": "VARCHAR", "datetime": "TIMESTAMP", "bool": "BOOLEAN", "int": "INTEGER", "real": "DOUBLE"}


@cache
def _translated(query: str) -> Any:
    return duckdb_kql.to_sql(query, query_now=datetime(2026, 1, 1, tzinfo=UTC))


class Workspace:
    """The four tables. A query sees rows of its window only, as Azure Monitor has it."""

    def __init__(self) -> None:
        self._connection = duckdb_kql.connect()
        self._execute("SET threads = 1")
        self._execute("CREATE TABLE span (since TIMESTAMP, until TIMESTAMP)")
        for table, columns in COLUMNS.items():
            written = ", ".join(f'"{name}" {TYPES.get(kind, "JSON")}' for name, kind in columns.items())
            self._execute(f"CREATE TABLE all_{table} ({written})")
            within = '"TimeGenerated" BETWEEN (SELECT since FROM span) AND (SELECT until FROM span)'
            self._execute(f"CREATE VIEW {table} AS SELECT * FROM all_{table} WHERE {within}")

    def add(self, table: str, row: dict[str, Any]) -> None:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        self._execute(f"INSERT INTO all_{table} ({names}) VALUES ({marks})", [_naive(value) for value in row.values()])

    def ask(self, query: str, now: datetime, window: timedelta = timedelta(days=30)) -> list[tuple[Any, ...]]:
        """The rows that a query answers at a moment."""
        now = _naive(now)
        self._execute("DELETE FROM span")
        self._execute("INSERT INTO span VALUES (?, ?)", [now - window, now])
        sql = _translated(query)
        return self._execute(str(sql), dict.fromkeys(sql.parameters, now) or None).fetchall()

    def _execute(self, sql: str, values: Any = None) -> Any:
        return self._connection.execute(sql, values) if values else self._connection.execute(sql)


def _naive(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


class Alerts:
    """Which alert was on from which minute to which; each is asked as often as it is in Azure."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._on: dict[str, list[tuple[int, int | None]]] = {name: [] for name in RULES}

    def ask(self, minute: int, now: datetime, names: Iterable[str] = RULES) -> None:
        for name in names:
            rule, periods = RULES[name], self._on[name]
            if minute % MINUTES[rule["frequency"]]:
                continue
            window = timedelta(minutes=MINUTES[rule["window"]])
            is_on = bool(self._workspace.ask(rule["query"], now, window))
            was_on = bool(periods) and periods[-1][1] is None
            if is_on and not was_on:
                periods.append((minute, None))
            elif was_on and not is_on:
                periods[-1] = (periods[-1][0], minute)

    @property
    def was_on(self) -> dict[str, list[tuple[int, int | None]]]:
        """None for the end of one that still is on."""
        return {name: periods for name, periods in self._on.items() if periods}


def stretched(message: str, factor: int) -> str:
    """A line with each of its counts of seconds (`…_s=`) as many times as long."""
    return re.sub(r"(?<=_s=)\d+\b", lambda found: str(int(found[0]) * factor), message)
