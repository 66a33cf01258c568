"""shipper.deliver.log_lane: bodies of a good size, and a bound on what is in flight."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from shipper.deliver.gate import Gate
from shipper.deliver.log_lane import LogLane
from shipper.deliver.pacing import Limits
from shipper.deliver.sender import Senders
from shipper.ports import CHUNK_BYTES, LONG_CHUNK_BYTES, Part
from shipper.sources.part import LogPart
from shipper.wire.builder import RecordBuilder
from shipper.wire.record import Identity
from shipper.wire.records import Records

BUILDER = RecordBuilder(
    identity=Identity(instance_id="i-1"),
    stream="0123456789abcdef0123",
    source=0,
    path="/a.log",
    index="afterimage-logs-2026.01.03",
)


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


class HandSenders:
    """Senders whose batches are acknowledged by hand."""

    def __init__(self) -> None:
        self.batches: list[list[LogPart]] = []
        self.clock = HandClock()
        self.limits = Limits(most_concurrency=2)
        self.gate = Gate(self.clock, self.limits)

    def submit(self, parts: Sequence[Part]) -> None:
        """Keep it."""
        self.batches.append(cast("list[LogPart]", list(parts)))


class Backlog:
    """A source that never ends, or ends after some parts."""

    def __init__(self, parts: int) -> None:
        self._left = parts
        self.offset = 0

    def read_parts(self, budget_bytes: int) -> Iterator[LogPart]:
        """Chunks of one long record each."""
        while self._left and budget_bytes > 0:
            self._left -= 1
            start = self.offset
            self.offset += CHUNK_BYTES
            budget_bytes -= CHUNK_BYTES
            yield LogPart(
                source=0,
                start=start,
                end=self.offset,
                tail=b"",
                records=Records.of([b"x" * CHUNK_BYTES], start),
                read_at_nanos=0,
                builder=BUILDER,
            )


@pytest.fixture
def senders() -> HandSenders:
    """Nothing is acknowledged by itself."""
    return HandSenders()


def open_lane(senders: HandSenders, backlog: Backlog, *, limit: int, body: int) -> LogLane:
    """A log lane of two senders."""
    senders.limits.body_bytes = body
    return LogLane(
        cast("Senders", senders),
        backlog.read_parts,
        sender_count=2,
        in_flight_limit_bytes=limit,
    )


def test_what_is_read_and_not_acknowledged_stays_below_the_limit(senders: HandSenders) -> None:
    """However much there is to read; each acknowledgement makes room for as much."""
    backlog = Backlog(1000)
    limit = 3 * LONG_CHUNK_BYTES
    logs = open_lane(senders, backlog, limit=limit, body=CHUNK_BYTES)
    acknowledged = 0
    for _ in range(50):
        logs.fill()
        assert backlog.offset - acknowledged <= limit
        batch = senders.batches.pop(0)
        acknowledged += sum(part.end - part.start for part in batch)
        logs.take_back(batch)
    assert backlog.offset > 40 * CHUNK_BYTES


def test_a_limit_smaller_than_the_senders_could_take_binds(senders: HandSenders) -> None:
    """Two senders would have four batches; the bytes allow for less."""
    backlog = Backlog(1000)
    limit = LONG_CHUNK_BYTES + CHUNK_BYTES
    open_lane(senders, backlog, limit=limit, body=2 * CHUNK_BYTES).fill()
    assert backlog.offset <= limit


def test_each_sender_has_a_batch_waiting_and_no_more(senders: HandSenders) -> None:
    """Reading ahead of the senders would only fill memory."""
    open_lane(senders, Backlog(1000), limit=1 << 30, body=CHUNK_BYTES).fill()
    assert 4 == len(senders.batches)


def test_little_goes_at_once_after_a_silence_and_gathers_while_no_sender_is_free(
    senders: HandSenders,
) -> None:
    """The centre's own pace makes the batches larger."""
    backlog = Backlog(1)
    logs = open_lane(senders, backlog, limit=1 << 30, body=100 * CHUNK_BYTES)
    for _ in range(5):
        backlog._left = 1
        senders.clock.seconds += 60
        logs.fill()
    assert [1, 1] == [len(batch) for batch in senders.batches]
    logs.take_back(senders.batches.pop(0))
    logs.fill()
    assert [1, 3] == [len(batch) for batch in senders.batches]
    for batch in senders.batches:
        logs.take_back(batch)
    assert logs.is_idle


class Trickle:
    """A source that has a line whenever it is asked after one was written."""

    def __init__(self) -> None:
        self.unread = 0
        self.offset = 0

    def read_parts(self, budget_bytes: int) -> Iterator[LogPart]:
        """All that was written since."""
        if self.unread and budget_bytes > 0:
            data = b"x" * 99 + b"\n"
            records, self.unread = [data] * self.unread, 0
            start = self.offset
            self.offset += sum(map(len, records))
            yield LogPart(
                source=0,
                start=start,
                end=self.offset,
                tail=b"",
                records=Records.of(records, start),
                read_at_nanos=0,
                builder=BUILDER,
            )


