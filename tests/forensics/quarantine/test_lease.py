"""Turns on a case: one acts, the others wait, and who lost the turn finds out before acting."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from forensics.errors import IntegrityError, TimedOutError
from forensics.evidence.chain import encode_canonical
from forensics.quarantine.lease import Lease
from tests.forensics.quarantine.fake_account import State
from tests.forensics.quarantine.quarantines import MemoryEvidence

KEY = "cases/case-1/lease/{:06d}.json"


def lease(evidence: MemoryEvidence, state: State, owner: str) -> Lease:
    """A lease of two minutes on the state's clock."""
    return Lease(evidence, "case-1", owner, seconds=120, clock=state.clock)


def take(
    one: Lease,
    state: State,
    *,
    timeout_seconds: float = 0,
    on_wait: Callable[[str], None] = lambda _: None,
) -> bool:
    """Acquire, time passing as it sleeps."""
    return one.acquire(timeout_seconds=timeout_seconds, sleep=state.sleep, on_wait=on_wait)


def test_a_second_run_waits_until_the_first_gives_its_turn_back() -> None:
    """While one holds it, the other is told who, and gets nothing."""
    evidence, state = MemoryEvidence(), State()
    ada, bob = lease(evidence, state, "ada"), lease(evidence, state, "bob")
    assert take(ada, state)
    with pytest.raises(TimedOutError, match="ada"):
        take(bob, state)
    ada.release()
    assert not take(bob, state)
    bob.hold()


def test_a_waiting_run_says_for_whom_it_waits_once() -> None:
    """Not once a second."""
    evidence, state = MemoryEvidence(), State()
    take(lease(evidence, state, "ada"), state)
    said: list[str] = []
    take(lease(evidence, state, "bob"), state, timeout_seconds=300, on_wait=said.append)
    assert ["ada is working on this case; waiting for its turn to end"] == said


def test_a_turn_that_was_not_renewed_is_taken_over_and_its_holder_finds_out() -> None:
    """Who stood still for two minutes may not act any more."""
    evidence, state = MemoryEvidence(), State()
    ada, bob = lease(evidence, state, "ada"), lease(evidence, state, "bob")
    take(ada, state)
    state.sleep(121)
    take(bob, state)
    with pytest.raises(TimedOutError, match="lost its turn"):
        ada.hold()
    ada.release()  # what is lost is not given back: bob's turn stays
    bob.hold()


def test_a_turn_taken_over_by_a_clock_that_is_ahead_is_noticed_before_the_next_call() -> None:
    """By the holder's own clock its turn is fresh: only the newer number tells."""
    evidence, state, ahead = MemoryEvidence(), State(), State()
    ada, bob = lease(evidence, state, "ada"), lease(evidence, ahead, "bob")
    take(ada, state)
    ahead.sleep(200)
    take(bob, ahead)
    with pytest.raises(TimedOutError, match="lost its turn"):
        ada.hold()


def test_a_turn_in_use_is_renewed_for_as_long_as_it_is_used() -> None:
    """Holding renews it once half of it is over; nobody can take it over."""
    evidence, state = MemoryEvidence(), State()
    ada, bob = lease(evidence, state, "ada"), lease(evidence, state, "bob")
    take(ada, state)
    for _ in range(20):
        state.sleep(50)
        ada.hold()
    with pytest.raises(TimedOutError):
        take(bob, state)
    assert len(evidence.objects) < 20


def test_a_turn_that_nobody_has_is_no_ground_to_act() -> None:
    """`hold` without `acquire`."""
    with pytest.raises(TimedOutError):
        lease(MemoryEvidence(), State(), "ada").hold()


def test_the_turn_of_a_process_that_died_here_is_taken_over_at_once() -> None:
    """No need to wait two minutes for a holder that was killed on this machine."""
    evidence, state = MemoryEvidence(), State()
    take(lease(evidence, state, "ada"), state)
    key = KEY.format(1)
    body = json.loads(evidence.objects[key])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=20)
    evidence.objects[key] = encode_canonical({**body, "pid": gone.pid})
    take(lease(evidence, state, "bob"), state)
    evidence.objects[key] = encode_canonical({**body, "pid": gone.pid, "host": "elsewhere"})
    del evidence.objects[KEY.format(2)]
    with pytest.raises(TimedOutError):
        take(lease(evidence, state, "bob"), state)


def test_an_unreadable_turn_is_an_integrity_error() -> None:
    """Not a traceback, and not free for the taking."""
    evidence, state = MemoryEvidence(), State()
    evidence.objects[KEY.format(1)] = b"[]"
    with pytest.raises(IntegrityError, match="000001"):
        take(lease(evidence, state, "ada"), state)
