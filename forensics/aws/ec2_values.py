"""EC2's answers as the port's values.

In: items of boto3's answers. Out: `forensics.ports` values. Pure: it must never call AWS, and a
member that EC2 leaves out becomes an empty value, not an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from forensics.aws.calls import json_safe, parse_tags, text_time
from forensics.ports import (
    BlockDevice,
    Instance,
    NetworkInterface,
    SecurityGroup,
    SecurityRule,
    Snapshot,
    Volume,
)


def parse_instance(item: Mapping[str, Any], account_id: str) -> Instance:
    """An instance of a reservation of that account."""
    reason = item.get("StateReason") or {}
    return Instance(
        instance_id=str(item["InstanceId"]),
        state=_text(item.get("State", {}), "Name"),
        state_transition_reason=_text(item, "StateTransitionReason"),
        state_reason=": ".join(
            part for part in (_text(reason, "Code"), _without_code(reason)) if part
        ),
        image_id=_text(item, "ImageId"),
        instance_type=_text(item, "InstanceType"),
        launched_at=text_time(item.get("LaunchTime")),
        availability_zone=_text(item.get("Placement", {}), "AvailabilityZone"),
        account_id=account_id,
        vpc_id=_text(item, "VpcId"),
        subnet_id=_text(item, "SubnetId"),
        private_ip=_text(item, "PrivateIpAddress"),
        public_ip=_text(item, "PublicIpAddress"),
        root_device_name=_text(item, "RootDeviceName"),
        root_device_type=_text(item, "RootDeviceType"),
        lifecycle=_text(item, "InstanceLifecycle"),
        hypervisor=_text(item, "Hypervisor"),
        block_devices=tuple(_block_devices(item.get("BlockDeviceMappings", ()))),
        interface_ids=tuple(
            str(interface["NetworkInterfaceId"])
            for interface in item.get("NetworkInterfaces", ())
            if "NetworkInterfaceId" in interface
        ),
        security_group_ids=tuple(str(group["GroupId"]) for group in item.get("SecurityGroups", ())),
        instance_profile_arn=_text(item.get("IamInstanceProfile") or {}, "Arn"),
        auto_recovery=_text(item.get("MaintenanceOptions") or {}, "AutoRecovery"),
        tags=parse_tags(item.get("Tags")),
        raw=json_safe(item),
    )


def parse_volume(item: Mapping[str, Any]) -> Volume:
    """A volume, with its first attachment."""
    attachment: Mapping[str, Any] = next(iter(item.get("Attachments", ())), {})
    return Volume(
        volume_id=str(item["VolumeId"]),
        state=_text(item, "State"),
        size_gib=int(item.get("Size", 0)),
        volume_type=_text(item, "VolumeType"),
        encrypted=bool(item.get("Encrypted", False)),
        kms_key_id=_text(item, "KmsKeyId"),
        instance_id=_text(attachment, "InstanceId"),
        device_name=_text(attachment, "Device"),
        delete_on_termination=bool(attachment.get("DeleteOnTermination", False)),
        snapshot_id=_text(item, "SnapshotId"),
        created_at=text_time(item.get("CreateTime")),
        tags=parse_tags(item.get("Tags")),
        raw=json_safe(item),
    )


def parse_snapshot(item: Mapping[str, Any]) -> Snapshot:
    """A snapshot; a new one's answer may lack its state, and it is pending then."""
    return Snapshot(
        snapshot_id=str(item["SnapshotId"]),
        volume_id=_text(item, "VolumeId"),
        state=_text(item, "State") or "pending",
        started_at=text_time(item.get("StartTime")),
        size_gib=int(item.get("VolumeSize", 0)),
        progress=_text(item, "Progress"),
        encrypted=bool(item.get("Encrypted", False)),
        description=_text(item, "Description"),
        tags=parse_tags(item.get("Tags")),
        raw=json_safe(item),
    )


