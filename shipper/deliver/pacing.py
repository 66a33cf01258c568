"""How long to wait before the next try: exponential, capped, with jitter.

In: the number of tries that failed in a row, a random number in [0, 1), what the centre asked for.
Out: seconds. Pure. It must never give up: there is no last try.
"""

from __future__ import annotations

from typing import Final

FIRST_SECONDS: Final = 0.2
CAP_SECONDS: Final = 30.0
DRAIN_CAP_SECONDS: Final = 1.0
"""The cap once the shipper is asked to stop: a machine that dies has no half minute to wait."""

_DOUBLINGS: Final = 10


def backoff_seconds(
    failures: int, random: float, *, retry_after_seconds: float = 0.0, cap: float = CAP_SECONDS
) -> float:
    """The wait after `failures` (≥ 1) failed tries in a row.

    Half of it is fixed and half is random, so that a thousand shippers come back spread out. A
    centre's Retry-After is the least, up to the cap.
    """
    full = min(cap, FIRST_SECONDS * 2.0 ** min(failures - 1, _DOUBLINGS))
    return max(full * (0.5 + random / 2), min(retry_after_seconds, cap))
