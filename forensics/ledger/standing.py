"""Where an instance stands, and why we say so: the rules of `InstanceState`.

In: what the sources say of one instance, and who was asked when. Out: state, reason, end and case.
Pure; it must never take the silence of an account that was not asked, or asked elsewhere, for a
death.
"""

from __future__ import annotations

import re
from typing import Final

from forensics.ledger.derive import ENDED_STATES, STOPPED_STATES, parse_transition_time
from forensics.ledger.facts import Facts, Mentions
from forensics.ledger.model import InstanceState, LifecycleEvent
from forensics.ports import CASE_TAG, RELEASED_STATES, STATE_TAG
from shipper.wire.times import NANOS_PER_SECOND, format_time, parse_time

RELEASE_ACTIONS: Final = frozenset(("release", "released", "dispose", "disposed"))
"""Lifecycle actions of the quarantine after which the instance is no longer set aside."""

FORGOTTEN: Final = (
    "EC2 answers and no longer knows it (it forgets a terminated instance after about an hour)"
)

_EC2_ID: Final = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?")
# EC2 remembers for about an hour: one that spoke within half of that would still be described.
_REMEMBERED_SECONDS: Final = 1800


def decide_state(mentions: Mentions, facts: Facts) -> tuple[InstanceState, str]:
    """The state, and the reason with its source. An end outranks a quarantine."""
    known = mentions.instance is not None
    ended = _ec2_end(mentions) if known else _silent_end(mentions, facts)
    if ended:
        return InstanceState.TERMINATED, ended
    says = _ec2_says(mentions) if known else _why_unknown(mentions, facts)
    if quarantine := _quarantine_says(mentions):
        return InstanceState.QUARANTINED, f"{quarantine}; {says}"
    return _plain_state(mentions), says


def _plain_state(mentions: Mentions) -> InstanceState:
    """EC2's word for one that neither ended nor is set aside."""
    if mentions.instance is None:
        return InstanceState.UNKNOWN
    if mentions.instance.state in STOPPED_STATES:
        return InstanceState.STOPPED
    if mentions.instance.state == "pending":
        return InstanceState.PENDING
    return InstanceState.RUNNING


def _ec2_end(mentions: Mentions) -> str:
    """EC2's word that it ended, with its reason; empty: it did not."""
    ended = mentions.instance is not None and mentions.instance.state in ENDED_STATES
    return _ec2_says(mentions) if ended else ""


def _silent_end(mentions: Mentions, facts: Facts) -> str:
    """Why one that EC2 does not show counts as ended; empty: that can't be said."""
    end = _remembered_end(mentions)
    if end is not None:
        return f"{end.origin}: {end.message}"
    asked = facts.asked_at and _EC2_ID.fullmatch(mentions.instance_id)
    return FORGOTTEN if asked and not _asked_elsewhere(mentions, facts) else ""


def _why_unknown(mentions: Mentions, facts: Facts) -> str:
    """Why EC2 gives no state."""
    if not facts.asked_at:
        # There is a region only where there was an account to ask.
        return "EC2 did not answer" if facts.region else "EC2 was not asked"
    if not _EC2_ID.fullmatch(mentions.instance_id):
        return "EC2 was asked, but the id is none of EC2's"
    return f"EC2 does not know it here: {_asked_elsewhere(mentions, facts)}"


def find_case(mentions: Mentions) -> str:
    """The case that last claimed it, released or not; empty: none ever did."""
    tagged = mentions.instance.tags.get(CASE_TAG, "") if mentions.instance else ""
    told = (event.case_id for event in reversed(mentions.lifecycle) if event.case_id)
    kept = (s.tags[CASE_TAG] for s in reversed(mentions.snapshots) if s.tags.get(CASE_TAG))
    return tagged or next(told, "") or next(kept, "")


def ended_at(mentions: Mentions) -> str:
    """When a terminated instance ended, as EC2, the lifecycle or its group says; empty: unknown."""
    instance = mentions.instance
    if instance is not None and (at := parse_transition_time(instance.state_transition_reason)):
        return at
    end = _remembered_end(mentions)
    if end is not None:
        return end.at
    for activity in reversed(mentions.activities):
        if activity.description.startswith("Terminating"):
            return activity.ended_at or activity.started_at
    return ""


def _ec2_says(mentions: Mentions) -> str:
    instance, member = mentions.instance, mentions.member
    if instance is None:
        return ""
    why = "; ".join(filter(None, (instance.state_reason, instance.state_transition_reason)))
    text = f"EC2: {instance.state}" + (f": {why}" if why else "")
    if member is not None and member.lifecycle_state != "InService":
        text += f"; Auto Scaling: {member.lifecycle_state} in {member.group}"
    return text


def _remembered_end(mentions: Mentions) -> LifecycleEvent | None:
    """The stored event of its termination."""
    ends = (event for event in reversed(mentions.lifecycle) if event.action == "terminated")
    return next(ends, None)


def _quarantine_says(mentions: Mentions) -> str:
    """Why it counts as quarantined; empty: it does not."""
    tags = mentions.instance.tags if mentions.instance else {}
    if tags.get(STATE_TAG) in RELEASED_STATES:
        return ""
    if case := tags.get(CASE_TAG):
        return f"quarantine: case {case} (tag {CASE_TAG})"
    if state := tags.get(STATE_TAG):
        return f"quarantine: {state} (tag {STATE_TAG})"
    for event in reversed(mentions.lifecycle):
        if event.origin == "quarantine" and event.outcome != "failure":
            if event.action in RELEASE_ACTIONS:
                return ""
            return f"quarantine: {event.action} at {event.at[:19]}Z, case {event.case_id or '?'}"
    return ""


def _asked_elsewhere(mentions: Mentions, facts: Facts) -> str:
    """Why EC2's not knowing it proves nothing; empty: it was asked in the right place."""
    for name, here in (("cloud.region", facts.region), ("cloud.account.id", facts.account_id)):
        there = mentions.remembered(name)
        if there and here and there != here:
            return f"it belongs to {there} and {here} was asked"
    newest = mentions.newest_stream
    if newest is not None and newest.last_at > _before(facts.asked_at, _REMEMBERED_SECONDS):
        return (
            f"its shipper spoke at {newest.last_at[:19]}Z, and EC2 would remember one that ended "
            "since: is this its account and region?"
        )
    return ""


def _before(at: str, seconds: int) -> str:
    return format_time(max(0, parse_time(at) - seconds * NANOS_PER_SECOND))
