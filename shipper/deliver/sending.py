"""One batch on its way: groups of its items, each in one request, until every item has its end.

In: a batch, a transport, the output's gate. Out: `Acknowledged`. Items that failed are sent again,
whole or divided, as records or in their plain form. It must never acknowledge a part one of whose
items is neither stored nor a durable dead letter.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shipper.deliver.batch import Batch
from shipper.deliver.burial import LOSSES, BurialGuard, is_poisonous, make_dead_letter
from shipper.deliver.gate import Gate, Pass, Tally
from shipper.deliver.outcome import Outcome, parse_outcome
from shipper.deliver.pacing import backoff_seconds
from shipper.ports import Clock, NoAnswerError, Part, Transport
from shipper.wire.state import DeadLetter
from shipper.wire.times import format_time

_CONFIRM_SECONDS: Final = 1.0
"""How long a conflict is left alone that an unanswered earlier try may have caused."""
_LOST_CAP_SECONDS: Final = 5.0


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
    """Empty: nothing of it has to be sent again as it is."""
    seconds: float
    is_refusal: bool = False
    """Whether it took none of it, since each record blames itself; `Refused` says which."""
    body_bytes: int = 0
    """What went over the network, as it was compressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Records that the centre does not take as they are: that is settled, nothing waits for it."""

    records: int
    reason: str
    is_dead: bool
    """Whether they are durable dead letters; else they are sent in their plain form."""


Result = Acknowledged | Answered | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingPorts:
    """What one batch asks of the rest."""

    transport: Transport
    gate: Gate
    guard: BurialGuard
    clock: Clock
    bury: Callable[[Sequence[DeadLetter]], None]
    report: Callable[[Result], None]
    is_extra: bool = False
    """See `Gate.enter`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Items that go in one request."""

    numbers: Sequence[int] | None
    """None: all of the batch."""
    may_be_under_way: bool = False
    """Whether a try of it got no answer: a conflict may come from it, and it may yet fail."""
    is_divided: bool = False
    losses: int = 0
    """Tries in a row whose connection was lost."""
    since: Tally | None = None
    """How everybody's requests had fared before the first of them."""


