"""Sending batches until every item is stored or a durable dead letter, however long it takes.

In: batches, from a queue. Out: results on a queue: parts that are acknowledged, and how the centre
does. `Senders` are a fixed number of threads behind one queue, each with a connection of its own.
It must never acknowledge a part one of whose items the centre has not named as stored.
"""

from __future__ import annotations

import json
import queue
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shipper.deliver.batch import Batch
from shipper.deliver.outcome import Outcome, parse_outcome
from shipper.deliver.pacing import CAP_SECONDS, DRAIN_CAP_SECONDS, backoff_seconds
from shipper.ports import Clock, NoAnswerError, Part, Transport
from shipper.wire.state import DeadLetter
from shipper.wire.times import format_time

_CONFIRM_SECONDS: Final = 1.0
"""How long a conflict is left alone that an unanswered earlier try may have caused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """The centre has these parts; some of their bytes may be dead letters instead."""

    parts: Sequence[Part]
    dead_bytes: Sequence[int]
    """Of each part."""
    taken: Sequence[int] = ()
    """Numbers of items whose id the centre had before this batch was first sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How a try went."""

    error: str
    """Empty: the centre took all of it."""
    seconds: float


Result = Acknowledged | Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderPorts:
    """What senders ask of the rest of the agent."""

    connect: Callable[[], Transport]
    clock: Clock
    bury: Callable[[Sequence[DeadLetter]], None]
    """Make dead letters durable; OSError: none is."""
    report: Callable[[Result], None]
    """Take a result; called from the senders' threads."""


class Senders:
    """A queue of batches and the threads that send them."""

    def __init__(self, name: str, ports: SenderPorts, *, count: int) -> None:
        self._ports = ports
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._pause = Pause()
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
        self._pause.hurry()

    def stop(self) -> None:
        """End the threads once they are not inside a request; nothing more is acknowledged."""
        self._pause.stop()
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
        while (batch := self._batches.get()) is not None and not self._pause.is_stopped:
            self._send(batch, transport)
        transport.close()

    def _send(self, batch: Batch, transport: Transport) -> None:
        while not self._pause.is_stopped:
            try:
                done = _Sending(batch, transport, self._pause, self._ports).run()
            except StoppedError:
                return
            except Exception as error:  # noqa: BLE001 - a thread's boundary: a bug loses no batch
                traceback.print_exc(file=sys.stderr)
                text = f"a bug in sending: {error!r}"
                self._ports.report(Answered(error=text, seconds=0.0))
                self._pause.wait(CAP_SECONDS)
            else:
                self._ports.report(done)
                return


class StoppedError(Exception):
    """The senders were stopped while one waited."""


class Pause:
    """The waits between tries, which `hurry` and `stop` cut short."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._version = 0
        self.is_stopped = False
        self.cap_seconds = CAP_SECONDS

    def hurry(self) -> None:
        """End the waits of now; later ones are capped at a second."""
        with self._changed:
            self.cap_seconds = DRAIN_CAP_SECONDS
            self._version += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """End all waits, now and later."""
        with self._changed:
            self.is_stopped = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait; whether the senders were stopped."""
        with self._changed:
            version = self._version
            self._changed.wait_for(
                lambda: self.is_stopped or self._version != version, timeout=seconds
            )
            return self.is_stopped


