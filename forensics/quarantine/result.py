"""What a run says: a report for each step, and the outcome with its reasons.

Pure values, and the one rule that makes an outcome of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from forensics.quarantine.model import StepId


class StepState(StrEnum):
    """How a step stands."""

    STARTED = "started"
    WAITING = "waiting"
    DONE = "done"
    ALREADY = "already"
    """It was so before: nothing was sent."""
    DEGRADED = "degraded"
    """It could not be done, or not wholly; the rest goes on."""
    SKIPPED = "skipped"
    """Not tried, because it would have made things worse, or had no ground."""


class Outcome(StrEnum):
    """How a quarantine ended."""

    COMPLETE = "complete"
    """All that was planned is so."""
    DEGRADED = "degraded"
    """Something is missing, and the reasons name it; part of the disk is kept."""
    LOST = "lost"
    """Nothing of the disk could be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """One step, now. Texts may quote AWS: hostile."""

    step_id: StepId
    title: str
    state: StepState
    message: str = ""
    number: int = 0
    """1 for the first."""
    total: int = 0
    at: str = ""
    """30-character UTC text."""

    @property
    def is_end(self) -> bool:
        """Whether nothing more will be said of this step by this run."""
        return self.state not in {StepState.STARTED, StepState.WAITING}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineResult:
    """What came of it."""

    case_id: str
    instance_id: str
    outcome: Outcome
    reasons: Sequence[str]
    """Why it is not complete. Hostile text."""
    steps: Sequence[StepReport]
    """The end of each step; empty where there was nothing to do."""
    snapshot_ids: Sequence[str]
    pending_snapshot_ids: Sequence[str] = ()
    """Their content is fixed, but they can't be read yet."""
    notes: Sequence[str] = ()
    """What else a person should know. Hostile text."""

    def to_json(self) -> Mapping[str, Any]:
        """JSON-safe, with its schema."""
        return {
            "schema": "afterimage.quarantine-result/1",
            "case_id": self.case_id,
            "instance_id": self.instance_id,
            "outcome": str(self.outcome),
            "reasons": list(self.reasons),
            "steps": [
                {
                    "step": str(step.step_id),
                    "title": step.title,
                    "state": str(step.state),
                    "message": step.message,
                    "at": step.at,
                }
                for step in self.steps
            ],
            "snapshot_ids": list(self.snapshot_ids),
            "pending_snapshot_ids": list(self.pending_snapshot_ids),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a run tries and waits."""

    attempts: int = 5
    """Of one call that is throttled, unanswered, or refused for the moment's state."""
    backoff_seconds: float = 1.0
    """Before the second attempt; doubles."""
    poll_seconds: float = 1.0
    """Between looks while waiting; grows to ten times that."""
    detach_seconds: float = 300
    replacement_seconds: float = 300
    drain_seconds: float = 300
    stop_seconds: float = 600
    """After half of it the stop is forced."""
    visible_seconds: float = 30
    """Until what AWS accepted shows in what it describes."""
    snapshots_seconds: float = 3600
    """Only where the run waits for snapshots to be readable."""
    lease_seconds: float = 120
    turn_seconds: float = 900
    """How long to wait for another run's turn on the case to end."""
    centre_seconds: float = 5
    """How long the store may take for one lifecycle event."""


def judge_outcome(*, reasons: Sequence[str], kept: bool) -> Outcome:
    """The outcome: `kept` is whether a snapshot or a volume of the instance exists."""
    if not kept:
        return Outcome.LOST
    return Outcome.DEGRADED if reasons else Outcome.COMPLETE