class Sending:
    """One batch on its way."""

    def __init__(self, batch: Batch, ports: SendingPorts) -> None:
        self._batch = batch
        self._ports = ports
        self._gate = ports.gate
        self._failures = 0
        """Tries in a row of which nothing was stored."""
        self._was_unanswered = False
        """Whether any try ever got no answer: then no conflict tells of somebody else."""
        self._has_stored = False
        self._taken: list[int] = []
        self._dead_bytes = [0] * len(batch.parts)
        self._work = [_Group(numbers=None)]
        """Groups that are still to be stored, the next one last."""

    def run(self) -> Acknowledged:
        """Return when every item is stored or buried; StoppedError: the senders were stopped."""
        while self._work:
            group = self._work.pop()
            if group.losses:
                self._gate.wait(self._backoff(group.losses, cap=_LOST_CAP_SECONDS))
            group, outcome, retry_after = self._send(group)
            if outcome.answered:
                self._settle(group, outcome, retry_after)
            elif outcome.too_large:
                self._make_smaller(group, outcome.error)
            elif outcome.is_suspect:
                self._take_loss(group, outcome.error)
            else:  # the gate says when it is tried again
                self._failures += 1
                self._work.append(group)
        return Acknowledged(parts=self._batch.parts, dead_bytes=self._dead_bytes, taken=self._taken)

    def _send(self, group: _Group) -> tuple[_Group, Outcome, float]:
        """One request's outcome, and the wait that the centre asked for."""
        before = self._gate.tally
        ticket = self._gate.enter(
            is_suspect=self._failures > 0 or group.losses > 0, is_extra=self._ports.is_extra
        )
        try:
            gzip = self._ports.transport.takes_gzip
            body = self._batch.build_body(group.numbers, gzip=gzip)
            numbers = range(self._batch.item_count) if group.numbers is None else group.numbers
            since = group.since if group.losses or group.is_divided else before
            group = replace(group, numbers=numbers, since=since)
            return self._try(group, body, ticket)
        finally:
            self._gate.leave(ticket)

    def _try(self, group: _Group, body: list[bytes], ticket: Pass) -> tuple[_Group, Outcome, float]:
        started_at = self._ports.clock.monotonic()
        retry_after = 0.0
        is_lost = False
        try:
            reply = self._ports.transport.send(body)
        except NoAnswerError as error:
            is_lost = error.is_lost
            outcome = Outcome(
                answered=False,
                is_overload=error.is_timeout,
                is_suspect=error.is_lost,
                error=str(error),
            )
        else:
            count = len(group.numbers or ())
            outcome = parse_outcome(reply.status, reply.body, count, location=reply.location)
            retry_after = reply.retry_after_seconds
            if reply.repeated:
                group = replace(group, may_be_under_way=True)
        seconds = self._ports.clock.monotonic() - started_at
        if outcome.answered:
            has_stored = bool(outcome.done or outcome.conflicts)
            self._gate.note_well(
                seconds=seconds, body_bytes=self._batch.built_bytes, has_stored=has_stored
            )
            if outcome.is_overload:
                self._gate.note_strain(ticket)
        elif outcome.too_large:
            self._gate.note_too_large(self._batch.built_bytes)
        else:
            group = replace(group, may_be_under_way=True)
            self._gate.note_trouble(
                ticket,
                "overloaded" if outcome.is_overload else "away",
                retry_after_seconds=retry_after,
                is_lost=is_lost or outcome.is_suspect,
            )
        body_bytes = sum(map(len, body))
        self._ports.report(
            Answered(
                error=outcome.error,
                seconds=seconds,
                is_refusal=bool(outcome.rejected) and not (outcome.done or outcome.conflicts),
                body_bytes=body_bytes,
            )
        )
        return group, outcome, retry_after

    def _settle(self, group: _Group, outcome: Outcome, retry_after: float) -> None:
        """Take over what became of each item of one request."""
        numbers = group.numbers or ()
        self._was_unanswered |= group.may_be_under_way
        if not self._was_unanswered:
            self._taken += (numbers[place] for place in outcome.conflicts)
        if outcome.done:
            self._has_stored = True
            self._ports.guard.note_stored()
        again = [numbers[place] for place in outcome.retry]
        again += self._take_refused(
            group, {numbers[place]: reason for place, reason in outcome.rejected.items()}
        )
        unsure = [numbers[place] for place in outcome.conflicts] if group.may_be_under_way else []
        if outcome.done or outcome.conflicts:
            self._failures = 0
        if unsure:  # asked once more, and believed then
            self._work.append(_Group(numbers=unsure))
        least_seconds = _CONFIRM_SECONDS if unsure else 0.0
        if again:
            later = replace(_again(group), numbers=sorted(again))
            self._try_later(later, retry_after, least_seconds)
        elif unsure:
            self._gate.wait(least_seconds)

    def _take_refused(self, group: _Group, reasons: Mapping[int, str]) -> list[int]:
        """Items that blame themselves: in their plain form, or dead; those that can be neither."""
        plain = {number for number in reasons if self._batch.make_plain(number)}
        if plain:
            self._tell_refused([reasons[number] for number in sorted(plain)], is_dead=False)
            self._work.append(replace(_again(group), numbers=sorted(plain)))
        dead = [(number, reason) for number, reason in reasons.items() if number not in plain]
        is_done = not dead or self._bury(dead)
        return [] if is_done else [number for number, _ in dead]

    def _make_smaller(self, group: _Group, error: str) -> None:
        """The request was too large: halves, or one item in its plain form, or a dead letter."""
        numbers = group.numbers or ()
        if len(numbers) > 1:
            self._work += reversed(_halves(group))
        elif self._batch.make_plain(numbers[0]):
            self._tell_refused([error], is_dead=False)
            self._work.append(_again(group))
        elif not self._bury([(numbers[0], error)]):
            self._try_later(_again(group))

    def _take_loss(self, group: _Group, error: str) -> None:
        """The connection was lost under way: chance, a centre that died, or an item that kills it.

        Dividing harms nobody, and finds the item; giving it up takes more evidence. Whatever comes
        of it waits behind the rest of the batch.
        """
        group = replace(group, losses=group.losses + 1)
        since = group.since or self._gate.tally
        now = self._gate.tally
        numbers = group.numbers or ()
        was_heard = now.stored > since.stored
        left = [group]
        if len(numbers) > 1:
            if was_heard and (group.is_divided or group.losses >= LOSSES):
                left = [replace(half, is_divided=True, since=since) for half in _halves(group)]
        elif was_heard and group.losses >= LOSSES and self._batch.make_plain(numbers[0]):
            self._tell_refused([error], is_dead=False)
            left = [replace(group, losses=0, is_divided=False)]
        elif self._is_hopeless(numbers[0]) and is_poisonous(since, now, own_losses=group.losses):
            reason = f"sent alone, its connection was lost each time: {error}"
            left = [] if self._bury([(numbers[0], reason)]) else left
        self._work[:0] = left

    def _is_hopeless(self, number: int) -> bool:
        """Whether there is no other form left to try."""
        return self._batch.is_plain(number) or not self._batch.has_plain(number)

    def _bury(self, dead: Sequence[tuple[int, str]]) -> bool:
        """Make dead letters of items; whether they are durable."""
        if not self._has_stored and not self._ports.guard.may_bury(len(dead)):
            self._report(f"every record is refused, so it is not the records' fault: {dead[0][1]}")
            return False
        at = format_time(self._ports.clock.now_nanos())
        items = self._batch.build_originals([number for number, _ in dead])
        letters = [
            make_dead_letter(item, at=at, reason=reason)
            for item, (_, reason) in zip(items, dead, strict=True)
        ]
        try:
            self._ports.bury(letters)
        except OSError as error:
            self._report(f"a dead letter can't be written: {error}")
            return False
        self._tell_refused([reason for _, reason in dead], is_dead=True)
        for number, _ in dead:
            self._dead_bytes[self._batch.part_of(number)] += self._batch.raw_bytes(number)
        return True

    def _tell_refused(self, reasons: Sequence[str], *, is_dead: bool) -> None:
        """Of each kind of reason the first one's words: they name fields, values and ids."""
        kinds: dict[str, list[str]] = {}
        for reason in reasons:
            kinds.setdefault(reason.partition(":")[0], []).append(reason)
        for told in kinds.values():
            self._ports.report(Refused(records=len(told), reason=told[0], is_dead=is_dead))

    def _report(self, error: str) -> None:
        self._ports.report(Answered(error=error, seconds=0.0))

    def _try_later(
        self, group: _Group, retry_after: float = 0.0, least_seconds: float = 0.0
    ) -> None:
        """Items that the centre put off: they alone wait."""
        self._work.append(group)
        self._failures += 1
        seconds = self._backoff(self._failures, retry_after_seconds=retry_after)
        self._gate.wait(max(seconds, least_seconds))

    def _backoff(
        self, failures: int, *, retry_after_seconds: float = 0.0, cap: float = float("inf")
    ) -> float:
        return backoff_seconds(
            failures,
            random.random(),  # noqa: S311 - spreads retries, keeps no secret
            retry_after_seconds=retry_after_seconds,
            cap=min(cap, self._gate.cap_seconds),
        )


def _again(group: _Group) -> _Group:
    """The same items as if they were new, but for an earlier try that nobody heard of."""
    return _Group(numbers=group.numbers, may_be_under_way=group.may_be_under_way)


def _halves(group: _Group) -> tuple[_Group, _Group]:
    numbers = group.numbers or ()
    middle = len(numbers) // 2
    again = _again(group)
    return replace(again, numbers=numbers[:middle]), replace(again, numbers=numbers[middle:])
