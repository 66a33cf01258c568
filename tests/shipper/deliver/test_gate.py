"""shipper.deliver.gate: one request tries while the centre is away, and nobody waits for good."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from shipper.clock import SystemClock
from shipper.deliver.gate import Gate, Pass, StoppedError
from shipper.deliver.pacing import CAP_SECONDS, DRAIN_CAP_SECONDS, Limits
from tests.faults.bulk_server import wait_until


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_nanos(self) -> int:
        """Of no interest here."""
        return 0

    def monotonic(self) -> float:
        """Where the hand is."""
        return self.seconds


class Waiter:
    """A thread that waits at the gate."""

    def __init__(self, gate: Gate, *, is_suspect: bool = False, is_extra: bool = False) -> None:
        self._gate = gate
        self._kind = (is_suspect, is_extra)
        self.ticket: Pass | None = None
        self.is_stopped = False
        self.thread = threading.Thread(target=self._enter, daemon=True)
        self.thread.start()

    def _enter(self) -> None:
        try:
            self.ticket = self._gate.enter(is_suspect=self._kind[0], is_extra=self._kind[1])
        except StoppedError:
            self.is_stopped = True

    @property
    def is_in(self) -> bool:
        """Whether it may send."""
        return self.ticket is not None

    def stays_out(self) -> bool:
        """Whether it is still waiting after a moment; a bound on a negative, no synchronisation."""
        self.thread.join(0.05)
        return not self.is_in


@pytest.fixture
def gates() -> Iterator[Callable[[int], Gate]]:
    """Makes gates, and opens them at the end so that no thread is left."""
    made: list[Gate] = []

    def make(most_concurrency: int) -> Gate:
        made.append(Gate(SystemClock(), Limits(most_concurrency=most_concurrency)))
        return made[-1]

    yield make
    for gate in made:
        gate.stop()


def fail(gate: Gate, ticket: Pass, *, is_lost: bool = False, retry_after: float = 0.0) -> None:
    """A try that found nobody."""
    gate.note_trouble(ticket, "away", retry_after_seconds=retry_after, is_lost=is_lost)
    gate.leave(ticket)


def succeed(gate: Gate, ticket: Pass) -> None:
    """A try of which all was stored."""
    gate.note_well(seconds=0.01, body_bytes=0, has_stored=True)
    gate.leave(ticket)


def test_as_many_may_send_as_the_limit_says(gates: Callable[[int], Gate]) -> None:
    """The next one goes when one is done; vitals do not count."""
    gate = gates(2)
    first, second = (gate.enter(is_suspect=False, is_extra=False) for _ in range(2))
    third = Waiter(gate)
    assert third.stays_out()
    assert not gate.enter(is_suspect=False, is_extra=True).is_probe
    succeed(gate, first)
    wait_until(lambda: third.is_in)
    succeed(gate, second)


def test_one_request_tries_while_the_centre_is_away(gates: Callable[[int], Gate]) -> None:
    """However many wait; when it is answered they come one by one, then all."""
    gate = gates(4)
    gate.hurry()  # waits of a second at most
    fail(gate, gate.enter(is_suspect=False, is_extra=False))
    assert (True, 1) == (gate.is_away, gate.concurrency)
    waiters = [Waiter(gate) for _ in range(6)]
    wait_until(lambda: sum(waiter.is_in for waiter in waiters) == 1)
    assert sum(waiter.stays_out() for waiter in waiters) == 5
    (probe,) = (waiter.ticket for waiter in waiters if waiter.ticket is not None)
    assert probe.is_probe
    succeed(gate, probe)
    assert not gate.is_away
    wait_until(lambda: sum(waiter.is_in for waiter in waiters) == 3)  # one more with each success


def test_whoever_failed_lets_the_others_go_first(gates: Callable[[int], Gate]) -> None:
    """A batch that kills the centre must not be what asks whether it is back."""
    gate = gates(2)
    gate.hurry()
    probe = gate.enter(is_suspect=False, is_extra=False)
    fail(gate, probe, is_lost=True)
    culprit = Waiter(gate, is_suspect=True)
    innocent = Waiter(gate)
    wait_until(lambda: innocent.is_in)
    assert culprit.stays_out()
    assert innocent.ticket is not None
    succeed(gate, innocent.ticket)
    wait_until(lambda: culprit.is_in)


def test_a_suspect_goes_when_there_is_nobody_else(gates: Callable[[int], Gate]) -> None:
    """Or a lone shipper would wait for ever."""
    gate = gates(1)
    gate.hurry()
    fail(gate, gate.enter(is_suspect=False, is_extra=False), is_lost=True)
    suspect = Waiter(gate, is_suspect=True)
    wait_until(lambda: suspect.is_in)


def test_a_hanging_request_of_before_holds_up_no_probe(gates: Callable[[int], Gate]) -> None:
    """A vitals index that does not answer must not keep logs from trying."""
    gate = gates(2)
    gate.hurry()
    gate.enter(is_suspect=False, is_extra=True)  # hangs for ever
    fail(gate, gate.enter(is_suspect=False, is_extra=False))
    probe = Waiter(gate)
    wait_until(lambda: probe.is_in)


def test_requests_that_fail_together_are_one_failure() -> None:
    """Four connections that are cut at once tell of one restart: the wait is not sixteen-fold."""
    clock = HandClock()
    gate = Gate(clock, Limits(most_concurrency=4))
    tickets = [gate.enter(is_suspect=False, is_extra=False) for _ in range(4)]
    clock.seconds += 1
    for ticket in tickets:
        fail(gate, ticket)
    clock.seconds += 1.0  # the longest first wait
    assert gate.enter(is_suspect=True, is_extra=False).is_probe


def test_retry_after_holds_for_all() -> None:
    """What the centre told one of them."""
    clock = HandClock()
    gate = Gate(clock, Limits(most_concurrency=2))
    fail(gate, gate.enter(is_suspect=False, is_extra=False), retry_after=20.0)
    other = Waiter(gate)
    clock.seconds += 19
    gate.leave(Pass(started_at=0, is_probe=False, is_extra=True))  # wakes whoever waits
    assert other.stays_out()
    clock.seconds += 12
    gate.leave(Pass(started_at=0, is_probe=False, is_extra=True))
    wait_until(lambda: other.is_in)


def test_hurry_ends_the_waits_of_now_and_shortens_later_ones() -> None:
    """SIGTERM while the centre is away."""
    clock = HandClock()
    gate = Gate(clock, Limits(most_concurrency=2))
    for _ in range(10):
        fail(gate, Pass(started_at=clock.seconds, is_probe=False, is_extra=True))
        clock.seconds += 1
    waiter = Waiter(gate)
    assert waiter.stays_out()
    assert CAP_SECONDS == gate.cap_seconds
    gate.hurry()
    wait_until(lambda: waiter.is_in)
    assert DRAIN_CAP_SECONDS == gate.cap_seconds


def test_stop_ends_every_wait(gates: Callable[[int], Gate]) -> None:
    """Of the turn, and of a pause."""
    gate = gates(1)
    gate.enter(is_suspect=False, is_extra=False)
    waiter = Waiter(gate)
    assert waiter.stays_out()
    gate.stop()
    wait_until(lambda: waiter.is_stopped)
    with pytest.raises(StoppedError):
        gate.wait(60)