def parse_interface(item: Mapping[str, Any]) -> NetworkInterface:
    """A network interface with the groups in force."""
    attachment, association = item.get("Attachment") or {}, item.get("Association") or {}
    return NetworkInterface(
        interface_id=str(item["NetworkInterfaceId"]),
        instance_id=_text(attachment, "InstanceId"),
        vpc_id=_text(item, "VpcId"),
        subnet_id=_text(item, "SubnetId"),
        status=_text(item, "Status"),
        device_index=int(attachment.get("DeviceIndex", 0)),
        private_ip=_text(item, "PrivateIpAddress"),
        private_ips=tuple(
            str(address["PrivateIpAddress"])
            for address in item.get("PrivateIpAddresses", ())
            if "PrivateIpAddress" in address
        ),
        ipv6_addresses=tuple(
            str(address["Ipv6Address"])
            for address in item.get("Ipv6Addresses", ())
            if "Ipv6Address" in address
        ),
        public_ip=_text(association, "PublicIp"),
        elastic_ip_allocation_id=_text(association, "AllocationId"),
        group_ids=tuple(str(group["GroupId"]) for group in item.get("Groups", ())),
        raw=json_safe(item),
    )


def parse_security_group(item: Mapping[str, Any]) -> SecurityGroup:
    """A security group, its permissions one rule per peer."""
    return SecurityGroup(
        group_id=str(item["GroupId"]),
        name=_text(item, "GroupName"),
        vpc_id=_text(item, "VpcId"),
        ingress=tuple(_rules(item.get("IpPermissions", ()))),
        egress=tuple(_rules(item.get("IpPermissionsEgress", ()))),
        tags=parse_tags(item.get("Tags")),
    )


def build_permission(rule: SecurityRule) -> dict[str, Any]:
    """The rule as EC2's IpPermission."""
    permission: dict[str, Any] = {"IpProtocol": rule.protocol}
    if rule.from_port is not None:
        permission["FromPort"] = rule.from_port
    if rule.to_port is not None:
        permission["ToPort"] = rule.to_port
    if rule.cidr_ipv4:
        permission["IpRanges"] = [{"CidrIp": rule.cidr_ipv4}]
    if rule.cidr_ipv6:
        permission["Ipv6Ranges"] = [{"CidrIpv6": rule.cidr_ipv6}]
    if rule.prefix_list_id:
        permission["PrefixListIds"] = [{"PrefixListId": rule.prefix_list_id}]
    if rule.peer_group_id:
        permission["UserIdGroupPairs"] = [{"GroupId": rule.peer_group_id}]
    return permission


def _rules(permissions: Iterable[Mapping[str, Any]]) -> Iterable[SecurityRule]:
    for permission in permissions:
        place: dict[str, Any] = {
            "protocol": str(permission.get("IpProtocol", "-1")),
            "from_port": permission.get("FromPort"),
            "to_port": permission.get("ToPort"),
        }
        for member in permission.get("IpRanges", ()):
            yield SecurityRule(**place, cidr_ipv4=str(member["CidrIp"]))
        for member in permission.get("Ipv6Ranges", ()):
            yield SecurityRule(**place, cidr_ipv6=str(member["CidrIpv6"]))
        for member in permission.get("PrefixListIds", ()):
            yield SecurityRule(**place, prefix_list_id=str(member["PrefixListId"]))
        for member in permission.get("UserIdGroupPairs", ()):
            yield SecurityRule(**place, peer_group_id=str(member["GroupId"]))


def _block_devices(mappings: Iterable[Mapping[str, Any]]) -> Iterable[BlockDevice]:
    """Those of EBS: an instance store has no volume."""
    for mapping in mappings:
        ebs = mapping.get("Ebs") or {}
        if "VolumeId" in ebs:
            yield BlockDevice(
                device_name=_text(mapping, "DeviceName"),
                volume_id=str(ebs["VolumeId"]),
                delete_on_termination=bool(ebs.get("DeleteOnTermination", False)),
                attached_at=text_time(ebs.get("AttachTime")),
            )


def _without_code(reason: Mapping[str, Any]) -> str:
    """A state reason's message; EC2 repeats the code at its start."""
    return _text(reason, "Message").removeprefix(f"{_text(reason, 'Code')}: ")


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    return "" if value is None else str(value)
