"""Sending batches until every item is stored or a durable dead letter, however long it takes.

In: batches, from a queue. Out: results on a queue: parts that are acknowledged, and how the centre
does. `Senders` are a fixed number of threads behind one queue, each with a connection of its own;
all senders of an output share its gate. It must never let a bug end a thread, nor lose its batch.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shipper.deliver.batch import Batch
from shipper.deliver.burial import BurialGuard
from shipper.deliver.gate import Gate, StoppedError
from shipper.deliver.pacing import CAP_SECONDS, Limits
from shipper.deliver.sending import (
    Acknowledged,
    Answered,
    Refused,
    Result,
    Sending,
    SendingPorts,
)
from shipper.ports import Clock, Part, Transport
from shipper.wire.state import DeadLetter

__all__ = ["Acknowledged", "Answered", "Refused", "Result", "SenderPorts", "Senders"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderPorts:
    """What senders ask of the rest of the agent."""

    connect: Callable[[], Transport]
    clock: Clock
    bury: Callable[[Sequence[DeadLetter]], None]
    """Make dead letters durable; OSError: none is."""
    report: Callable[[Result], None]
    """Take a result; called from the senders' threads."""
    gate: Gate | None = None
    """The output's, shared by all who send to it; None: one of these senders' own."""


class Senders:
    """A queue of batches and the threads that send them."""

    def __init__(
        self, name: str, ports: SenderPorts, *, count: int, is_extra: bool = False
    ) -> None:
        """`is_extra`: the limit on concurrency is not for them (vitals: one request at a time)."""
        self._ports = ports
        self.count = count
        self.gate = ports.gate or Gate(ports.clock, Limits(most_concurrency=count))
        self._guard = BurialGuard()
        self._is_extra = is_extra
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._transports = [ports.connect() for _ in range(count)]
        self._threads = [
            threading.Thread(
                target=self._run, args=(transport,), name=f"{name}-{number}", daemon=True
            )
            for number, transport in enumerate(self._transports)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def submit(self, parts: Sequence[Part]) -> None:
        """Have parts sent; they come back as `Acknowledged`."""
        self._batches.put(Batch(parts))

    def hurry(self) -> None:
        """Try again at once, and from now on wait a second at most."""
        self.gate.hurry()

    def stop(self) -> None:
        """End the threads once they are not inside a request; nothing more is acknowledged."""
        self.gate.stop()
        for _ in self._threads:
            self._batches.put(None)

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the threads to end; whether all did."""
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, transport: Transport) -> None:
        ports = SendingPorts(
            transport=transport,
            gate=self.gate,
            guard=self._guard,
            clock=self._ports.clock,
            bury=self._ports.bury,
            report=self._ports.report,
            is_extra=self._is_extra,
        )
        while (batch := self._batches.get()) is not None and not self.gate.is_stopped:
            self._send(batch, ports)
        transport.close()

    def _send(self, batch: Batch, ports: SendingPorts) -> None:
        while not self.gate.is_stopped:
            try:
                done = Sending(batch, ports).run()
            except StoppedError:
                return
            except Exception as error:  # noqa: BLE001 - a thread's boundary: a bug loses no batch
                traceback.print_exc(file=sys.stderr)
                text = f"a bug in sending: {error!r}"
                self._ports.report(Answered(error=text, seconds=0.0))
                try:
                    self.gate.wait(CAP_SECONDS)
                except StoppedError:
                    return
            else:
                self._ports.report(done)
                return
