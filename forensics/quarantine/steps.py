"""Builds each step of a plan: its exact calls, and what they mean to a person.

In: facts. Out: frozen steps. Pure: nothing here asks or tells AWS anything, nor decides whether a
step belongs into the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forensics.ports import CASE_TAG, GROUP_TAG, IMAGE_TAG, INSTANCE_TAG, STATE_TAG
from forensics.quarantine.facts import InstanceFacts
from forensics.quarantine.model import (
    CLAIMED,
    CLOSED_GROUP,
    OPEN_GROUP,
    PHASE_TAG,
    Call,
    Effect,
    Phase,
    Step,
    StepId,
    group_reference,
    listed,
)

_ALL_IPV4 = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
_ALL_IPV6 = {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}


def build_claim(facts: InstanceFacts, case_id: str) -> Step:
    """Mark the instance, so that whoever looks at it in AWS sees the case."""
    tags = {CASE_TAG: case_id, STATE_TAG: CLAIMED} | _group_tag(facts)
    return Step(
        id=StepId.CLAIM,
        title="claim the instance for this case",
        calls=(_tag_call(facts.instance_id, tags),),
        undo="delete the tags",
        precondition="nobody else's case holds it; if one does, this run joins that case",
        risk="none",
    )


def build_seal(facts: InstanceFacts, case_id: str, state: str) -> Step:
    """Say on the instance that it is done."""
    return Step(
        id=StepId.SEAL,
        title=f"mark it {state}",
        calls=(_tag_call(facts.instance_id, {CASE_TAG: case_id, STATE_TAG: state}),),
        undo="delete the tags",
        precondition="it is contained; otherwise it stays marked as claimed",
        risk="none",
    )


def build_protect(facts: InstanceFacts) -> Step:
    """Keep the volumes, whoever terminates the instance from now on."""
    instance_id = facts.instance_id
    devices = sorted(facts.instance.block_devices, key=lambda device: device.device_name)
    calls = []
    if devices:
        mappings = [
            {"DeviceName": device.device_name, "Ebs": {"DeleteOnTermination": False}}
            for device in devices
        ]
        calls.append(_attribute_call(Effect.VOLUMES_KEPT, facts, {"BlockDeviceMappings": mappings}))
    if not facts.is_spot:
        calls.append(
            _attribute_call(
                Effect.TERMINATION_PROTECTED, facts, {"DisableApiTermination": {"Value": True}}
            )
        )
    calls += [
        _attribute_call(
            Effect.SHUTDOWN_STOPS,
            facts,
            {"Attribute": "instanceInitiatedShutdownBehavior", "Value": "stop"},
        ),
        Call(
            effect=Effect.RECOVERY_OFF,
            api="ec2:ModifyInstanceMaintenanceOptions",
            parameters={"InstanceId": instance_id, "AutoRecovery": "disabled"},
        ),
    ]
    before = facts.attributes
    was = (
        f"; it was: termination protection {'on' if before.termination_protected else 'off'}, "
        f"shutdown behaviour {before.shutdown_behavior or 'unknown'}"
        if before
        else ""
    )
    return Step(
        id=StepId.PROTECT,
        title="protect its disks and the instance itself",
        calls=tuple(calls),
        undo=f"set the attributes back{was}",
        precondition="the instance is not terminated",
        risk="volumes that outlive their instance go on costing until they are disposed of",
    )


def build_console(facts: InstanceFacts) -> Step:
    """Save the serial console's text, which EC2 keeps for about an hour."""
    return Step(
        id=StepId.CONSOLE,
        title="save the console output",
        calls=(
            Call(
                effect=Effect.CONSOLE_SAVED,
                api="ec2:GetConsoleOutput",
                parameters={"InstanceId": facts.instance_id, "Latest": True},
            ),
        ),
        undo="nothing to undo: it only reads",
        precondition="none; where Latest is not offered it is asked again without",
        risk="none; at most 64 KB",
    )


