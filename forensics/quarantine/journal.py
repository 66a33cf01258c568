"""What the runs of a case did: intent before each call, observation after it, each step's end.

In: what a run is about to do and what came of it. Out: hash-chained entries, and the values of
`entries.py` when they are read again.
Must never be the only ground on which a step counts as done: that is always read from AWS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forensics.evidence.custody import case_prefix
from forensics.evidence.log import ChainedLog
from forensics.evidence.ports import EvidenceStore
from forensics.quarantine.entries import (
    Answered,
    Failed,
    Intended,
    JournalEntry,
    RunEnded,
    StepEnded,
    parse_entry,
)
from forensics.quarantine.model import Call, Step, StepId
from forensics.quarantine.result import QuarantineResult, StepReport


class Journal:
    """The journal of one case."""

    def __init__(
        self,
        evidence: EvidenceStore,
        case_id: str,
        *,
        run_id: str = "",
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._log = ChainedLog(evidence, f"{case_prefix(case_id)}/journal", clock=clock)
        self._run_id = run_id

    def read(self) -> Sequence[JournalEntry]:
        """Every entry, verified.

        Raises:
            IntegrityError: names the first entry that does not verify, or can't be read.
        """
        return [parse_entry(entry) for entry in self._log.read()]

    # --- writing: an entry is durable when the call returns ---

    def join(self, who: str, claim_sha256: str) -> None:
        """A run takes its turn."""
        self._write("joined", {"claim_sha256": claim_sha256, "who": who})

    def intend(self, step: Step, call: Call, parameters: Mapping[str, Any]) -> None:
        """What is about to be sent, with its final parameters."""
        self._write("intent", {**_place(step, call), "parameters": parameters})

    def observe(self, step: Step, call: Call, detail: Mapping[str, Any]) -> None:
        """What AWS answered."""
        self._write("observed", {**_place(step, call), "detail": detail})

    def fail(self, step: Step, call: Call, reason: str) -> None:
        """Why AWS refused it, or that no answer came."""
        self._write("failed", {**_place(step, call), "reason": reason})

    def end_step(self, report: StepReport) -> None:
        """How a step ended."""
        body = {
            "step": str(report.step_id),
            "title": report.title,
            "outcome": str(report.state),
            "message": report.message,
        }
        self._write("step", body)

    def end_run(self, result: QuarantineResult) -> None:
        """What came of the run."""
        self._write("outcome", result.to_json())

    # --- reading ---

    def has_open_intent(self, step: Step, call: Call) -> bool:
        """Whether such a call was about to be sent, and nobody knows whether it was."""
        is_open = False
        for entry in self.read():
            match entry:
                case Intended() | Answered() | Failed() if (entry.step, entry.effect) == (
                    step.id,
                    call.effect,
                ):
                    is_open = isinstance(entry, Intended)
        return is_open

    def has_step_end(self, step_id: StepId) -> bool:
        """Whether a run told the end of this step."""
        return any(isinstance(said, StepEnded) and said.step == step_id for said in self.read())

    def last_outcome(self) -> RunEnded | None:
        """The newest outcome; None: no run came to its end."""
        ends = [entry for entry in self.read() if isinstance(entry, RunEnded)]
        return ends[-1] if ends else None

    def _write(self, kind: str, body: Mapping[str, Any]) -> None:
        self._log.append({"kind": kind, "run": self._run_id, **body})


def _place(step: Step, call: Call) -> Mapping[str, str]:
    return {"step": str(step.id), "effect": str(call.effect), "api": call.api}
