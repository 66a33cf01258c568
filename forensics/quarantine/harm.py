"""What would be worse without the instance: the floor that a quarantine may not go below unasked.

In: facts and a floor. Out: sentences, each a reason to refuse; none: it may be taken away.
Pure. Must never take what could not be read for harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from forensics.ports import AutoScalingGroup
from forensics.quarantine.facts import InstanceFacts

_NOT_SERVING: Final = frozenset(("stopping", "stopped", "shutting-down", "terminated"))


def find_harm(facts: InstanceFacts, floor: int) -> Sequence[str]:
    """Why taking the instance away would do harm, a sentence for each reason."""
    if facts.instance.state in _NOT_SERVING:
        return []
    return [*_target_harm(facts, floor), *_group_harm(facts, floor)]


def will_replace(group: AutoScalingGroup, instance_id: str) -> str:
    """Why the group will start no replacement after a detach; empty: it will."""
    if "Launch" in group.suspended_processes:
        return f"{group.name} has its Launch process suspended"
    others = sum(
        member.instance_id != instance_id
        and member.lifecycle_state.startswith(("InService", "Pending"))
        for member in group.members
    )
    if others >= group.desired_capacity:
        return (
            f"{group.name} wants {group.desired_capacity} (maximum {group.max_size}) and has "
            f"{others} others"
        )
    return ""


def _target_harm(facts: InstanceFacts, floor: int) -> Sequence[str]:
    if why := facts.unread.get("load balancing"):
        return [f"its load balancers could not be read, so nobody knows who is left: {why}"]
    healthy_in = {
        registration.target_group_arn
        for registration in facts.registrations
        if registration.state == "healthy"
    }
    harm = []
    for arn in sorted(healthy_in):
        left = facts.healthy_others.get(arn, 0)
        if left < floor:
            group = facts.target_groups.get(arn)
            harm.append(
                f"target group {group.name if group else arn} would keep {left} healthy "
                f"targets, below the floor of {floor}"
            )
    return harm


def _group_harm(facts: InstanceFacts, floor: int) -> Sequence[str]:
    member, group = facts.member, facts.group
    if member is None or member.lifecycle_state != "InService":
        return []
    if group is None:
        return [f"its group {member.group} could not be read"]
    harm = []
    left = sum(
        other.instance_id != facts.instance_id
        and other.lifecycle_state == "InService"
        and other.health_status.lower() != "unhealthy"
        for other in group.members
    )
    # An unhealthy member is as good as gone: Auto Scaling would take it away itself.
    if left < floor and member.health_status.lower() != "unhealthy":
        harm.append(
            f"Auto Scaling group {group.name} would keep {left} healthy instances in service, "
            f"below the floor of {floor}"
        )
    if why := will_replace(group, facts.instance_id):
        harm.append(f"no replacement will come: {why}")
    return harm
