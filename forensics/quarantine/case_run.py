"""One run of a case, from its first look to its outcome: the steps in their order, and their sense.

In: the case's claim and an engine. Out: the result, which is also the journal's last entry.
Must never stop an instance when that would destroy the only copy of its disk, nor mark it as
quarantined while it is not contained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from forensics.errors import RefusedError, UnreachableError, UnsupportedError
from forensics.evidence.custody import CustodyLog
from forensics.ports import CASE_TAG, INSTANCE_TAG, Snapshot
from forensics.quarantine.claim import Claim, check_claim
from forensics.quarantine.engine import CallEnd, Engine
from forensics.quarantine.entries import RunEnded
from forensics.quarantine.facts import InstanceFacts
from forensics.quarantine.harm import find_harm
from forensics.quarantine.model import (
    QUARANTINED,
    QUARANTINED_RUNNING,
    Effect,
    Options,
    Plan,
    Step,
    StepId,
)
from forensics.quarantine.papers import AFTER, BEFORE
from forensics.quarantine.result import (
    Outcome,
    QuarantineResult,
    StepReport,
    StepState,
    judge_outcome,
)
from forensics.quarantine.steps import build_isolate
from shipper.wire.times import NANOS_PER_SECOND, format_time

Tell = Callable[[StepReport], None]


@dataclass(slots=True, kw_only=True)
class CaseRun:
    """What one run knows while it goes on."""

    claim: Claim
    asked: Options
    facts: InstanceFacts
    """Read after the turn was taken."""
    engine: Engine
    custody: CustodyLog
    tell: Tell
    wait_snapshots: bool
    notes: list[str] = field(default_factory=list)
    _reports: list[StepReport] = field(default_factory=list)
    _ends: dict[tuple[StepId, Effect], CallEnd] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The plan that every run of this case carries out."""
        return self.claim.plan

    def run(self) -> QuarantineResult:
        """Carry out the plan, or tell the outcome that an earlier run came to."""
        journal = self.engine.journal
        check_claim(journal, self.claim)
        earlier = journal.last_outcome()
        if earlier is not None and self._is_sealed():
            return self._earlier_result(earlier)
        self._refuse_harm()
        journal.join(self.custody.who, self.claim.digest)
        self._keep_papers()
        for number, step in enumerate(self.plan.steps, start=1):
            self._run_step(number, step)
        result = self._judge()
        journal.end_run(result)
        return result

    # --- before ---

    def _is_sealed(self) -> bool:
        facts = self.facts
        sealed = facts.case_state in {QUARANTINED, QUARANTINED_RUNNING}
        return sealed and facts.case_id == self.claim.case_id

    def _refuse_harm(self) -> None:
        """Judge the floor once more, unless the instance has left its group already."""
        options = self.plan.options
        if options.accept_outage or self.asked.accept_outage:
            return
        if self.plan.group and self.facts.member is None:
            return
        harm = find_harm(self.facts, options.floor)
        if harm:
            raise RefusedError(
                f"going on with {self.claim.case_id} would do harm",
                why="; ".join(harm),
                next_step="bring up a replacement first, or say --accept-outage",
            )

    def _keep_papers(self) -> None:
        papers = self.engine.scene.papers
        papers.keep_plan(self.plan)
        papers.keep_description(BEFORE, self.facts.instance)

    # --- the steps ---

    def _run_step(self, number: int, step: Step) -> None:
        report = StepReport(
            step_id=step.id,
            title=step.title,
            state=StepState.STARTED,
            number=number,
            total=len(self.plan.steps),
            at=self._now(),
        )
        self.tell(report)
        reason = self._why_skip(step)
        if reason:
            self._end_step(replace(report, state=StepState.SKIPPED, message=reason))
            return

        def tell_waiting(message: str) -> None:
            waiting = replace(report, state=StepState.WAITING, message=message, at=self._now())
            self.tell(waiting)

        ends = []
        for call in self._current(step).calls:
            end = self.engine.bring_about(step, call, tell_waiting)
            ends.append(end)
            before = self._ends.get((step.id, call.effect))
            if before is None or before.state is not StepState.DEGRADED:
                self._ends[step.id, call.effect] = end
        self._end_step(replace(report, state=_step_state(ends), message=_step_message(ends)))

    def _end_step(self, report: StepReport) -> None:
        report = replace(report, at=self._now())
        self._reports.append(report)
        journal = self.engine.journal
        if report.state is not StepState.ALREADY or not journal.has_step_end(report.step_id):
            journal.end_step(report)
        self.tell(report)

    def _current(self, step: Step) -> Step:
        """The step, with interfaces that were attached since the plan was made."""
        if step.id is not StepId.ISOLATE:
            return step
        planned = {call.parameters.get("NetworkInterfaceId") for call in step.calls}
        try:
            now = self.engine.scene.account.ec2.describe_network_interfaces(self.plan.instance_id)
        except (RefusedError, UnsupportedError, UnreachableError):
            return step  # each call looks for itself, and tells what it can't see
        if all(interface.interface_id in planned for interface in now):
            return step
        running = self.plan.options.keep_running
        return build_isolate(replace(self.facts, interfaces=now), keep_running=running)

    def _why_skip(self, step: Step) -> str:
        match step.id:
            case StepId.STOP if self._would_destroy():
                return (
                    "not stopped: it is still in its group, no snapshot was made and its volumes "
                    "are not protected, so that its group would terminate it with the only copy"
                )
            case StepId.SNAPSHOT_AGAIN if self._failed(StepId.STOP):
                return "it did not stop, so that a second set would not be the last word"
            case StepId.SEAL:
                return self._why_not_sealed()
        return ""

    def _would_destroy(self) -> bool:
        return (
            self._failed(StepId.DETACH)
            and self._failed(StepId.SNAPSHOT)
            and self._is_degraded(StepId.PROTECT, Effect.VOLUMES_KEPT)
        )

    def _why_not_sealed(self) -> str:
        """Why the case must stay open, so that running again tries again."""
        detach = self._ends.get((StepId.DETACH, Effect.DETACHED))
        if detach is not None and detach.state is StepState.DEGRADED and not detach.is_final:
            return "it is still in its group: run again"
        stop_planned = any(step.id is StepId.STOP for step in self.plan.steps)
        if stop_planned and self._failed(StepId.STOP):
            return "it did not stop: run again"
        if not stop_planned and self._failed(StepId.ISOLATE):
            return "it is not isolated: run again"
        sets = [
            report
            for report in self._reports
            if report.step_id in {StepId.SNAPSHOT, StepId.SNAPSHOT_AGAIN}
        ]
        if sets and not any(_is_so(report) for report in sets):
            return "no set of snapshots was made: run again"
        return ""

    def _failed(self, step_id: StepId) -> bool:
        return any(report.step_id is step_id and not _is_so(report) for report in self._reports)

    def _is_degraded(self, step_id: StepId, effect: Effect) -> bool:
        end = self._ends.get((step_id, effect))
        return end is not None and end.state is StepState.DEGRADED

    # --- after ---

    def _judge(self) -> QuarantineResult:
        reasons = [
            *self.plan.losses,
            *(
                f"{report.step_id}: {report.message}"
                for report in self._reports
                if not _is_so(report)
            ),
        ]
        snapshots = self._snapshots(reasons)
        if self.wait_snapshots:
            snapshots = self._wait_snapshots(snapshots)
        kept = bool(snapshots) or self._keeps_volumes(reasons)
        self._keep_last_description(reasons)
        return QuarantineResult(
            case_id=self.claim.case_id,
            instance_id=self.plan.instance_id,
            outcome=judge_outcome(reasons=reasons, kept=kept),
            reasons=reasons,
            steps=self._reports,
            snapshot_ids=sorted(snapshot.snapshot_id for snapshot in snapshots),
            pending_snapshot_ids=_pending(snapshots),
            notes=self.notes,
        )

    def _snapshots(self, reasons: list[str]) -> Sequence[Snapshot]:
        tags = {CASE_TAG: self.claim.case_id, INSTANCE_TAG: self.plan.instance_id}
        scene = self.engine.scene
        try:
            found = scene.account.ec2.describe_snapshots(tags=tags)
        except (RefusedError, UnsupportedError, UnreachableError) as error:
            reasons.append(f"the snapshots could not be listed: {error.why or error.what}")
            found = ()
        all_ids = {snapshot.snapshot_id: snapshot for snapshot in found}
        return list((scene.created | all_ids).values())

    def _wait_snapshots(self, snapshots: Sequence[Snapshot]) -> Sequence[Snapshot]:
        engine = self.engine
        deadline = engine.clock() + int(engine.limits.snapshots_seconds * NANOS_PER_SECOND)
        while (pending := _pending(snapshots)) and engine.clock() < deadline:
            seal = next(report for report in reversed(self._reports))
            said = f"{len(pending)} snapshots are not readable yet"
            self.tell(replace(seal, state=StepState.WAITING, message=said, at=self._now()))
            engine.pause(engine.limits.poll_seconds * 10)
            snapshots = self._snapshots([])
        return snapshots

    def _keeps_volumes(self, reasons: list[str]) -> bool:
        """Whether any of the instance's volumes still exists."""
        if not self.plan.volume_ids:
            return False
        volume_ids = frozenset(self.plan.volume_ids)
        try:
            volumes = self.engine.scene.account.ec2.describe_volumes(volume_ids=volume_ids)
        except (RefusedError, UnsupportedError, UnreachableError) as error:
            reasons.append(f"whether its volumes exist is not known: {error.why or error.what}")
            return True
        if volumes:
            ids = ", ".join(volume.volume_id for volume in volumes)
            reasons.append(f"only the volumes themselves are kept: {ids}")
        return bool(volumes)

    def _keep_last_description(self, reasons: list[str]) -> None:
        try:
            instance = self.engine.scene.instance()
        except (RefusedError, UnsupportedError, UnreachableError) as error:
            reasons.append(f"its last state could not be read: {error.why or error.what}")
            return
        if instance is not None and not self._failed(StepId.SEAL):
            self.engine.scene.papers.keep_description(AFTER, instance)

    def _earlier_result(self, earlier: RunEnded) -> QuarantineResult:
        snapshots = self._snapshots([])
        return QuarantineResult(
            case_id=self.claim.case_id,
            instance_id=self.plan.instance_id,
            outcome=Outcome(earlier.outcome),
            reasons=earlier.reasons,
            steps=(),
            snapshot_ids=sorted(snapshot.snapshot_id for snapshot in snapshots),
            pending_snapshot_ids=_pending(snapshots),
            notes=[*self.notes, "it was quarantined before: nothing was done"],
        )

    def _now(self) -> str:
        return format_time(self.engine.clock())


def _is_so(report: StepReport) -> bool:
    return report.state in {StepState.DONE, StepState.ALREADY}


def _step_state(ends: Sequence[CallEnd]) -> StepState:
    states = {end.state for end in ends}
    for state in (StepState.DEGRADED, StepState.DONE):
        if state in states:
            return state
    return StepState.ALREADY


def _step_message(ends: Sequence[CallEnd]) -> str:
    wrong = [end.message for end in ends if end.state is StepState.DEGRADED]
    said = wrong or [end.message for end in ends if end.message]
    return "; ".join(dict.fromkeys(said))


def _pending(snapshots: Sequence[Snapshot]) -> Sequence[str]:
    return sorted(snapshot.snapshot_id for snapshot in snapshots if snapshot.state == "pending")