class _Sending:
    """One batch on its way."""

    def __init__(
        self, batch: Batch, transport: Transport, pause: Pause, ports: SenderPorts
    ) -> None:
        self._batch = batch
        self._transport = transport
        self._pause = pause
        self._ports = ports
        self._failures = 0
        self._may_be_under_way = False
        """Whether a try got no answer: a conflict may come from it, and it may yet fail."""
        self._was_unanswered = False
        """Whether any try ever got none: then no conflict tells of somebody else."""
        self._taken: list[int] = []
        self._dead_bytes = [0] * len(batch.parts)
        self._work: list[Sequence[int]] = []
        """Numbers of items that are still to be stored, each group in one request."""

    def run(self) -> Acknowledged:
        """Return when every item is stored or buried; StoppedError: the senders were stopped."""
        body = self._batch.build_body()
        total = self._batch.item_count
        self._work = [range(total)]
        while self._work:
            numbers = self._work.pop()
            if len(numbers) != total:
                body = self._batch.build_subset_body(numbers)
            outcome, retry_after = self._try(body, len(numbers))
            if outcome.answered:
                self._settle(numbers, outcome, retry_after)
            elif outcome.too_large:
                self._make_smaller(numbers, outcome.error)
            else:
                self._may_be_under_way = True
                self._try_later(numbers, retry_after)
        return Acknowledged(parts=self._batch.parts, dead_bytes=self._dead_bytes, taken=self._taken)

    def _try(self, body: bytes, count: int) -> tuple[Outcome, float]:
        """One request's outcome, and the wait that the centre asked for."""
        started_at = self._ports.clock.monotonic()
        retry_after = 0.0
        try:
            reply = self._transport.send(body)
        except NoAnswerError as error:
            outcome = Outcome(answered=False, error=str(error))
        else:
            outcome = parse_outcome(reply.status, reply.body, count, location=reply.location)
            retry_after = reply.retry_after_seconds
            self._may_be_under_way |= reply.repeated
        seconds = self._ports.clock.monotonic() - started_at
        self._ports.report(Answered(error=outcome.error, seconds=seconds))
        return outcome, retry_after

    def _settle(self, numbers: Sequence[int], outcome: Outcome, retry_after: float) -> None:
        """Take over what became of each item of one request."""
        self._was_unanswered |= self._may_be_under_way
        if not self._was_unanswered:
            self._taken += (numbers[place] for place in outcome.conflicts)
        again = [numbers[place] for place in outcome.retry]
        unsure = [numbers[place] for place in outcome.conflicts] if self._may_be_under_way else []
        self._may_be_under_way = False
        plain: list[int] = []
        dead: list[tuple[int, str]] = []
        for place, reason in outcome.rejected.items():
            number = numbers[place]
            if self._batch.make_plain(number):
                plain.append(number)
            else:
                dead.append((number, reason))
        if dead and not self._bury(dead):
            again += [number for number, _ in dead]
        if plain:
            self._work.append(plain)
        if outcome.done or outcome.conflicts:
            self._failures = 0
        if again:
            self._try_later(sorted(again + unsure), retry_after)
        elif unsure:
            self._work.append(unsure)
            self._wait(_CONFIRM_SECONDS)

    def _make_smaller(self, numbers: Sequence[int], error: str) -> None:
        """The request was too large: halves, or one item in its plain form, or a dead letter."""
        if len(numbers) > 1:
            middle = len(numbers) // 2
            self._work += [numbers[middle:], numbers[:middle]]
        elif self._batch.make_plain(numbers[0]):
            self._work.append(numbers)
        elif not self._bury([(numbers[0], error)]):
            self._try_later(numbers, 0.0)

    def _bury(self, dead: Sequence[tuple[int, str]]) -> bool:
        """Make dead letters of items; whether they are durable."""
        at = format_time(self._ports.clock.now_nanos())
        letters = [
            make_dead_letter(self._batch.build_item(number), at=at, reason=reason)
            for number, reason in dead
        ]
        try:
            self._ports.bury(letters)
        except OSError as error:
            text = f"a dead letter can't be written: {error}"
            self._ports.report(Answered(error=text, seconds=0.0))
            return False
        for number, _ in dead:
            self._dead_bytes[self._batch.part_of(number)] += self._batch.raw_bytes(number)
        return True

    def _try_later(self, numbers: Sequence[int], retry_after: float) -> None:
        self._work.append(numbers)
        self._failures += 1
        self._wait(
            backoff_seconds(
                self._failures,
                random.random(),  # noqa: S311 - spreads retries, keeps no secret
                retry_after_seconds=retry_after,
                cap=self._pause.cap_seconds,
            )
        )

    def _wait(self, seconds: float) -> None:
        if self._pause.wait(seconds):
            raise StoppedError


def make_dead_letter(item: bytes, *, at: str, reason: str) -> DeadLetter:
    """The letter of a `_bulk` item that the centre refused for good."""
    action = json.loads(item.partition(b"\n")[0])["create"]
    return DeadLetter(at=at, reason=reason, index=action["_index"], id=action["_id"], item=item)
