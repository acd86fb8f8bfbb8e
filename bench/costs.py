"""The tables of docs/costs.md and docs/scaling.md, from counted operations (`python -m bench.page` writes them).

Counted: what `make bench` finds for a day's mix and for an idle poll. Prices: US list prices, November 2026, rounded;
the order of magnitude is what they are good for.
"""

from dataclasses import dataclass

from bench.report_in_hosts import Rows

DAYS = 30.4
# counted and rounded up: of a day of 60 studies in ten polls, by message; of a poll, table calls
TABLE_PER_MESSAGE, QUEUE_PER_MESSAGE, FHIR_PER_MESSAGE, DICOM_PER_MESSAGE = 9, 3, 4, 2
TABLE_PER_POLL = 3
# of a status line, beside the poll before it (tests/flow/test_status.py): the checkpoint and four error tables, with
# less than 1,000 rows each; two lengths and a look at the first message; one read of FHIR
TABLE_PER_STATUS, QUEUE_PER_STATUS, FHIR_PER_STATUS = 6, 3, 1
# assumed: as large studies of a CT arrive; a poll a minute; a host that looks at the queue every second all month
INSTANCES_PER_STUDY, PASSES_PER_STUDY = 100, 2
POLLS_A_DAY, STATUSES_A_DAY, LOOKS_A_DAY = 24 * 60, 24 * 60, 24 * 3600
# measured on Microsoft's host, as sent to Application Insights: of a message the request (0.94 kB) and `study_synced`
# (0.76), of a poll the request (0.97) and, at most, `feed_polled` (0.73); of a minute `status` (0.854)
MESSAGE_LOG_KB, POLL_LOG_KB, STATUS_LOG_KB = 1.7, 1.7, 0.86
SMALL_STUDY = 2
MEMORY_GB, LEAST_S = 2, 1.0
# dollars, and what a month has for nothing
PER_GB_S, FREE_GB_S = 0.000026, 100_000
PER_EXECUTION, FREE_EXECUTIONS = 0.40 / 1e6, 250_000
PER_QUEUE_CALL, PER_TABLE_CALL = 0.004 / 1e4, 0.0004 / 1e4
PER_LOG_GB, FREE_LOG_GB = 3.0, 5
LEVELS = (1_000, 10_000, 100_000, 1_000_000)
USUAL_LEVEL = 10_000
SCHEDULES = {"0 */5 * * * *": 300, "0 * * * * *": 60, "*/10 * * * * *": 10, "*/2 * * * * *": 2}
SCALE = (1_000_000, 100_000_000)
PEAK = 4
SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Month:
    """Operations of a month at so many instances a day."""

    instances_a_day: int
    polls_a_day: int = POLLS_A_DAY

    @property
    def messages(self) -> float:
        return self.instances_a_day / INSTANCES_PER_STUDY * PASSES_PER_STUDY * DAYS

    @property
    def executions(self) -> float:
        return self.messages + self.polls_a_day * DAYS

    @property
    def queue_calls(self) -> float:
        return self.messages * QUEUE_PER_MESSAGE + (LOOKS_A_DAY + STATUSES_A_DAY * QUEUE_PER_STATUS) * DAYS

    @property
    def table_calls(self) -> float:
        of_polls = self.polls_a_day * TABLE_PER_POLL + STATUSES_A_DAY * TABLE_PER_STATUS
        return self.messages * TABLE_PER_MESSAGE + of_polls * DAYS

    @property
    def fhir_requests(self) -> float:
        return self.messages * FHIR_PER_MESSAGE + STATUSES_A_DAY * DAYS * FHIR_PER_STATUS

    def dollars(self) -> dict[str, float]:
        """By part of the bill; every execution alone on its instance, which is the most that it can cost."""
        log_gb = log_gb_of(self.messages, self.polls_a_day)
        return {
            "compute": max(0.0, self.executions * LEAST_S * MEMORY_GB - FREE_GB_S) * PER_GB_S,
            "executions": max(0.0, self.executions - FREE_EXECUTIONS) * PER_EXECUTION,
            "queue": self.queue_calls * PER_QUEUE_CALL,
            "tables": self.table_calls * PER_TABLE_CALL,
            "logs": max(0.0, log_gb - FREE_LOG_GB) * PER_LOG_GB,
        }


def log_gb_of(messages: float, polls_a_day: int = POLLS_A_DAY) -> float:
    """Gigabytes of logs in a month with so many messages, none of which fails."""
    of_polls = polls_a_day * POLL_LOG_KB + STATUSES_A_DAY * STATUS_LOG_KB
    return (messages * MESSAGE_LOG_KB + of_polls * DAYS) / 1e6


def logs() -> Rows:
    """What a month logs: large studies in several passes, and small ones in one each."""
    rows: Rows = [("instances a day", f"studies of {INSTANCES_PER_STUDY}", f"studies of {SMALL_STUDY}")]
    for level in LEVELS:
        found = (Month(level).messages, level / SMALL_STUDY * DAYS)
        rows.append((f"{level:,}", *(f"{log_gb_of(messages):,.2f} GB" for messages in found)))
    return rows


def operations() -> Rows:
    """What a month asks of each service."""
    rows: Rows = [("instances a day", "executions", "queue calls", "table calls", "FHIR requests", "DICOM requests")]
    for level in LEVELS:
        month = Month(level)
        dicom = month.messages * DICOM_PER_MESSAGE + POLLS_A_DAY * DAYS
        counts = (month.executions, month.queue_calls, month.table_calls, month.fhir_requests, dicom)
        rows.append((f"{level:,}", *(f"{count:,.0f}" for count in counts)))
    return rows


def dollars() -> Rows:
    """What a month costs at most."""
    parts = tuple(Month(LEVELS[0]).dollars())
    rows: Rows = [("instances a day", *parts, "together")]
    for level in LEVELS:
        found = Month(level).dollars()
        rows.append((f"{level:,}", *(f"${found[part]:,.2f}" for part in parts), f"${sum(found.values()):,.2f}"))
    return rows


def schedules() -> Rows:
    """How long a change waits for a poll, and what a month costs at most, by schedule."""
    rows: Rows = [("`SYNC_SCHEDULE`", "a change waits", "polls a month", "compute", "logs", "together")]
    for schedule, every_s in SCHEDULES.items():
        month = Month(USUAL_LEVEL, SECONDS_A_DAY // every_s)
        found = month.dollars()
        paid = (f"${found['compute']:,.2f}", f"${found['logs']:,.2f}", f"${sum(found.values()):,.2f}")
        rows.append((f"`{schedule}`", f"up to {every_s} s", f"{month.polls_a_day * DAYS:,.0f}", *paid))
    return rows


def scale() -> Rows:
    """What peak hours ask for in a second: four times the average."""
    heads = ("feed entries/s", "messages/s", "queue calls/s", "table calls/s", "FHIR requests/s")
    rows: Rows = [("instances a day", *heads)]
    for level in SCALE:
        entries = level / SECONDS_A_DAY * PEAK
        messages = entries / INSTANCES_PER_STUDY * PASSES_PER_STUDY
        counts = (QUEUE_PER_MESSAGE, TABLE_PER_MESSAGE, FHIR_PER_MESSAGE)
        rates = (entries, messages, *(messages * count for count in counts))
        rows.append((f"{level:,}", *(f"{rate:,.1f}" for rate in rates)))
    return rows


TABLES = {"operations": operations, "dollars": dollars, "logs": logs, "schedules": schedules, "scale": scale}
