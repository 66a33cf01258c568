"""From sources to senders: bodies of a good size, and never more in flight than the budget.

In: parts, as the tail reads them. Out: batches for the senders. Nothing is read while the senders
have enough to do, so that memory is bounded in bytes whatever the centre does. A full body goes at
once, and so does a line after a silence; what comes in between gathers for a while that grows with
the centre's latency. It must never hold a part back for good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from shipper.deliver.pacing import TRICKLE_BYTES, linger_seconds, trickle_seconds
from shipper.deliver.sender import Senders
from shipper.ports import CHUNK_BYTES, LONG_CHUNK_BYTES, SourcePart

IN_FLIGHT_LIMIT_BYTES: Final = 16 << 20
"""Raw bytes that are read and not acknowledged, over all stages."""


class LogLane:
    """What is between the tail and the senders. One thread's; senders have their own."""

    def __init__(
        self,
        senders: Senders,
        read_parts: Callable[[int], Iterator[SourcePart]],
        *,
        sender_count: int,
        in_flight_limit_bytes: int = IN_FLIGHT_LIMIT_BYTES,
    ) -> None:
        self._senders = senders
        self._gate = senders.gate
        self._read_parts = read_parts
        self._sender_count = sender_count
        self._in_flight_limit = in_flight_limit_bytes
        self._forming: list[SourcePart] = []
        self._forming_bytes = 0
        self._batches_out = 0
        self._in_flight_bytes = 0
        self._handed_over_at = -math.inf

    @property
    def in_flight_bytes(self) -> int:
        """What was read and is not acknowledged."""
        return self._in_flight_bytes

    @property
    def in_flight_limit_bytes(self) -> int:
        """How much of it there may be."""
        return self._in_flight_limit

    @property
    def is_idle(self) -> bool:
        """Whether everything that was read is acknowledged."""
        return not self._forming and not self._batches_out

    def fill(self) -> None:
        """Read on and hand over, as far as senders, budget and linger allow."""
        # one batch may wait for each that is being sent: a sender is never idle
        while self._batches_out < 2 * self._sender_count:
            self._gather()
            if not self._forming or not (self._is_full or self.due_in_seconds() <= 0.0):
                return
            self._senders.submit(self._forming)
            self._handed_over_at = self._gate.now()
            self._batches_out += 1
            self._forming = []
            self._forming_bytes = 0

    def due_in_seconds(self) -> float:
        """When to call `fill` again even if no file grows; infinite: what comes will tell."""
        if not self._forming or self._batches_out >= self._sender_count:
            return math.inf
        if self._gate.is_hurried:
            return 0.0
        if self._gate.is_away and self._batches_out:
            return math.inf  # one batch waits for the centre already: the rest may as well gather
        latency = self._gate.latency_seconds
        is_trickle = self._forming_bytes < TRICKLE_BYTES
        seconds = trickle_seconds(latency) if is_trickle else linger_seconds(latency)
        return max(0.0, self._handed_over_at + seconds - self._gate.now())

    def take_back(self, parts: Sequence[SourcePart]) -> None:
        """A batch is acknowledged."""
        self._batches_out -= 1
        self._in_flight_bytes -= sum(part.raw_bytes_total for part in parts)

    @property
    def _is_full(self) -> bool:
        return self._forming_bytes >= self._gate.body_bytes or self._is_spent

    @property
    def _is_spent(self) -> bool:
        return self._in_flight_limit - self._in_flight_bytes < LONG_CHUNK_BYTES

    def _gather(self) -> None:
        """Read until a body is full, the budget is spent or nothing is left."""
        while not self._is_full:
            part = next(self._read_parts(CHUNK_BYTES), None)
            if part is None:
                return
            self._forming.append(part)
            self._forming_bytes += part.body_bytes
            self._in_flight_bytes += part.raw_bytes_total