def build_detach(facts: InstanceFacts, *, leaving: bool) -> Step:
    """Take the instance out of its group, which starts a replacement."""
    title = f"detach it from Auto Scaling group {facts.group_name}, which replaces it"
    if leaving:
        title = f"wait until it has left Auto Scaling group {facts.group_name}"
    return Step(
        id=StepId.DETACH,
        title=title,
        calls=(
            Call(
                effect=Effect.DETACHED,
                api="autoscaling:DetachInstances",
                parameters={
                    "InstanceIds": [facts.instance_id],
                    "AutoScalingGroupName": facts.group_name,
                    "ShouldDecrementDesiredCapacity": False,
                },
            ),
        ),
        undo="autoscaling:AttachInstances (raises the desired capacity by one)",
        precondition="InService or Standby; its volumes are protected first",
        risk="Auto Scaling also takes it out of the group's load balancers; one more instance runs",
    )


def build_replacement(facts: InstanceFacts) -> Step:
    """Wait until the group has all the instances in service that it wants."""
    return Step(
        id=StepId.REPLACEMENT,
        title="wait until the replacement is in service",
        calls=(
            Call(
                effect=Effect.REPLACED,
                api="autoscaling:DescribeAutoScalingGroups",
                parameters={"AutoScalingGroupNames": [facts.group_name]},
            ),
        ),
        undo="nothing to undo: it only reads",
        precondition="it was detached",
        risk="some minutes; after the time limit the quarantine goes on without",
    )


def build_snapshot(facts: InstanceFacts, case_id: str, phase: Phase) -> Step:
    """One crash-consistent set over all volumes."""
    again = phase is Phase.SECOND
    tags = {
        CASE_TAG: case_id,
        INSTANCE_TAG: facts.instance_id,
        IMAGE_TAG: facts.instance.image_id,
        PHASE_TAG: str(phase),
    } | _group_tag(facts)
    size = sum(volume.size_gib for volume in facts.volumes)
    return Step(
        id=StepId.SNAPSHOT_AGAIN if again else StepId.SNAPSHOT,
        title="snapshot all volumes again, with what was written since"
        if again
        else "snapshot all volumes",
        calls=(
            Call(
                effect=Effect.SNAPSHOT_TAKEN,
                api="ec2:CreateSnapshots",
                parameters={
                    "InstanceSpecification": {
                        "InstanceId": facts.instance_id,
                        "ExcludeBootVolume": False,
                    },
                    "Description": f"{case_id}: {phase} set",
                    "CopyTagsFromSource": "volume",
                    "TagSpecifications": [{"ResourceType": "snapshot", "Tags": listed(tags)}],
                },
            ),
        ),
        undo="delete the snapshots (this destroys evidence)",
        precondition="stopped" if again else "no set of this case and phase exists yet",
        risk=f"up to {size} GiB of snapshot storage; content is fixed when the call returns",
    )


def build_deregister(facts: InstanceFacts) -> Step:
    """Take it out of every target group that it is registered in."""
    calls = []
    for registration in facts.registrations:
        target: dict[str, Any] = {"Id": registration.target_id}
        if registration.port is not None:
            target["Port"] = registration.port
        if registration.availability_zone and not registration.target_id.startswith("i-"):
            target["AvailabilityZone"] = registration.availability_zone
        calls.append(
            Call(
                effect=Effect.DEREGISTERED,
                api="elasticloadbalancing:DeregisterTargets",
                parameters={
                    "TargetGroupArn": registration.target_group_arn,
                    "Targets": [target],
                },
            )
        )
    return Step(
        id=StepId.DEREGISTER,
        title="take it out of its target groups",
        calls=tuple(calls),
        undo="register the same targets again",
        precondition="it has left its group, which would otherwise replace it",
        risk="requests in flight: drained first in fault mode, cut in attack mode",
    )


