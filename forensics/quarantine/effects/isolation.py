"""Effects that close its network: the two security groups, and the interfaces moved into them.

In: a call of the plan. Out: a look, or AWS's answer to the one request. Must never count an
interface as isolated in a group that has any rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forensics.ports import SecurityGroup, SecurityRule
from forensics.quarantine.effects.scene import Check, Scene, Seen
from forensics.quarantine.model import CLOSED_GROUP, OPEN_GROUP, Call


def check_group_made(scene: Scene, call: Call) -> Check:
    """Whether the VPC has the security group."""
    group = scene.account.ec2.find_security_group(
        name=call.parameters["GroupName"], vpc_id=call.parameters["VpcId"]
    )
    return Check(Seen.DONE, group.group_id) if group else Check(Seen.TODO)


def do_make_group(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Make the security group, tagged."""
    parameters = call.parameters
    group = scene.account.ec2.create_security_group(
        name=parameters["GroupName"],
        vpc_id=parameters["VpcId"],
        description=parameters["Description"],
        tags={tag["Key"]: tag["Value"] for tag in parameters["TagSpecifications"][0]["Tags"]},
    )
    return {"GroupId": group.group_id}


def check_group_empty(scene: Scene, call: Call) -> Check:
    """Whether the group has no rule; an inbound one is nobody's but an intruder's."""
    group = scene.find_group(call.parameters["GroupId"])
    if group is None:
        return Check(Seen.IMPOSSIBLE, "the group was not made")
    if group.ingress:
        return Check(Seen.IMPOSSIBLE, _opened(group))
    return Check(Seen.TODO, "it has outbound rules") if group.egress else Check(Seen.DONE)


def do_empty_group(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Take away every outbound rule that the group has."""
    group = scene.find_group(call.parameters["GroupId"])
    if group is not None:
        scene.account.ec2.revoke_egress(group.group_id, group.egress)
    return {}


def check_group_open(scene: Scene, call: Call) -> Check:
    """Whether the group allows everything in the call's direction."""
    group = scene.find_group(call.parameters["GroupId"])
    if group is None:
        return Check(Seen.IMPOSSIBLE, "the group was not made")
    return Check(Seen.TODO if _missing_rules(group, call) else Seen.DONE)


def do_open_group(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Add the rules that are missing."""
    group = scene.find_group(call.parameters["GroupId"])
    if group is not None:
        add = scene.account.ec2.authorize_egress
        if call.api.endswith("Ingress"):
            add = scene.account.ec2.authorize_ingress
        add(group.group_id, _missing_rules(group, call))
    return {}


def _missing_rules(group: SecurityGroup, call: Call) -> Sequence[SecurityRule]:
    existing = group.ingress if call.api.endswith("Ingress") else group.egress
    peers = {(rule.protocol, rule.cidr_ipv4, rule.cidr_ipv6) for rule in existing}
    wanted = [
        SecurityRule(
            protocol=permission["IpProtocol"],
            cidr_ipv4=next((item["CidrIp"] for item in permission.get("IpRanges", ())), ""),
            cidr_ipv6=next((item["CidrIpv6"] for item in permission.get("Ipv6Ranges", ())), ""),
        )
        for permission in call.parameters["IpPermissions"]
    ]
    return [rule for rule in wanted if (rule.protocol, rule.cidr_ipv4, rule.cidr_ipv6) not in peers]


def check_interface(scene: Scene, call: Call) -> Check:
    """Whether the interface is in the wanted group alone, and in force."""
    interface_id = call.parameters["NetworkInterfaceId"]
    interfaces = scene.account.ec2.describe_network_interfaces(scene.plan.instance_id)
    interface = next((one for one in interfaces if one.interface_id == interface_id), None)
    if interface is None:
        return Check(Seen.DONE, f"{interface_id} is no longer attached")
    (reference,) = call.parameters["Groups"]
    wanted = scene.find_group(reference)
    if wanted is None:
        return Check(Seen.IMPOSSIBLE, f"there is no security group for {reference}")
    closed = scene.account.ec2.find_security_group(name=CLOSED_GROUP, vpc_id=wanted.vpc_id)
    if closed is None:
        return Check(Seen.IMPOSSIBLE, f"there is no security group {CLOSED_GROUP}")
    if closed.ingress or closed.egress:
        return Check(Seen.IMPOSSIBLE, _opened(closed))
    now = tuple(interface.group_ids)
    # The first of two steps is never taken before the second is sure to be possible, and an
    # interface that took the second is past it.
    if now in {(closed.group_id,), (wanted.group_id,)}:
        return Check(Seen.DONE)
    is_open = wanted.name == CLOSED_GROUP and _is_in_open_group(scene, wanted.vpc_id, now)
    return Check(Seen.TODO, f"{interface_id} {'IS OPEN TO EVERYBODY' if is_open else 'is open'}")


def _is_in_open_group(scene: Scene, vpc_id: str, group_ids: tuple[str, ...]) -> bool:
    group = scene.account.ec2.find_security_group(name=OPEN_GROUP, vpc_id=vpc_id)
    return group is not None and group.group_id in group_ids


def do_set_interface(scene: Scene, call: Call) -> Mapping[str, Any]:
    """Move the interface into the wanted group alone."""
    group_ids = [scene.group_id(reference) for reference in call.parameters["Groups"]]
    scene.account.ec2.set_interface_groups(call.parameters["NetworkInterfaceId"], group_ids)
    return {}


def _opened(group: SecurityGroup) -> str:
    return (
        f"security group {group.name} ({group.group_id}) must have no rule and has "
        f"{len(group.ingress)} inbound and {len(group.egress)} outbound: somebody changed it"
    )
