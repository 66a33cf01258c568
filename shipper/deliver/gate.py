"""The one gate to an output that all its senders pass: who may send now, and how much.

In: how each try went, from any thread. Out: permission to send, and the sizes and waits of
`pacing`. While the centre is away one request tries and the others wait; whoever failed lets the
others go first, so that a poisoned batch holds up nobody. It must never block a thread for good:
`stop` ends every wait.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import Final, Literal

from shipper.deliver.pacing import (
    CAP_SECONDS,
    DRAIN_CAP_SECONDS,
    FIRST_SECONDS,
    RECONNECT_SECONDS,
    Limits,
    backoff_seconds,
)
from shipper.ports import Clock

_FOREVER_SECONDS: Final = 60.0
"""The longest single wait; what is waited for is looked at again after it."""

Trouble = Literal["overloaded", "away"]
"""What a failed try says of the centre as a whole: too busy, or not there (or refusing us)."""


class StoppedError(Exception):
    """The senders were stopped while one waited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The permission to send one request."""

    started_at: float
    is_probe: bool
    """It alone tries, the centre being away."""
    is_extra: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How requests went up to now, over all senders of the output."""

    stored: int
    """Requests of which at least one item was stored, or was there already."""
    lost: int
    """Requests whose connection was lost under way."""


class Gate:
    """Shared by all senders of one output. Any thread may call it."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._changed = threading.Condition()
        self._version = 0
        self._cap_seconds = CAP_SECONDS
        self._failures = 0
        self._failed_at = float("-inf")
        self._not_before = 0.0
        self._under_way = 0
        self._is_probing = False
        self._innocent = 0
        """How many wait that did not fail themselves."""
        self._stored = 0
        self._lost = 0
        self.is_stopped = False

    @property
    def is_away(self) -> bool:
        """Whether the last try found no centre that takes anything."""
        return self._failures > 0

    @property
    def body_bytes(self) -> int:
        """How large a body may be now, about."""
        return self._limits.body_bytes

    @property
    def concurrency(self) -> int:
        """How many requests may be under way now."""
        return 1 if self._failures else self._limits.concurrency

    @property
    def latency_seconds(self) -> float:
        """The smoothed time of a request."""
        return self._limits.latency_seconds

    @property
    def is_hurried(self) -> bool:
        """Whether the shipper is about to end."""
        return self._cap_seconds < CAP_SECONDS

    def now(self) -> float:
        """The gate's clock, monotonic."""
        return self._clock.monotonic()

    @property
    def cap_seconds(self) -> float:
        """The longest wait between tries."""
        return self._cap_seconds

    @property
    def tally(self) -> Tally:
        """Evidence of how the centre fares with everybody's requests."""
        with self._changed:
            return Tally(stored=self._stored, lost=self._lost)

    def hurry(self) -> None:
        """End the waits of now; later ones are capped at a second."""
        with self._changed:
            self._cap_seconds = DRAIN_CAP_SECONDS
            self._not_before = 0.0
            self._version += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """End all waits, now and later."""
        with self._changed:
            self.is_stopped = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait, or until `hurry`; StoppedError: the senders were stopped."""
        with self._changed:
            version = self._version
            self._changed.wait_for(
                lambda: self.is_stopped or self._version != version, timeout=seconds
            )
            if self.is_stopped:
                raise StoppedError

    def enter(self, *, is_suspect: bool, is_extra: bool) -> Pass:
        """Wait for the turn to send; `leave` ends it. StoppedError: there is none.

        Args:
            is_suspect: it failed before: those that did not go first while the centre is away.
            is_extra: one that the limit on concurrency is not for: of vitals there is one.
        """
        with self._changed:
            self._innocent += not is_suspect
            try:
                while (seconds := self._wait_seconds(is_suspect, is_extra)) > 0.0:
                    self._changed.wait(min(seconds, _FOREVER_SECONDS))
            finally:
                self._innocent -= not is_suspect
            self._under_way += not is_extra
            self._is_probing = is_probe = self._failures > 0
            now = self._clock.monotonic()
            return Pass(started_at=now, is_probe=is_probe, is_extra=is_extra)

    def _wait_seconds(self, is_suspect: bool, is_extra: bool) -> float:  # noqa: FBT001 - `enter`'s
        if self.is_stopped:
            raise StoppedError
        if not self._failures:
            is_free = is_extra or self._under_way < self._limits.concurrency
            return 0.0 if is_free else _FOREVER_SECONDS
        if self._is_probing or (is_suspect and self._innocent):
            return _FOREVER_SECONDS
        return self._not_before - self._clock.monotonic()

    def leave(self, ticket: Pass) -> None:
        """The request is over, whatever came of it."""
        with self._changed:
            self._under_way -= not ticket.is_extra
            if ticket.is_probe:
                self._is_probing = False
            self._changed.notify_all()

    def note_well(self, *, seconds: float, body_bytes: int, has_stored: bool) -> None:
        """A request was answered item by item."""
        with self._changed:
            self._failures = 0
            self._limits.note_success(seconds, body_bytes)
            self._stored += has_stored

    def note_too_large(self, body_bytes: int) -> None:
        """A request was refused for its size."""
        with self._changed:
            self._failures = 0
            self._limits.note_too_large(body_bytes)

    def note_trouble(
        self, ticket: Pass, trouble: Trouble, *, retry_after_seconds: float, is_lost: bool
    ) -> None:
        """A request failed as a whole, for everybody: the next try waits."""
        with self._changed:
            now = self._clock.monotonic()
            self._lost += is_lost
            if trouble == "overloaded":
                self._limits.note_overload(started_at=ticket.started_at, now=now)
            else:
                self._limits.note_absence()
            # requests that were under way together tell of the same trouble
            if ticket.started_at >= self._failed_at or not self._failures:
                self._failures += 1
            self._failed_at = now
            is_known = trouble == "overloaded"
            wait_seconds = backoff_seconds(
                self._failures,
                random.random(),  # noqa: S311 - spreads retries, keeps no secret
                retry_after_seconds=retry_after_seconds,
                first=FIRST_SECONDS if is_known or self.is_hurried else RECONNECT_SECONDS,
                cap=self._cap_seconds,
            )
            self._not_before = max(self._not_before, now + wait_seconds)

    def note_strain(self, ticket: Pass) -> None:
        """Items were put off for lack of room, though the request as a whole was answered."""
        with self._changed:
            now = self._clock.monotonic()
            self._limits.note_overload(started_at=ticket.started_at, now=now)
