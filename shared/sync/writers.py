"""Pure: writes that were announced and not confirmed. Whoever announced one may have died before or after it, or be
paused and make it yet; until that is mended its message is not taken for overtaken.
"""

from collections.abc import Collection, Sequence

from shared.model import StudyChange
from shared.state import Writer

# a transaction whose outcome is not known is done by then: Microsoft's FHIR server ends a bundle after 100 s. The rest
# is for what stands before a server and goes on sending
SETTLED_AFTER_S = 180.0
# longer than a message can stay with a worker that died or was paused
LAST_S = 24 * 3600
# more would not fit their column; beyond, deliveries have failed for days
MOST = 100
# a look at once, and one when nothing that was under way then can still be written
LOOKS = 2


def expected(writers: Sequence[Writer], change: StudyChange, now: float) -> list[Writer]:
    """Those that may have written beside a pass for `change`: other deliveries of its message and, at a later look,
    those whose writes are done at `now` (seconds) and have been looked after once.
    """
    is_later_look = change.part < 0
    return [
        one
        for one in writers
        if one.message_id == change.message_id
        or (is_later_look and one.looks == 1 and one.announced_at < now - SETTLED_AFTER_S)
    ]


def unmended(earlier: Sequence[Writer]) -> list[Writer]:
    """Those of them that have not been looked after enough; without an end to it, looks would wake one another."""
    return [one for one in earlier if one.looks < LOOKS]


def announced(writers: Sequence[Writer], writer: Writer) -> tuple[Writer, ...]:
    """With one more; each attempt announces a Patient once, and old ones make room."""
    kept = [one for one in writers if (one.attempt, one.patient) != (writer.attempt, writer.patient)]
    return (*kept, writer)[-MOST:]


def confirmed(
    writers: Sequence[Writer], attempt: str, looked_after: Collection[Writer], now: float
) -> tuple[Writer, ...]:
    """Without those of this attempt, and of long ago; those that it looked after have been looked after once more."""
    return tuple(
        one._replace(looks=one.looks + 1) if one in looked_after else one
        for one in writers
        if one.attempt != attempt and one.announced_at > now - LAST_S
    )
