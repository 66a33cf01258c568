"""What AWS did to it: ended by its group, by a person, by a spot interruption, or by EC2 itself.

In: what was observed. Out: at most one finding. EC2's state reason and the Auto Scaling activity
are quoted as they are; this module only says which kind of end they tell of.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from forensics.findings.finding import (
    Confidence,
    Finding,
    Observed,
    Reference,
    event_reference,
)
from forensics.ledger.model import InstanceState, LifecycleEvent


class _Kind(NamedTuple):
    pattern: re.Pattern[str]
    title: str
    statement: str
    weight: int


# The first that matches the state reason or an event's words decides.
_KINDS: Final = (
    _Kind(
        re.compile(r"health check|unhealthy|impaired|status check", re.IGNORECASE),
        "Its group replaced it",
        "Auto Scaling took it out of service because a health check failed.",
        60,
    ),
    _Kind(
        re.compile(r"SpotInstance|spot (?:instance )?interruption|rebalance", re.IGNORECASE),
        "A spot interruption ended it",
        "EC2 took its capacity back.",
        97,
    ),
    _Kind(
        re.compile(r"InternalError|Server\.|hardware|retirement", re.IGNORECASE),
        "EC2 failed beneath it",
        "EC2 says that the cause was on its side.",
        93,
    ),
    _Kind(
        re.compile(r"shrink|scal(?:e|ing)[ -]in|desired capacity from", re.IGNORECASE),
        "Its group scaled in",
        "Auto Scaling ended it to shrink the group; that is no failure of the instance.",
        96,
    ),
    _Kind(
        re.compile(r"instance refresh|rolling", re.IGNORECASE),
        "An instance refresh replaced it",
        "Its group replaced it with a newer image; that is no failure of the instance.",
        96,
    ),
    _Kind(
        re.compile(r"InstanceInitiatedShutdown|instance initiated", re.IGNORECASE),
        "It shut itself down",
        "The instance ended by a shutdown from within.",
        70,
    ),
    _Kind(
        re.compile(r"UserInitiated|user initiated|user request", re.IGNORECASE),
        "It was ended on request",
        "Somebody, or a program with an account's rights, asked EC2 to end it.",
        55,
    ),
)
_AWS: Final = frozenset(("ec2", "autoscaling", "elb", "demo"))
_NO_END: Final = frozenset(("launched", "launching", "attaching", "snapshot"))
_EVIDENCE_LIMIT: Final = 6


def find_replaced(observed: Observed) -> Finding | None:
    """What AWS says of the end, for an instance that EC2 ended or stopped."""
    instance = observed.instance
    if instance.state not in {InstanceState.TERMINATED, InstanceState.STOPPED}:
        return None
    events = [
        event
        for event in observed.lifecycle
        if event.origin in _AWS and event.action not in _NO_END
    ]
    evidence = [event_reference(event) for event in events][-_EVIDENCE_LIMIT:]
    if instance.state_reason:
        at = instance.ended_at or (events[-1].at if events else instance.last_sign_at)
        # The ledger puts who says so before the reason: "EC2: Client.UserInitiatedShutdown …".
        who, colon, words = instance.state_reason.partition(": ")
        quote = words if colon else instance.state_reason
        evidence.insert(0, Reference(id="", at=at, where=who if colon else "", quote=quote))
    if not evidence:
        return None
    title, statement, weight = _kind(instance.state_reason, events, instance.state)
    return Finding(
        name="replaced",
        title=title,
        statement=statement,
        confidence=Confidence.CERTAIN,
        weight=weight,
        evidence=tuple(evidence),
    )


def _kind(
    state_reason: str, events: list[LifecycleEvent], state: InstanceState
) -> tuple[str, str, int]:
    said = [*(event.message for event in events), state_reason]
    for kind in _KINDS:
        if any(kind.pattern.search(text) for text in said):
            return kind.title, kind.statement, kind.weight
    word = "terminated" if state is InstanceState.TERMINATED else "stopped"
    return f"It was {word}", f"EC2 says that it is {word}, and gives no reason that we know.", 35
