"""Fixtures of the delivering half."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence

import pytest

from shipper.clock import SystemClock
from shipper.config import OutputConfig
from shipper.deliver.gate import Gate
from shipper.deliver.http import HttpTransport
from shipper.deliver.sender import Result, SenderPorts, Senders
from shipper.wire.state import DeadLetter
from tests.shipper.deliver.deliveries import OpenSenders, Sent


@pytest.fixture
def open_senders() -> Iterator[OpenSenders]:
    """Opens senders, and ends them."""
    opened: list[Senders] = []

    def make(
        *urls: str,
        bury: Callable[[Sequence[DeadLetter]], None] | None = None,
        gate: Gate | None = None,
        is_extra: bool = False,
        answer_timeout_seconds: float = 5,
    ) -> Sent:
        results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        letters: list[DeadLetter] = []
        ports = SenderPorts(
            connect=lambda: HttpTransport(
                OutputConfig(urls=urls), answer_timeout_seconds=answer_timeout_seconds
            ),
            clock=SystemClock(),
            bury=bury or letters.extend,
            report=results.put,
            gate=gate,
        )
        senders = Senders("test", ports, count=1, is_extra=is_extra)
        opened.append(senders)
        senders.start()
        return Sent(senders, results, letters)

    yield make
    for senders in opened:
        senders.stop()
    assert all(senders.join(10) for senders in opened)
