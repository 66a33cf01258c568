"""Killed anywhere, run again: the account ends as if nobody had been killed, in one case."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from forensics.evidence.custody import CustodyLog
from forensics.quarantine.claim import load_claim
from forensics.quarantine.entries import RunEnded
from forensics.quarantine.journal import Journal
from forensics.quarantine.model import Mode
from forensics.quarantine.result import Outcome
from tests.forensics.quarantine.fake_account import INSTANCE, State, build_state
from tests.forensics.quarantine.quarantines import (
    KillAt,
    KilledError,
    MemoryEvidence,
    quarantine,
    summary,
)

ONCE = ("create_snapshots", "create_security_group", "detach_instance")
"""What AWS would do twice if it were sent twice."""

SCENES: dict[str, tuple[Callable[[], State], Mode, bool]] = {
    "fault in a group": (lambda: build_state(interfaces=2), Mode.FAULT, False),
    "attack in a group": (build_state, Mode.ATTACK, False),
    "attack, kept running": (lambda: build_state(interfaces=2), Mode.ATTACK, True),
    "fault without a group": (lambda: build_state(lifecycle=""), Mode.FAULT, False),
}


def undisturbed(scene: str) -> tuple[State, int]:
    """The account after a run that nobody disturbed, and how many places there are to be killed."""
    build, mode, keep_running = SCENES[scene]
    state, tap = build(), KillAt(10**9)
    result = quarantine(state, MemoryEvidence(tap=tap), tap, mode=mode, keep_running=keep_running)
    assert Outcome.COMPLETE is result.outcome
    return state, tap.seen


def assert_as_undisturbed(state: State, evidence: MemoryEvidence, expected: State) -> None:
    """The same account, nothing twice, one case whose chains verify."""
    assert summary(expected) == summary(state)
    assert {name: expected.sent[name] for name in ONCE} == {name: state.sent[name] for name in ONCE}
    assert 1 == len(evidence.list("cases/by-instance/"))
    claim = load_claim(evidence, INSTANCE)
    assert claim is not None
    cases = {key.split("/")[1] for key in evidence.list("cases/")} - {"by-instance"}
    assert {claim.case_id} == cases
    assert isinstance(Journal(evidence, claim.case_id).read()[-1], RunEnded)
    subjects = [entry.subject for entry in CustodyLog(evidence, claim.case_id).read()]
    assert len(subjects) == len(set(subjects))
    papers = {
        key
        for key in evidence.list(f"cases/{claim.case_id}/")
        if key.count("/") == 2  # neither journal, custody log nor lease
    }
    assert papers | set(state.snapshots) == set(subjects)


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_a_run_killed_at_any_call_is_completed_by_the_next(scene: str) -> None:
    """Before and after each AWS call and each evidence object, in turn: one kill, one resume."""
    expected, places = undisturbed(scene)
    build, mode, keep_running = SCENES[scene]
    for place in range(1, places + 1):
        state, tap = build(), KillAt(place)
        evidence = MemoryEvidence(tap=tap)
        with pytest.raises(KilledError):
            quarantine(state, evidence, tap, mode=mode, keep_running=keep_running)
        evidence.tap = lambda *_: None
        result = quarantine(state, evidence, mode=mode, keep_running=keep_running)
        assert Outcome.COMPLETE is result.outcome
        assert_as_undisturbed(state, evidence, expected)
    print(f"{scene}: {places} kills")  # noqa: T201 - the measured number, shown with -s
    assert places > 200


@pytest.mark.parametrize(
    "scene",
    [next(iter(SCENES)), *(pytest.param(one, marks=pytest.mark.slow) for one in [*SCENES][1:])],
)
def test_a_run_killed_again_and_again_comes_to_its_end(scene: str) -> None:
    """Kills at random places, each resume killed too, and AWS slow: the same account in the end."""
    expected, places = undisturbed(scene)
    build, mode, keep_running = SCENES[scene]
    chance = random.Random(scene)  # the same rounds each time
    kills = 0
    for _ in range(40):
        state = build()
        state.looks_until_stopped = state.looks_until_drained = chance.randrange(4)
        state.looks_until_detached = state.looks_until_snapshots_show = chance.randrange(4)
        evidence = MemoryEvidence()
        for _ in range(100):
            tap = KillAt(chance.randrange(30, places))
            evidence.tap = tap
            try:
                quarantine(state, evidence, tap, mode=mode, keep_running=keep_running)
            except KilledError:
                kills += 1
            else:
                break
        evidence.tap = lambda *_: None
        quarantine(state, evidence, mode=mode, keep_running=keep_running)
        assert_as_undisturbed(state, evidence, expected)
    print(f"{scene}: {kills} kills in 40 rounds")  # noqa: T201 - the measured number, shown with -s
    assert kills > 40


def test_snapshots_that_do_not_show_yet_are_waited_for_after_a_kill() -> None:
    """Killed when the set was made; AWS shows it only after a while: no second set."""
    expected, _ = undisturbed("fault in a group")
    state = build_state(interfaces=2)

    def die(name: str, when: str) -> None:
        if state.sent["create_snapshots"]:
            raise KilledError(name, when)

    evidence = MemoryEvidence(tap=die)
    with pytest.raises(KilledError):
        quarantine(state, evidence, die)
    evidence.tap = lambda *_: None
    state.looks_until_snapshots_show = 6
    assert Outcome.COMPLETE is quarantine(state, evidence).outcome
    assert_as_undisturbed(state, evidence, expected)


def test_a_case_is_resumed_by_somebody_with_another_plan_as_it_was_claimed() -> None:
    """The loser, or the next responder, adopts the case with its mode; the result says so."""
    state, tap = build_state(), KillAt(60)
    evidence = MemoryEvidence(tap=tap)
    with pytest.raises(KilledError):
        quarantine(state, evidence, tap, mode=Mode.ATTACK, keep_running=True)
    evidence.tap = lambda *_: None
    state.sleep(5)
    result = quarantine(state, evidence, mode=Mode.FAULT)
    assert "running" == state.instances[INSTANCE].state
    assert any("in mode attack, keeps running" in note for note in result.notes)
