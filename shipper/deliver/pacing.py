"""How fast the centre is to be asked: waits between tries, how many requests at once, how large.

In: how tries went, random numbers, times. Out: seconds, counts and sizes. Pure: no clock, no
thread. It must never give up (there is no last try), and never let many shippers move in step.
"""

from __future__ import annotations

from typing import Final

FIRST_SECONDS: Final = 0.2
RECONNECT_SECONDS: Final = 1.0
"""After a centre that was not there: longer, so that a fleet's return is spread."""
CAP_SECONDS: Final = 30.0
DRAIN_CAP_SECONDS: Final = 1.0
"""The cap once the shipper is asked to stop: a machine that dies has no half minute to wait."""
RETRY_AFTER_CAP_SECONDS: Final = 300.0

BODY_BYTES: Final = 4 << 20
"""A request's body, about, before compression."""
LEAST_BODY_BYTES: Final = 64 << 10
_BODY_STEP_BYTES: Final = 256 << 10

LINGER_LEAST_SECONDS: Final = 0.2
LINGER_MOST_SECONDS: Final = 5.0
_LATENCIES_PER_LINGER: Final = 10.0
"""A shipper keeps a connection busy for a tenth of the time: a centre that slows down is asked
less often, by all, until it is fast again."""
_TRICKLE_LINGERS: Final = 5.0
TRICKLE_BYTES: Final = 16 << 10
"""A body of some thirty lines. A quiet shipper sends a smaller one once a second at most."""
_LATENCY_BYTES: Final = 256 << 10
"""The body whose time is the centre's latency; a larger one may take longer in proportion."""
_SMOOTHING: Final = 0.2
_STRAINED_SECONDS: Final = 0.05

_DOUBLINGS: Final = 10


def backoff_seconds(
    failures: int,
    random: float,
    *,
    retry_after_seconds: float = 0.0,
    first: float = FIRST_SECONDS,
    cap: float = CAP_SECONDS,
) -> float:
    """The wait after `failures` (≥ 1) failed tries in a row; `random` is in [0, 1).

    Half of it is fixed and half is random, so that a thousand shippers come back spread out. A
    centre's Retry-After is the least, and up to half as much again: it told others the same.
    """
    full = min(cap, first * 2.0 ** min(failures - 1, _DOUBLINGS))
    asked_cap = RETRY_AFTER_CAP_SECONDS if cap >= CAP_SECONDS else cap
    asked = min(retry_after_seconds, asked_cap) * (1.0 + random / 2)
    return max(full * (0.5 + random / 2), asked)


def linger_seconds(latency_seconds: float) -> float:
    """The least time between two bodies that are not full."""
    wanted = latency_seconds * _LATENCIES_PER_LINGER
    return max(LINGER_LEAST_SECONDS, min(wanted, LINGER_MOST_SECONDS))


def trickle_seconds(latency_seconds: float) -> float:
    """The same for bodies below `TRICKLE_BYTES`: what bounds the requests of a quiet fleet."""
    return min(_TRICKLE_LINGERS * linger_seconds(latency_seconds), LINGER_MOST_SECONDS)


class Limits:
    """Additive increase, multiplicative decrease of concurrency and of body size."""

    def __init__(self, *, most_concurrency: int, most_body_bytes: int = BODY_BYTES) -> None:
        self._most_concurrency = most_concurrency
        self._most_body_bytes = most_body_bytes
        self._concurrency = float(most_concurrency)
        self._decreased_at = float("-inf")
        self.body_bytes = most_body_bytes
        self.latency_seconds = 0.0
        """Smoothed, of requests that were answered; what decides how long lines gather."""

    @property
    def concurrency(self) -> int:
        """How many requests may be under way at once: 1 or more."""
        return int(self._concurrency)

    def note_success(self, seconds: float, body_bytes: int = 0) -> None:
        """A request was carried out: a little more is allowed.

        That a large body takes long says little of the centre: its time counts by its size.
        """
        seconds *= min(1.0, _LATENCY_BYTES / max(1, body_bytes))
        self._concurrency = min(
            self._concurrency + 1.0 / self._concurrency, float(self._most_concurrency)
        )
        self.body_bytes = min(self.body_bytes + _BODY_STEP_BYTES, self._most_body_bytes)
        self.latency_seconds += _SMOOTHING * (seconds - self.latency_seconds)

    def note_overload(self, *, started_at: float, now: float) -> None:
        """The centre has too much to do: half of everything.

        Requests that were under way together tell of the same overload: only one of them counts.
        """
        if started_at < self._decreased_at:
            return
        self._decreased_at = now
        self._concurrency = max(1.0, self._concurrency / 2)
        self.body_bytes = max(LEAST_BODY_BYTES, self.body_bytes // 2)
        self.latency_seconds = min(
            max(2 * self.latency_seconds, _STRAINED_SECONDS),
            LINGER_MOST_SECONDS / _LATENCIES_PER_LINGER,
        )

    def note_absence(self) -> None:
        """Nobody was there: begin with one request when somebody is again."""
        self._concurrency = 1.0

    def note_too_large(self, body_bytes: int) -> None:
        """A body of this size is refused whenever it comes: never one as large again."""
        self._most_body_bytes = max(LEAST_BODY_BYTES, min(self._most_body_bytes, body_bytes // 2))
        self.body_bytes = min(self.body_bytes, self._most_body_bytes)
