"""From sources to senders: bodies of a good size, and never more in flight than the budget.

In: parts, as the tail reads them. Out: batches for the senders. Nothing is read while the senders
have enough to do, so that memory is bounded in bytes whatever the centre does; what little there is
goes at once when a sender is free, and gathers while none is. It must never hold a part back for
good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from shipper.deliver.sender import Senders
from shipper.ports import CHUNK_BYTES, LONG_CHUNK_BYTES, SourcePart

IN_FLIGHT_LIMIT_BYTES: Final = 16 << 20
"""Raw bytes that are read and not acknowledged, over all stages."""
BODY_BYTES: Final = 4 << 20
"""A request's body, about, before compression."""


class LogLane:
    """What is between the tail and the senders. One thread's; senders have their own."""

    def __init__(
        self,
        senders: Senders,
        read_parts: Callable[[int], Iterator[SourcePart]],
        *,
        sender_count: int,
        in_flight_limit_bytes: int = IN_FLIGHT_LIMIT_BYTES,
        body_bytes: int = BODY_BYTES,
    ) -> None:
        self._senders = senders
        self._read_parts = read_parts
        self._sender_count = sender_count
        self._in_flight_limit = in_flight_limit_bytes
        self._body_limit = body_bytes
        self._forming: list[SourcePart] = []
        self._forming_bytes = 0
        self._batches_out = 0
        self._in_flight_bytes = 0

    @property
    def is_idle(self) -> bool:
        """Whether everything that was read is acknowledged."""
        return not self._forming and not self._batches_out

    def fill(self) -> None:
        """Read on and hand over, as far as senders and budget allow."""
        # one batch may wait for each that is being sent: a sender is never idle
        while self._batches_out < 2 * self._sender_count:
            self._gather()
            is_full = self._forming_bytes >= self._body_limit
            is_idle = self._batches_out < self._sender_count
            if not self._forming or not (is_full or is_idle):
                return
            self._senders.submit(self._forming)
            self._batches_out += 1
            self._forming = []
            self._forming_bytes = 0

    def take_back(self, parts: Sequence[SourcePart]) -> None:
        """A batch is acknowledged."""
        self._batches_out -= 1
        self._in_flight_bytes -= sum(part.end - part.start for part in parts)

    def _gather(self) -> None:
        """Read until a body is full, the budget is spent or nothing is left."""
        while self._forming_bytes < self._body_limit:
            if self._in_flight_limit - self._in_flight_bytes < LONG_CHUNK_BYTES:
                return
            part = next(self._read_parts(CHUNK_BYTES), None)
            if part is None:
                return
            self._forming.append(part)
            self._forming_bytes += part.body_bytes
            self._in_flight_bytes += part.end - part.start
