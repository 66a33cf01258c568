"""Who holds an instance's quarantine: one case, with the plan that all its runs follow.

In: an evidence store, a plan to claim with. Out: the winning claim.
Must never let two cases hold one instance.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from forensics.errors import IntegrityError, NotFoundError, TimedOutError
from forensics.evidence.chain import encode_canonical
from forensics.evidence.custody import CASES, case_prefix
from forensics.evidence.ports import EvidenceStore
from forensics.quarantine.entries import Joined
from forensics.quarantine.journal import Journal
from forensics.quarantine.model import Plan
from forensics.quarantine.plan_json import from_json, to_json

_CLAIMS_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The case that holds an instance, with the plan that every run of it carries out."""

    case_id: str
    instance_id: str
    plan: Plan
    digest: str
    """SHA-256 of the claim's bytes; the journal remembers it."""


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
    first = next(iter(journal.read()), None)
    if first is None:
        return
    if not isinstance(first, Joined) or first.claim_sha256 != claim.digest:
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
