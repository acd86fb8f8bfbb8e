"""Pure: how long to wait before the next attempt."""

import random

FIRST_S = 2.0
LONGEST_S = 15 * 60.0
MAX_DOUBLINGS = 12


def delay_s(attempt: int, retry_after_s: float | None = None) -> float:
    """Seconds before attempt `attempt` (1 is the first retry): doubling, half by chance, never less than asked."""
    full = min(LONGEST_S, FIRST_S * 2 ** min(attempt, MAX_DOUBLINGS))
    return max(random.uniform(full / 2, full), (retry_after_s or 0) * random.uniform(1.0, 1.25))