def run_trickle(
    senders: HandSenders, *, lines_per_second: float, latency: float, seconds: float = 60.0
) -> tuple[float, int]:
    """The longest wait of a line until it was handed over, and the number of requests."""
    trickle = Trickle()
    senders.limits.latency_seconds = latency
    logs = LogLane(cast("Senders", senders), trickle.read_parts, sender_count=2)
    clock = senders.clock
    began = clock.seconds
    waiting: list[float] = []
    longest = 0.0
    requests = 0
    next_line = began
    while clock.seconds < began + seconds:
        if clock.seconds >= next_line:
            trickle.unread += 1
            waiting.append(next_line)
            next_line += 1.0 / lines_per_second
        logs.fill()
        if senders.batches:
            requests += 1
            longest = max(longest, *(clock.seconds - at for at in waiting))
            waiting = []
            logs.take_back(senders.batches.pop())
        due = clock.seconds + logs.due_in_seconds()
        clock.seconds = max(min(next_line, due), clock.seconds + 1e-6)
    return longest, requests


@pytest.mark.parametrize(
    ("lines_per_second", "latency", "longest", "requests_per_second"),
    [
        (1000.0, 0.005, 0.2, 5.0),  # a busy shipper, a fast centre
        pytest.param(1000.0, 0.1, 1.0, 1.0, marks=pytest.mark.slow),
        pytest.param(1000.0, 3.0, 5.0, 0.2, marks=pytest.mark.slow),
        (0.5, 0.005, 0.0, 0.5),  # a line after a silence goes at once
        (20.0, 0.005, 1.0, 1.0),  # a trickle costs one request a second, not twenty
        (20.0, 0.5, 5.0, 0.2),
    ],
)
def test_how_long_a_line_waits_and_how_often_the_centre_is_asked(
    senders: HandSenders,
    lines_per_second: float,
    latency: float,
    longest: float,
    requests_per_second: float,
) -> None:
    """The rule as a table: what a person waits, against what ten thousand shippers cost."""
    waited, requests = run_trickle(senders, lines_per_second=lines_per_second, latency=latency)
    assert longest == pytest.approx(waited, abs=0.06)
    assert requests_per_second == pytest.approx(requests / 60, rel=0.25)


def test_a_full_body_waits_for_nothing(senders: HandSenders) -> None:
    """Whatever the latency."""
    senders.limits.latency_seconds = 3.0
    logs = open_lane(senders, Backlog(1000), limit=1 << 30, body=CHUNK_BYTES)
    logs.fill()
    assert 4 == len(senders.batches)


def test_a_budget_that_is_spent_is_handed_over(senders: HandSenders) -> None:
    """A body that can't grow any more has nothing to wait for."""
    senders.limits.latency_seconds = 3.0
    backlog = Backlog(1)
    logs = open_lane(senders, backlog, limit=LONG_CHUNK_BYTES + CHUNK_BYTES, body=1 << 30)
    logs.fill()
    logs.take_back(senders.batches.pop())
    backlog._left = 2
    logs.fill()
    assert 1 == len(senders.batches)


def test_while_the_centre_is_away_one_batch_waits_for_it_and_the_rest_gathers(
    senders: HandSenders,
) -> None:
    """Or its return would begin with crumbs."""
    backlog = Backlog(1)
    logs = open_lane(senders, backlog, limit=1 << 30, body=100 * CHUNK_BYTES)
    logs.fill()
    ticket = senders.gate.enter(is_suspect=False, is_extra=False)
    senders.gate.note_trouble(ticket, "away", retry_after_seconds=0, is_lost=False)
    for _ in range(5):
        backlog._left = 1
        senders.clock.seconds += 60
        logs.fill()
        assert math.inf == logs.due_in_seconds()
    assert [1] == [len(batch) for batch in senders.batches]


def test_a_drain_waits_for_nothing(senders: HandSenders) -> None:
    """The last words go at once."""
    senders.limits.latency_seconds = 3.0
    trickle = Trickle()
    logs = LogLane(cast("Senders", senders), trickle.read_parts, sender_count=2)
    for is_hurried in (False, True):
        trickle.unread = 1
        logs.fill()
        assert 1 == len(senders.batches)
        if not is_hurried:
            logs.take_back(senders.batches.pop())
            trickle.unread = 1
            logs.fill()
            assert [] == senders.batches
            assert logs.due_in_seconds() > 1.0
            senders.gate.hurry()
            assert 0.0 == logs.due_in_seconds()
