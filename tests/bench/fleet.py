"""Many simulated shippers in one process: real delivery, a made-up source.

In: a URL, which shippers, for how long they log. Out: JSON on stdout once everything is stored:
lines written, and when each try was answered or given up. Real are the lane, the senders with
their threads, the gate, the pacing and the HTTP connections of `shipper.deliver`. Simulated are
files (lines are made up), state (nothing is durable), vitals (none are sent), and that all of a
process share an interpreter. It must never let two shippers share anything of delivery.
"""

from __future__ import annotations

import json
import queue
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shipper.clock import SystemClock
from shipper.config import OutputConfig
from shipper.deliver.http import HttpTransport
from shipper.deliver.log_lane import LogLane
from shipper.deliver.sender import Acknowledged, Result, SenderPorts, Senders
from shipper.wire.builder import Built
from shipper.wire.state import DeadLetter
from tests.bench.peers import INDEX

SENDERS: Final = 2
"""As the agent has."""
SECONDS_PER_LINE: Final = 2.0
DELIVERY_SECONDS: Final = 120.0
_STACK_BYTES: Final = 256 << 10
_TURN_SECONDS: Final = 0.05
_LINE_BYTES: Final = 100


@dataclass(frozen=True, slots=True)
class MadeUpPart:
    """Some lines of one simulated shipper."""

    shipper: int
    first: int
    count: int
    began_milliseconds: int
    """Monotonic: when the line 0 was due; the n-th says when it was."""

    @property
    def start(self) -> int:
        """As if lines were all of one length."""
        return self.first * _LINE_BYTES

    @property
    def end(self) -> int:
        """Where the next one starts."""
        return (self.first + self.count) * _LINE_BYTES

    @property
    def raw_bytes_total(self) -> int:
        """Of all lines."""
        return self.count * _LINE_BYTES

    @property
    def body_bytes(self) -> int:
        """About."""
        return self.count * 4 * _LINE_BYTES

    def build(self) -> Built:
        """One item a line, its id the shipper's and the line's."""
        items = [
            b'{"create":{"_index":"%b","_id":"fleet%011d-0-%d-%d-00000000"}}\n'
            b'{"@timestamp":"2026-01-03T14:05:12.000000000Z","message":"line %d, due=%d"}\n'
            % (
                INDEX.encode(),
                self.shipper,
                number * _LINE_BYTES,
                _LINE_BYTES,
                number,
                self.began_milliseconds + int(number * SECONDS_PER_LINE * 1000),
            )
            for number in range(self.first, self.first + self.count)
        ]
        return Built(body=b"".join(items), item_count=len(items))

    def build_plain(self, item: int) -> None:
        """There is no plainer form."""

    def raw_bytes(self, item: int) -> int:
        """Of a line."""
        return _LINE_BYTES


class SimulatedShipper:
    """A lane, its senders, and a line every now and then."""

    def __init__(
        self,
        number: int,
        url: str,
        results: queue.SimpleQueue[tuple[int, Result]],
        *,
        began: float,
    ) -> None:
        self._number = number
        self._began = began
        self._output = OutputConfig(urls=(url,))
        ports = SenderPorts(
            connect=lambda: HttpTransport(self._output, spread_by=str(number)),
            clock=SystemClock(),
            bury=_refuse_to_bury,
            report=lambda result: results.put((number, result)),
        )
        self.senders = Senders(f"logs-{number}", ports, count=SENDERS)
        self.lane = LogLane(self.senders, self._read_parts, sender_count=SENDERS)
        self.written = 0
        self._read = 0

    def write_until(self, now: float) -> None:
        """Have as many lines as are due by then."""
        self.written = max(self.written, int((now - self._began) / SECONDS_PER_LINE) + 1, 0)

    @property
    def is_idle(self) -> bool:
        """Whether every line is stored."""
        return self._read == self.written and self.lane.is_idle

    def _read_parts(self, _size: int) -> Iterator[MadeUpPart]:
        if count := self.written - self._read:
            part = MadeUpPart(self._number, self._read, count, int(self._began * 1000))
            self._read += count
            yield part


def _refuse_to_bury(letters: Sequence[DeadLetter]) -> None:
    raise OSError(f"no simulated line is refused for good: {letters[0].reason}")


def simulate(url: str, numbers: range, seconds: float) -> dict[str, object]:
    """Log for so long, then until everything is stored; what came of it."""
    threading.stack_size(_STACK_BYTES)
    results: queue.SimpleQueue[tuple[int, Result]] = queue.SimpleQueue()
    rng = random.Random(numbers.start)
    began = time.monotonic()
    shippers = {
        number: SimulatedShipper(
            number, url, results, began=began + rng.uniform(0, SECONDS_PER_LINE)
        )
        for number in numbers
    }
    tries: list[float] = []
    for shipper in shippers.values():
        shipper.senders.start()
    while (now := time.monotonic()) < began + seconds + DELIVERY_SECONDS:
        for shipper in shippers.values():
            shipper.write_until(min(now, began + seconds))
            shipper.lane.fill()
        _take(results, shippers, tries, time.monotonic() + _TURN_SECONDS)
        if now > began + seconds and all(shipper.is_idle for shipper in shippers.values()):
            break
    for shipper in shippers.values():
        shipper.senders.stop()
    written = sum(shipper.written for shipper in shippers.values())
    return {"written": written, "tries": tries, "done_at": time.monotonic()}


def _take(
    results: queue.SimpleQueue[tuple[int, Result]],
    shippers: dict[int, SimulatedShipper],
    tries: list[float],
    until: float,
) -> None:
    while (left := until - time.monotonic()) > 0:
        try:
            number, result = results.get(timeout=left)
        except queue.Empty:
            return
        if isinstance(result, Acknowledged):
            parts = [part for part in result.parts if isinstance(part, MadeUpPart)]
            shippers[number].lane.take_back(parts)
        else:
            tries.append(time.monotonic())


if __name__ == "__main__":
    first, count = int(sys.argv[2]), int(sys.argv[3])
    found = simulate(sys.argv[1], range(first, first + count), float(sys.argv[4]))
    sys.stdout.write(json.dumps(found))
