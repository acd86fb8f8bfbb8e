"""When instances that the archive fails to answer for are asked for again.

Their study does not wait for them. A message of their own tries them again, with growing delays and for some hours; so
does each later look at the study, and whoever releases it.
"""

import random
from collections.abc import Collection
from dataclasses import replace

from shared.model import InstanceKey, StudyChange
from shared.sync.others import look_again

# about six hours in all
DELAYS_S = (15.0, 60.0, 300.0, 900.0, 3600.0, 7200.0, 7200.0)
MOST_LISTED = 64  # more do not fit a message; the whole study is read then


def next_try(
    change: StudyChange, unknown: Collection[InstanceKey], recorded: Collection[InstanceKey]
) -> tuple[StudyChange, float] | None:
    """The message that asks for them again and the seconds before it; None where another one is under way already, or
    after the last.

    unknown: what a pass for `change` could not read. recorded: what could not be read before, which has its message.
    """
    mine = (change.instances or unknown) if change.tries else ()
    again = [key for key in unknown if key in mine or key not in recorded]
    if not again or change.tries >= len(DELAYS_S):
        return None
    listed = {key: change.instances.get(key, 0) for key in again} if len(again) <= MOST_LISTED else {}
    message = replace(look_again(change.study, change.poll, listed), tries=change.tries + 1)
    return message, DELAYS_S[change.tries] * random.uniform(1.0, 1.25)
