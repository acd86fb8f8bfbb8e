"""Pure: when the timer's schedule is due. NCRONTAB of six fields (five: without seconds) or a time span, in UTC."""

from datetime import datetime, timedelta

from shared.text_forms import parse_time_span

# a poll that finds nothing new writes the checkpoint's date no more often than this
TRACE_EVERY = timedelta(minutes=5)
# a tick that is due may be minutes late: another host takes the timer over, and a poll takes up to four minutes
LATE = timedelta(minutes=5)


def next_due(schedule: str, after: datetime) -> datetime | None:
    """The schedule's first occurrence after an instant; None where only the host can tell: `%NAME%` is its own form.

    Raises ValueError for a schedule that cannot be read, or that is never due.
    """
    if "%" in schedule:
        return None
    from croniter import croniter  # noqa: PLC0415 - a twentieth of a second of imports

    fields = schedule.split()
    if len(fields) == 1:
        return after + parse_time_span(schedule)
    if len(fields) not in (5, 6):
        raise ValueError("must be an NCRONTAB of six fields, such as 0 */5 * * * *")
    # NCRONTAB wants day of month AND day of week, cron wants either
    expression = " ".join(fields if len(fields) == 6 else ["0", *fields])
    found: datetime = croniter(expression, after, second_at_beginning=True, day_or=False).get_next(datetime)
    return found


def is_overdue(schedule: str, polled_at: datetime, now: datetime) -> bool:
    """Whether a poll that was long due has left no date in the checkpoint since `polled_at`, the date that is there.

    False where only the host knows the schedule. Raises ValueError like `next_due`.
    """
    due = next_due(schedule, polled_at + TRACE_EVERY)
    return due is not None and now > due + LATE
