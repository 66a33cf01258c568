"""Carries out a quarantine: claims the case, takes its turn, runs it, and tells who listens.

In: a plan, an account and an evidence store; a store of logs, best effort. Out: the outcome with
its reasons, and a report for each step while it goes on. Resumable: killed at any point, the same
command goes on from where AWS stands. A second run changes nothing.
Must never let a dead centre hold up containment, nor act without a claim and a turn.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from forensics.errors import NotFoundError, UsageError
from forensics.evidence.custody import CustodyLog
from forensics.evidence.ports import EvidenceStore
from forensics.ports import RELEASED_STATES, Account
from forensics.quarantine.announce import CentreFeed
from forensics.quarantine.case_run import CaseRun, Tell
from forensics.quarantine.claim import Claim, end_case, load_claim, save_claim
from forensics.quarantine.effects.scene import Scene
from forensics.quarantine.engine import Engine, StoppedError
from forensics.quarantine.facts import InstanceFacts, fetch_facts
from forensics.quarantine.journal import Journal
from forensics.quarantine.lease import Lease
from forensics.quarantine.model import Plan, StepId
from forensics.quarantine.papers import Papers
from forensics.quarantine.plan import plan_quarantine
from forensics.quarantine.result import (
    Limits,
    Outcome,
    QuarantineResult,
    StepReport,
    StepState,
)
from forensics.store.protocol import Store

__all__ = ["Limits", "Outcome", "QuarantineResult", "StepReport", "StepState", "run_quarantine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runner:
    """What a run needs of the world."""

    account: Account
    evidence: EvidenceStore
    limits: Limits
    clock: Callable[[], int]
    sleep: Callable[[float], None]
    stopping: threading.Event
    wait_snapshots: bool
    tell: Tell

    def run(self, asked: Plan) -> QuarantineResult:
        """Claim, take the turn, carry out."""
        facts = self._facts(asked)
        claim, notes = self._claim(asked, facts)
        case_id = claim.case_id
        run_id = f"{facts.caller.arn} {os.getpid()} {secrets.token_hex(4)}"
        lease = Lease(
            self.evidence,
            case_id,
            run_id,
            seconds=self.limits.lease_seconds,
            clock=self.clock,
        )
        is_first = lease.acquire(
            timeout_seconds=self.limits.turn_seconds,
            sleep=self._sleep_for_turn,
            on_wait=lambda message: self._tell_turn(asked, message),
        )
        custody = CustodyLog(self.evidence, case_id, facts.caller.arn, clock=self.clock)
        scene = Scene(self.account, claim.plan, Papers(self.evidence, case_id, custody))
        engine = Engine(
            scene=scene,
            journal=Journal(self.evidence, case_id, run_id=run_id, clock=self.clock),
            lease=lease,
            limits=self.limits,
            clock=self.clock,
            sleep=self.sleep,
            stopping=self.stopping,
        )
        try:
            case_run = CaseRun(
                claim=claim,
                asked=asked.options,
                # Another run may have acted before our turn.
                facts=facts if is_first else self._facts(asked),
                engine=engine,
                custody=custody,
                tell=self.tell,
                wait_snapshots=self.wait_snapshots,
                notes=notes,
            )
            return case_run.run()
        finally:
            lease.release()

    def _facts(self, asked: Plan) -> InstanceFacts:
        facts = fetch_facts(self.account, asked.instance_id, clock=self.clock)
        here = (facts.caller.account_id, facts.caller.region)
        if here != (asked.account_id, asked.region):
            raise UsageError(
                f"the plan for {asked.instance_id} is not for this account or region",
                why=f"planned in {asked.account_id} {asked.region}, now in {' '.join(here)}",
                next_step="plan again with the same --profile and --region",
            )
        return facts

    def _claim(self, asked: Plan, facts: InstanceFacts) -> tuple[Claim, list[str]]:
        """The case that holds the instance: the one there is, or one made now."""
        held = load_claim(self.evidence, asked.instance_id)
        if (
            held is not None
            and facts.case_id == held.case_id
            and facts.case_state in RELEASED_STATES
        ):
            end_case(self.evidence, held.case_id, f"the instance is tagged {facts.case_state}")
            held = None
        if held is None:
            options = asked.options
            # From facts of now: what was planned before may have changed, the floor too.
            fresh = plan_quarantine(
                facts,
                mode=options.mode,
                keep_running=options.keep_running,
                accept_outage=options.accept_outage,
                floor=options.floor,
                case_id=asked.case_id,
            )
            if not fresh.steps:
                raise NotFoundError(
                    f"{fresh.case_id} is in another evidence store",
                    why="the instance's tags say that it is quarantined; nothing here knows it",
                    next_step="name that store with --evidence (AFTERIMAGE_EVIDENCE)",
                )
            held = save_claim(self.evidence, fresh)
        return held, _notes(asked, held)

    def _sleep_for_turn(self, seconds: float) -> None:
        if self.stopping.is_set():
            raise StoppedError
        self.sleep(seconds)

    def _tell_turn(self, asked: Plan, message: str) -> None:
        claim = next((step for step in asked.steps if step.id is StepId.CLAIM), None)
        title = claim.title if claim else "claim the instance for this case"
        report = StepReport(
            step_id=StepId.CLAIM, title=title, state=StepState.WAITING, message=message
        )
        self.tell(report)


async def run_quarantine(
    plan: Plan,
    account: Account,
    evidence: EvidenceStore,
    *,
    store: Store | None = None,
    on_step: Callable[[StepReport], None] = lambda _: None,
    wait_snapshots: bool = False,
    limits: Limits | None = None,
    clock: Callable[[], int] = time.time_ns,
    sleep: Callable[[float], None] | None = None,
) -> QuarantineResult:
    """Carry out the plan, or join the case that holds the instance already.

    Args:
        plan: what the responder agreed to; made anew from the facts of now before the claim.
        account: where the instance is.
        evidence: where claim, journal and custody log are.
        store: the centre's, told best effort; None: nobody is told.
        on_step: called in the event loop's thread as steps start, wait and end.
        wait_snapshots: wait until the snapshots can be read (hours); their content is fixed anyway.
        limits: how long to try and wait.
        clock: nanoseconds since 1970.
        sleep: waits some seconds, in a worker thread.

    Raises:
        RefusedError: it would do harm now, or is still starting.
        TimedOutError: another run holds the case.
        UnreachableError: AWS or the evidence store does not answer; run again to go on.
        IntegrityError: claim, journal or custody log were altered.
    """
    loop = asyncio.get_running_loop()
    stopping = threading.Event()
    limits = limits or Limits()
    feed = None if store is None else CentreFeed(store, evidence, plan.instance_id, limits)

    def tell(report: StepReport) -> None:
        loop.call_soon_threadsafe(on_step, report)
        if feed is not None and report.is_end:
            loop.call_soon_threadsafe(feed.changed.set)

    runner = _Runner(
        account=account,
        evidence=evidence,
        limits=limits,
        clock=clock,
        sleep=sleep or (lambda seconds: _sleep_unless(stopping, seconds)),
        stopping=stopping,
        wait_snapshots=wait_snapshots,
        tell=tell,
    )
    work = asyncio.ensure_future(asyncio.to_thread(runner.run, plan))
    following = None if feed is None else asyncio.create_task(feed.follow())
    try:
        result = await asyncio.shield(work)
    except asyncio.CancelledError:
        # The thread ends between two calls: what was sent is written down with its answer.
        stopping.set()
        await asyncio.wait((work,))
        work.exception()  # StoppedError, most likely: the cancellation says it better
        raise
    finally:
        if following is not None:
            following.cancel()
    if feed is not None and (problem := await feed.catch_up()):
        note = f"the centre was not told: {problem}; run again to tell it"
        result = replace(result, notes=[*result.notes, note])
    return result


def _sleep_unless(stopping: threading.Event, seconds: float) -> None:
    stopping.wait(seconds)


def _notes(asked: Plan, held: Claim) -> list[str]:
    """In what the case differs from what was asked for."""
    plan, notes = held.plan, []
    if plan.planned_at != asked.planned_at and plan.options != asked.options:
        running = ", keeps running" if plan.options.keep_running else ""
        notes.append(
            f"{plan.case_id} was claimed by {plan.caller_arn} in mode {plan.options.mode}"
            f"{running}: that plan is carried out"
        )
    elif asked.steps and [step.calls for step in plan.steps] != [
        step.calls for step in asked.steps
    ]:
        notes.append("the facts changed since the plan was shown: it was planned anew")
    return notes
