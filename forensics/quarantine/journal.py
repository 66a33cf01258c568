"""Who holds an instance's quarantine, and what its runs did: both in the evidence store.

In: a plan to claim with, then intents and observations. Out: the winning claim with its plan, and
the case's journal, hash-chained.
Must never let two cases hold one instance, nor be the only ground on which a step counts as done:
that is always read from AWS.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from forensics.errors import IntegrityError, NotFoundError, TimedOutError
from forensics.evidence.chain import Entry, encode_canonical
from forensics.evidence.custody import CASES, case_prefix
from forensics.evidence.log import ChainedLog
from forensics.ports import EvidenceStore
from forensics.quarantine.model import Call, Plan, Step
from forensics.quarantine.render import from_json, to_json

INTENT: Final = "intent"
OBSERVED: Final = "observed"
FAILED: Final = "failed"
STEP: Final = "step"
OUTCOME: Final = "outcome"
JOINED: Final = "joined"
"""Values of an entry's `kind`."""

_CLAIMS_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The case that holds an instance, with the plan that every run of it carries out."""

    case_id: str
    instance_id: str
    plan: Plan
    digest: str
    """SHA-256 of the claim's bytes; the journal remembers it."""


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

    def read(self) -> Sequence[Entry]:
        """Every entry, verified.

        Raises:
            IntegrityError: names the first entry that does not verify.
        """
        return self._log.read()

    def write(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Append one entry; it is durable when this returns."""
        return self._log.append({"kind": kind, "run": self._run_id, **body})

    def intend(self, step: Step, call: Call, parameters: Mapping[str, Any]) -> Entry:
        """What is about to be sent, with its final parameters."""
        return self.write(INTENT, {**_place(step, call), "parameters": parameters})

    def observe(self, step: Step, call: Call, detail: Mapping[str, Any]) -> Entry:
        """What AWS answered."""
        return self.write(OBSERVED, {**_place(step, call), "detail": detail})

    def fail(self, step: Step, call: Call, reason: str) -> Entry:
        """Why AWS refused it, or that no answer came."""
        return self.write(FAILED, {**_place(step, call), "reason": reason})

    def has_open_intent(self, step: Step, call: Call) -> bool:
        """Whether such a call was about to be sent, and nobody knows whether it was."""
        is_open = False
        for entry in self.read():
            body = entry.body
            if body.get("step") == step.id and body.get("effect") == call.effect:
                if body["kind"] == INTENT:
                    is_open = True
                elif body["kind"] in {OBSERVED, FAILED}:
                    is_open = False
        return is_open

    def last_outcome(self) -> Mapping[str, Any]:
        """The newest outcome; empty: no run came to its end."""
        outcomes = [entry.body for entry in self.read() if entry.body["kind"] == OUTCOME]
        return outcomes[-1] if outcomes else {}


def load_claim(evidence: EvidenceStore, instance_id: str) -> Claim | None:
    """The claim that holds the instance; None: none, or the last one's case is over."""
    keys = evidence.list(_claims_prefix(instance_id))
    if not keys:
        return None
    claim = _parse_claim(keys[-1], evidence.get(keys[-1]))
    return None if _is_over(evidence, claim.case_id) else claim


def save_claim(evidence: EvidenceStore, plan: Plan) -> Claim:
    """Claim the instance with this plan, or join the case of whoever was first."""
    data = encode_canonical({"plan": to_json(plan)})
    for _ in range(_CLAIMS_LIMIT):
        held = load_claim(evidence, plan.instance_id)
        if held is not None:
            return held
        prefix = _claims_prefix(plan.instance_id)
        key = f"{prefix}{len(evidence.list(prefix)) + 1:06d}.json"
        if evidence.put_new(key, data):
            return _parse_claim(key, data)
    raise TimedOutError(
        f"no turn to claim {plan.instance_id}",
        why=f"{_CLAIMS_LIMIT} claims of others came first and ended",
        next_step="see who else works on this instance, and try again",
    )


def end_case(evidence: EvidenceStore, case_id: str, why: str) -> None:
    """Say that the case no longer holds its instance; the next quarantine is a new case."""
    evidence.put_new(_over_key(case_id), encode_canonical({"why": why}))


def check_claim(journal: Journal, claim: Claim) -> None:
    """Hold the claim against the digest that the journal's first entry remembers.

    Raises:
        IntegrityError: the claim was altered after the first run.
    """
    entries = journal.read()
    if entries and entries[0].body.get("claim_sha256") != claim.digest:
        raise IntegrityError(
            f"the claim of {claim.case_id} is not the one that its journal began with",
            why="it, or the journal, was altered",
            next_step="keep the folder as it is, and compare it with another copy of the case",
        )


def _parse_claim(key: str, data: bytes) -> Claim:
    try:
        plan = from_json(json.loads(data)["plan"])
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"the claim {key} can't be read",
            why=f"{type(error).__name__}: {error}",
            next_step="compare it with another copy of the case",
        ) from error
    return Claim(
        case_id=plan.case_id,
        instance_id=plan.instance_id,
        plan=plan,
        digest=hashlib.sha256(data).hexdigest(),
    )


def _claims_prefix(instance_id: str) -> str:
    return f"{CASES}/by-instance/{instance_id}/"


def _over_key(case_id: str) -> str:
    return f"{case_prefix(case_id)}/over.json"


def _is_over(evidence: EvidenceStore, case_id: str) -> bool:
    try:
        evidence.get(_over_key(case_id))
    except NotFoundError:
        return False
    return True


def _place(step: Step, call: Call) -> Mapping[str, str]:
    return {"step": str(step.id), "effect": str(call.effect), "api": call.api}
