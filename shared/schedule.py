"""Pure: when the timer's schedule is due. NCRONTAB of six fields (five: without seconds) or a time span, in UTC."""

from datetime import datetime

from croniter import croniter

from shared.text_forms import parse_time_span


def next_due(schedule: str, after: datetime) -> datetime | None:
    """The schedule's first occurrence after an instant; None where only the host can tell: `%NAME%` is its own form.

    Raises ValueError for a schedule that cannot be read, or that is never due.
    """
    if "%" in schedule:
        return None
    fields = schedule.split()
    if len(fields) == 1:
        return after + parse_time_span(schedule)
    if len(fields) not in (5, 6):
        raise ValueError("must be an NCRONTAB of six fields, such as 0 */5 * * * *")
    # NCRONTAB wants day of month AND day of week, cron wants either
    expression = " ".join(fields if len(fields) == 6 else ["0", *fields])
    found: datetime = croniter(expression, after, second_at_beginning=True, day_or=False).get_next(datetime)
    return found
