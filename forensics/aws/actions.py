"""The one table of AWS operations that forensics may call, and the IAM actions that each needs.

In: nothing. Out: `OPERATIONS`. An operation that is not here can't be called (calls.py), and
terraform/modules/quarantine allows these actions and no other: a contract test holds both to this
table. It must never list an operation that no adapter calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of one service."""

    service: str
    """boto3's name of the service."""
    name: str
    """boto3's name of the method."""
    actions: tuple[str, ...]
    """The IAM actions that the caller needs; empty: AWS asks for none."""
    repeatable: bool = True
    """False: a second request could do it twice, so a lost answer is not retried."""

    @property
    def api_name(self) -> str:
        """AWS's own name, as CloudTrail and IAM write it: `DescribeInstances`."""
        return "".join(word.capitalize() for word in self.name.split("_"))


def _ec2(name: str, *actions: str, repeatable: bool = True) -> Operation:
    return Operation(
        service="ec2",
        name=name,
        actions=tuple(f"ec2:{action}" for action in actions),
        repeatable=repeatable,
    )


def _autoscaling(name: str, action: str) -> Operation:
    return Operation(service="autoscaling", name=name, actions=(f"autoscaling:{action}",))


def _elbv2(name: str, action: str) -> Operation:
    return Operation(service="elbv2", name=name, actions=(f"elasticloadbalancing:{action}",))


_ALL: Final = (
    _ec2("describe_instances", "DescribeInstances"),
    _ec2("describe_instance_attribute", "DescribeInstanceAttribute"),
    _ec2("describe_volumes", "DescribeVolumes"),
    _ec2("describe_snapshots", "DescribeSnapshots"),
    _ec2("describe_network_interfaces", "DescribeNetworkInterfaces"),
    _ec2("describe_security_groups", "DescribeSecurityGroups"),
    _ec2("get_console_output", "GetConsoleOutput"),
    # Tags given at creation are authorised as CreateTags as well.
    _ec2("create_security_group", "CreateSecurityGroup", "CreateTags"),
    _ec2("revoke_security_group_egress", "RevokeSecurityGroupEgress"),
    _ec2("authorize_security_group_ingress", "AuthorizeSecurityGroupIngress"),
    _ec2("authorize_security_group_egress", "AuthorizeSecurityGroupEgress"),
    _ec2("modify_network_interface_attribute", "ModifyNetworkInterfaceAttribute"),
    _ec2("modify_instance_attribute", "ModifyInstanceAttribute"),
    _ec2("modify_instance_maintenance_options", "ModifyInstanceMaintenanceOptions"),
    # It takes no client token: an answer lost on the way would become a second set of snapshots.
    _ec2("create_snapshots", "CreateSnapshots", "CreateTags", repeatable=False),
    _ec2("create_snapshot", "CreateSnapshot", "CreateTags", repeatable=False),
    _ec2("create_tags", "CreateTags"),
    _ec2("stop_instances", "StopInstances"),
    _autoscaling("describe_auto_scaling_instances", "DescribeAutoScalingInstances"),
    _autoscaling("describe_auto_scaling_groups", "DescribeAutoScalingGroups"),
    _autoscaling("describe_scaling_activities", "DescribeScalingActivities"),
    _autoscaling("detach_instances", "DetachInstances"),
    _elbv2("describe_target_groups", "DescribeTargetGroups"),
    _elbv2("describe_target_health", "DescribeTargetHealth"),
    _elbv2("deregister_targets", "DeregisterTargets"),
    # No right is needed, and none can take it away.
    Operation(service="sts", name="get_caller_identity", actions=()),
)

OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    (operation.service, operation.name): operation for operation in _ALL
}
"""By (service, boto3 method)."""
