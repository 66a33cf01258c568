"""Batches of lines for senders, and what came back of them."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shipper.deliver.sender import Acknowledged, Answered, Refused, Result, Senders
from shipper.sources.part import LogPart
from shipper.wire.builder import RecordBuilder
from shipper.wire.framing import frame
from shipper.wire.record import Identity
from shipper.wire.records import Records
from shipper.wire.state import DeadLetter
from shipper.wire.times import parse_time

READ_AT = parse_time("2026-01-03T12:00:00Z")


@dataclass
class Sent:
    """A sender to a server, and what came back of it."""

    senders: Senders
    results: queue.SimpleQueue[Result]
    letters: list[DeadLetter]
    acknowledged: list[Acknowledged] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def wait(self, count: int = 1, timeout_seconds: float = 20.0) -> list[Acknowledged]:
        """Until so many batches are acknowledged."""
        deadline = time.monotonic() + timeout_seconds
        while len(self.acknowledged) < count:
            result = self.results.get(timeout=max(0.01, deadline - time.monotonic()))
            if isinstance(result, Answered):
                self.errors.append(result.error)
            elif isinstance(result, Refused):
                self.refused.append(result)
            else:
                self.acknowledged.append(result)
        return self.acknowledged


OpenSenders = Callable[..., Sent]


def make_part(data: bytes, source: int = 0, start: int = 0, day: str = "2026.01.03") -> LogPart:
    """The records of some lines."""
    builder = RecordBuilder(
        identity=Identity(instance_id="i-1"),
        stream="0123456789abcdef0123",
        source=source,
        path="/a.log",
        index=f"afterimage-logs-{day}",
    )
    return LogPart(
        source=source,
        start=start,
        end=start + len(data),
        tail=data[-64:],
        records=Records.of(frame(data, final=True), start),
        read_at_nanos=READ_AT,
        builder=builder,
    )
