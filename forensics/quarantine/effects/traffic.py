"""Effects that take it out of service: its Auto Scaling group and its target groups.

In: a call of the plan. Out: a look, or AWS's answer to the one request. Must never take a refusal
by state for success: the next look tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from forensics.errors import NotFoundError
from forensics.ports import TargetHealth
from forensics.quarantine.effects.scene import Check, Scene, Seen
from forensics.quarantine.model import Call, Mode

_DETACHABLE: Final = frozenset(("InService", "Standby"))


def check_detached(scene: Scene, _call: Call) -> Check:
    """Whether it is in no Auto Scaling group."""
    members = scene.account.autoscaling.describe_instances(frozenset((scene.plan.instance_id,)))
    if not members:
        return Check(Seen.DONE)
    state = members[0].lifecycle_state
    if state in _DETACHABLE:
        return Check(Seen.TODO, f"it is {state} in {members[0].group}")
    if state == "Detaching":
        return Check(Seen.COMING, "it is leaving its group")
    return Check(Seen.IMPOSSIBLE, f"too late to detach: Auto Scaling has it in {state}")


def do_detach(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Detach it; the group's desired capacity stays, so a replacement starts."""
    (instance_id,) = call.parameters["InstanceIds"]
    activities = scene.account.autoscaling.detach_instance(
        instance_id,
        call.parameters["AutoScalingGroupName"],
        decrement=call.parameters["ShouldDecrementDesiredCapacity"],
    )
    return {"activities": [activity.activity_id for activity in activities]}


def check_replaced(scene: Scene, call: Call) -> Check:
    """Whether the group has all that it wants in service."""
    groups = scene.account.autoscaling.describe_groups(
        frozenset(call.parameters["AutoScalingGroupNames"])
    )
    if not groups:
        return Check(Seen.IMPOSSIBLE, f"the group {scene.plan.group} is gone")
    group = groups[0]
    serving = sum(
        member.lifecycle_state == "InService"
        and member.health_status.lower() != "unhealthy"
        and member.instance_id != scene.plan.instance_id
        for member in group.members
    )
    said = f"{serving} of {group.desired_capacity} are in service"
    return Check(Seen.DONE if serving >= group.desired_capacity else Seen.COMING, said)


def do_nothing(_scene: Scene, _call: Call) -> Mapping[str, Any]:
    """Nothing is sent for an effect that only waits."""
    return {}


def check_deregistered(scene: Scene, call: Call) -> Check:
    """Whether the target group has let it go."""
    registration = _registration(scene, call)
    if registration is None:
        return Check(Seen.DONE)
    if registration.state != "draining":
        return Check(Seen.TODO, f"it is {registration.state} there")
    # In an attack nobody waits for the attacker's requests to end.
    drained = scene.plan.options.mode is Mode.ATTACK
    return Check(Seen.DONE if drained else Seen.COMING, "its requests are draining")


def do_deregister(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Take the registration out."""
    registration = _registration(scene, call)
    if registration is not None:
        scene.account.load_balancing.deregister_target(registration)
    return {}


def _registration(scene: Scene, call: Call) -> TargetHealth | None:
    (target,) = call.parameters["Targets"]
    try:
        health = scene.account.load_balancing.describe_target_health(
            call.parameters["TargetGroupArn"]
        )
    except NotFoundError:  # the whole target group is gone
        return None
    same = (
        entry
        for entry in health
        if entry.target_id == target["Id"] and entry.port == target.get("Port")
    )
    return next(same, None)