def build_isolate(facts: InstanceFacts, *, keep_running: bool) -> Step:
    """Put every interface into the group without rules."""
    calls: list[Call] = []
    vpcs = sorted({interface.vpc_id for interface in facts.interfaces})
    for vpc_id in vpcs:
        if keep_running:
            calls += _group_calls(OPEN_GROUP, vpc_id)
        calls += _group_calls(CLOSED_GROUP, vpc_id)
    for interface in facts.interfaces:
        names = (OPEN_GROUP, CLOSED_GROUP) if keep_running else (CLOSED_GROUP,)
        calls += [
            Call(
                effect=Effect.INTERFACE_GROUPED,
                api="ec2:ModifyNetworkInterfaceAttribute",
                parameters={
                    "NetworkInterfaceId": interface.interface_id,
                    "Groups": [group_reference(name, interface.vpc_id)],
                },
            )
            for name in names
        ]
    back = "; ".join(
        f"{interface.interface_id} to {', '.join(interface.group_ids)}"
        for interface in facts.interfaces
    )
    return Step(
        id=StepId.ISOLATE,
        title="isolate its network interfaces",
        calls=tuple(calls),
        undo=f"set the groups back: {back}",
        precondition=f"{CLOSED_GROUP} has no rule at all, checked just before",
        risk="for a moment all ports are open to everybody, which makes its connections untracked"
        if keep_running
        else "no connection can be opened; established ones may go on until the stop",
    )


def build_stop(facts: InstanceFacts) -> Step:
    """Stop it: nothing runs, and nothing is written any more."""
    lost = "memory is lost"
    if facts.may_have_instance_store:
        lost = "memory is lost, and so is what its type has on instance store"
    return Step(
        id=StepId.STOP,
        title="stop the instance",
        calls=(
            Call(
                effect=Effect.STOPPED,
                api="ec2:StopInstances",
                parameters={"InstanceIds": [facts.instance_id]},
            ),
        ),
        undo="ec2:StartInstances (what was in memory stays lost)",
        precondition="a first snapshot exists, or its volumes are protected",
        risk=f"{lost}; if it hangs it is stopped by force",
    )


def _group_calls(name: str, vpc_id: str) -> list[Call]:
    """Make the group if there is none, and see to it that its rules are the intended ones."""
    described = "no rule: nothing in, nothing out" if name == CLOSED_GROUP else "all in, all out"
    made = Call(
        effect=Effect.GROUP_MADE,
        api="ec2:CreateSecurityGroup",
        parameters={
            "GroupName": name,
            "VpcId": vpc_id,
            "Description": f"Afterimage quarantine: {described}",
            "TagSpecifications": [
                {
                    "ResourceType": "security-group",
                    "Tags": listed({"afterimage:purpose": "quarantine"}),
                }
            ],
        },
    )
    reference = group_reference(name, vpc_id)
    if name == CLOSED_GROUP:
        return [
            made,
            Call(
                effect=Effect.GROUP_EMPTY,
                api="ec2:RevokeSecurityGroupEgress",
                parameters={"GroupId": reference, "IpPermissions": [_ALL_IPV4]},
            ),
        ]
    return [
        made,
        *(
            Call(
                effect=Effect.GROUP_OPEN,
                api=f"ec2:AuthorizeSecurityGroup{way}",
                parameters={"GroupId": reference, "IpPermissions": permissions},
            )
            # EC2 gives a new group the outbound IPv4 rule by itself.
            for way, permissions in (("Ingress", [_ALL_IPV4, _ALL_IPV6]), ("Egress", [_ALL_IPV6]))
        ),
    ]


def _tag_call(instance_id: str, tags: Mapping[str, str]) -> Call:
    return Call(
        effect=Effect.TAGGED,
        api="ec2:CreateTags",
        parameters={"Resources": [instance_id], "Tags": listed(tags)},
    )


def _attribute_call(effect: Effect, facts: InstanceFacts, parameters: Mapping[str, Any]) -> Call:
    return Call(
        effect=effect,
        api="ec2:ModifyInstanceAttribute",
        parameters={"InstanceId": facts.instance_id, **parameters},
    )


def _group_tag(facts: InstanceFacts) -> dict[str, str]:
    # Detaching removes AWS's own tag: without this one nobody would know the group any more.
    return {GROUP_TAG: facts.group_name} if facts.group_name else {}
