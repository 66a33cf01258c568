"""A conflict is believed at once only where no earlier try can be its cause: that one may yet fail.

Sending alone, against a transport that answers by a script; the gate's waits are noted, not waited.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from shipper.deliver.batch import Batch
from shipper.deliver.burial import BurialGuard
from shipper.deliver.gate import Gate
from shipper.deliver.pacing import Limits
from shipper.deliver.sending import Acknowledged, Sending, SendingPorts
from shipper.ports import NoAnswerError, Reply
from shipper.wire.builder import split_items
from shipper.wire.state import DeadLetter
from tests.shipper.deliver.deliveries import make_part

_FULL = {"type": "rejected_execution_exception", "reason": "full"}
_UNFIT = {"type": "mapper_parsing_exception", "reason": "failed to parse"}


@dataclass
class Script:
    """A transport whose answers are given beforehand."""

    answers: list[Reply | None]
    """None: there is none."""
    asked: list[list[int]] = field(default_factory=list)
    """The offsets of the records of each request."""
    takes_gzip = False

    def send(self, body: Sequence[bytes]) -> Reply:
        """Note what was asked, and give the next answer."""
        documents = [item.split(b"\n")[1] for item in split_items(b"".join(body))]
        self.asked.append([json.loads(document)["log.offset"] for document in documents])
        answer = self.answers.pop(0)
        if answer is None:
            raise NoAnswerError("silence", is_timeout=True)
        return answer

    def close(self) -> None:
        """Nothing is open."""


class _QuickClock:
    """An hour passes whenever it is looked at: no wait of a gate is long."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now_nanos(self) -> int:
        return 0

    def monotonic(self) -> float:
        self._seconds += 3600.0
        return self._seconds


def reply(*items: int | tuple[int, dict[str, str]], repeated: bool = False) -> Reply:
    """An answer with a status for each item, some with their error."""
    answers: list[dict[str, Any]] = []
    for item in items:
        status, error = item if isinstance(item, tuple) else (item, None)
        answers.append({"create": {"status": status} | ({"error": error} if error else {})})
    body = json.dumps({"errors": True, "items": answers}).encode()
    return Reply(status=200, body=body, repeated=repeated)


def run(
    monkeypatch: pytest.MonkeyPatch, data: bytes, *answers: Reply | None
) -> tuple[Acknowledged, list[list[int]], list[float]]:
    """What is acknowledged, what was asked, and what was waited for in between."""
    waits: list[float] = []
    gate = Gate(_QuickClock(), Limits(most_concurrency=1))
    monkeypatch.setattr(gate, "wait", waits.append)
    script = Script([*answers])
    letters: list[DeadLetter] = []
    ports = SendingPorts(
        transport=script,
        gate=gate,
        guard=BurialGuard(),
        clock=_QuickClock(),
        bury=letters.extend,
        report=lambda _: None,
    )
    done = Sending(Batch([make_part(data)]), ports).run()
    assert ([], []) == (script.answers, letters)
    return done, script.asked, waits


def test_a_conflict_with_somebody_else_is_believed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every try was heard of: only another shipper can have made the document."""
    done, asked, waits = run(monkeypatch, b"a\nb\n", reply(201, 409))
    assert ([1], [[0, 2]], []) == (list(done.taken), asked, waits)


def test_a_conflict_after_silence_is_asked_for_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first try may yet fail; the second conflict is believed, and tells of nobody else."""
    done, asked, waits = run(monkeypatch, b"a\nb\n", None, reply(201, 409), reply(409))
    assert ([], [[0, 2], [0, 2], [2]], [1.0]) == (list(done.taken), asked, waits)


def test_a_request_that_was_repeated_is_as_one_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kept connection was cut under it and it went over another one: the first may be at work."""
    answers = (reply(201, 409, repeated=True), reply(201))
    done, asked, waits = run(monkeypatch, b"a\nb\n", *answers)
    assert ([], [[0, 2], [2]], [1.0]) == (list(done.taken), asked, waits)


def test_an_item_that_was_put_off_meanwhile_is_asked_for_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silence, 429, conflict: the silent try may be the cause, however many came between."""
    later = [reply((429, _FULL)), reply((429, _FULL)), reply(409), reply(201)]
    _, asked, waits = run(monkeypatch, b"a\n", None, *later)
    assert [[0]] * 5 == asked
    assert 1.0 == waits[-1]


def test_a_conflict_beside_an_item_that_is_put_off_is_believed_the_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each item has its own history, and a conflict has its second to settle."""
    answers = (reply(409, (429, _FULL)), reply(201), reply(409))
    _, asked, waits = run(monkeypatch, b"a\nb\n", None, *answers)
    assert [[0, 2], [0, 2], [2], [0]] == asked
    assert 1 == len(waits)
    assert waits[0] >= 1.0


def test_a_plain_form_does_not_make_the_silent_try_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the same id: its conflict may come from the record's first form."""
    answers = (reply((400, _UNFIT)), reply(409), reply(201))
    _, asked, waits = run(monkeypatch, b"a\n", None, *answers)
    assert ([[0]] * 4, [1.0]) == (asked, waits)


def test_halves_of_a_body_that_is_too_large_know_of_the_silent_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another address may take less."""
    too_large = Reply(status=413, body=b"")
    answers = (too_large, reply(409), reply(201), too_large, reply(409), reply(409))
    _, asked, waits = run(monkeypatch, b"a\nb\n", None, *answers)
    assert ([[0, 2], [0, 2], [0], [0], [2], [2], [2]], [1.0, 1.0]) == (asked, waits)


def test_one_record_that_is_too_large_is_sent_in_its_plain_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is smaller where a record has many fields, and then no letter is needed."""
    done, asked, _ = run(monkeypatch, b"a\n", Reply(status=413, body=b""), reply(201))
    assert ([0], [[0], [0]]) == (list(done.dead_bytes), asked)
