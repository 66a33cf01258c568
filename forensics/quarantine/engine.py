"""Carries out one call of a plan: look, write the intent, send, write the answer, look again.

In: a step and its call. Out: `CallEnd`: whether it is so, was so already, or why it is not.
Must never send where a look says that it is so, send without a written intent, nor wait without a
limit. What can't be done is told, not raised, so that the rest goes on; only what makes all else
pointless is raised (no answer to looks, no credentials, a broken journal, a lost turn).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from forensics.errors import (
    ForensicsError,
    NotFoundError,
    RefusedError,
    StateConflictError,
    UnreachableError,
    UnsupportedError,
)
from forensics.quarantine.effects.scene import Check, Scene, Seen
from forensics.quarantine.effects.table import HANDLINGS
from forensics.quarantine.journal import Journal
from forensics.quarantine.lease import Lease
from forensics.quarantine.model import Call, Step
from forensics.quarantine.result import Limits, StepState
from shipper.wire.times import NANOS_PER_SECOND

_GROWTH: Final = 1.5
_POLL_GROWTH_LIMIT: Final = 10
_SLICE_SECONDS: Final = 5.0


class StoppedError(Exception):
    """The caller gave up (Ctrl-C): stop between two calls. Running again resumes the case."""


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How one call ended."""

    state: StepState
    """DONE, ALREADY or DEGRADED."""
    message: str = ""
    is_final: bool = False
    """Degraded, and no repetition would mend it."""


@dataclass(frozen=True, slots=True)
class _Problem:
    why: str
    is_passing: bool
    """Whether the same request may succeed a moment later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Looks, sends and waits for one run of a case."""

    scene: Scene
    journal: Journal
    lease: Lease
    limits: Limits
    clock: Callable[[], int]
    sleep: Callable[[float], None]
    stopping: threading.Event

    def bring_about(self, step: Step, call: Call, on_wait: Callable[[str], None]) -> CallEnd:
        """Make the call's effect so."""
        try:
            check = self._look(call)
            may_come_twice = HANDLINGS[call.effect].may_come_twice and check.seen is Seen.TODO
            if may_come_twice and self.journal.has_open_intent(step, call):
                on_wait(f"an earlier run may have made this so already: {call.effect}")
                check = self._wait_while(Seen.TODO, call, self.limits.visible_seconds)
            if check.seen is Seen.DONE:
                return CallEnd(StepState.ALREADY, check.detail)
            return self._pursue(step, call, check, on_wait)
        except (RefusedError, UnsupportedError, NotFoundError) as error:
            # The look itself is refused: acting without seeing could do it twice.
            return CallEnd(StepState.DEGRADED, f"{call.effect}: not tried, {_why(error)}")

    def pause(self, seconds: float) -> None:
        """Sleep, keeping the turn; also the place where a run ends that was told to stop."""
        left = seconds
        while True:
            if self.stopping.is_set():
                raise StoppedError
            self.lease.hold()
            if left <= 0:
                return
            self.sleep(min(left, _SLICE_SECONDS))
            left -= _SLICE_SECONDS

    def _pursue(
        self, step: Step, call: Call, check: Check, on_wait: Callable[[str], None]
    ) -> CallEnd:
        problem: _Problem | None = None
        for attempt in range(self.limits.attempts):
            if check.seen is Seen.TODO:
                if attempt:
                    self.pause(self.limits.backoff_seconds * 2 ** (attempt - 1))
                problem, answer = self._send(step, call, HANDLINGS[call.effect].do)
                if problem is None and not HANDLINGS[call.effect].shows:
                    return CallEnd(StepState.DONE, _told(answer))
                check = self._look(call)
                # AWS may have carried it out and show it later, also where its answer was lost.
                may_show = problem is None or HANDLINGS[call.effect].may_come_twice
                if may_show and check.seen is Seen.TODO and (problem is None or problem.is_passing):
                    check = self._wait_while(Seen.TODO, call, self.limits.visible_seconds)
            if check.seen is Seen.COMING:
                on_wait(check.detail)
                check = self._wait_coming(step, call)
            end = _end(call, check, problem)
            if end is not None:
                return end
        if problem is not None:
            return CallEnd(StepState.DEGRADED, _and(problem.why, check.detail))
        why = f"{call.api} was accepted, but does not show: {check.detail}"
        return CallEnd(StepState.DEGRADED, why)

    def _send(
        self, step: Step, call: Call, do: Callable[[Scene, Call], Mapping[str, Any]]
    ) -> tuple[_Problem | None, Mapping[str, Any]]:
        self.pause(0)
        self.journal.intend(step, call, self.scene.resolved(call.parameters))
        try:
            answer = do(self.scene, call)
        except (UnreachableError, StateConflictError) as error:
            problem = _Problem(_why(error), is_passing=True)
        except (RefusedError, UnsupportedError, NotFoundError) as error:
            problem = _Problem(_why(error), is_passing=False)
        else:
            self.journal.observe(step, call, answer)
            return None, answer
        self.journal.fail(step, call, problem.why)
        return problem, {}

    def _look(self, call: Call) -> Check:
        """What AWS says now; a look that is not answered is repeated, then raised."""
        for attempt in range(self.limits.attempts - 1):
            try:
                return HANDLINGS[call.effect].check(self.scene, call)
            except UnreachableError:
                self.pause(self.limits.backoff_seconds * 2**attempt)
        return HANDLINGS[call.effect].check(self.scene, call)

    def _wait_coming(self, step: Step, call: Call) -> Check:
        """Wait for what is on its way; half the time kindly, then by force where there is one."""
        handling = HANDLINGS[call.effect]
        seconds, force = handling.patience(self.limits), handling.force
        if force is None:
            return self._wait_while(Seen.COMING, call, seconds)
        check = self._wait_while(Seen.COMING, call, seconds / 2)
        if check.seen is Seen.COMING:
            self._send(step, call, force)
            check = self._wait_while(Seen.COMING, call, seconds / 2)
        return check

    def _wait_while(self, seen: Seen, call: Call, seconds: float) -> Check:
        deadline = self.clock() + int(seconds * NANOS_PER_SECOND)
        interval = self.limits.poll_seconds
        while (check := self._look(call)).seen is seen and self.clock() < deadline:
            self.pause(interval)
            interval = min(interval * _GROWTH, self.limits.poll_seconds * _POLL_GROWTH_LIMIT)
        return check


def _end(call: Call, check: Check, problem: _Problem | None) -> CallEnd | None:
    """What a look means after trying; None: try again."""
    match check.seen:
        case Seen.DONE:
            return CallEnd(StepState.DONE, check.detail)
        case Seen.IMPOSSIBLE:
            return CallEnd(StepState.DEGRADED, f"{call.effect}: {check.detail}", is_final=True)
        case Seen.COMING if HANDLINGS[call.effect].late:
            return CallEnd(StepState.DONE, HANDLINGS[call.effect].late)
        case Seen.COMING:
            return CallEnd(StepState.DEGRADED, f"{call.effect}: not in time, {check.detail}")
        case Seen.TODO if problem is not None and not problem.is_passing:
            return CallEnd(StepState.DEGRADED, _and(problem.why, check.detail))
    return None


def _told(answer: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in answer.items())


def _and(why: str, detail: str) -> str:
    return f"{why}; {detail}" if detail else why


def _why(error: ForensicsError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what
