"""Each write call's parameters against AWS's own service model, without a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from forensics.aws.autoscaling import BotoAutoScaling
from forensics.aws.calls import Calls
from forensics.aws.ec2 import BotoEc2
from forensics.aws.load_balancing import BotoLoadBalancing
from forensics.ports import SecurityRule, TargetHealth

ID = "i-0123456789abcdef0"
ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067"


class StubbedSession:
    """A session whose one client is a stubbed one, with and without retries."""

    def __init__(self, client: Any) -> None:
        self.stubbed = client

    def client(self, service: str, **_: Any) -> Any:
        """The stubbed client."""
        assert self.stubbed.meta.service_model.service_name == service
        return self.stubbed


def make_client(service: str) -> Any:
    """A client of boto3's that a stub will answer for."""
    any_service: Any = boto3.client
    return any_service(
        service,
        region_name="eu-west-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",  # noqa: S106 - none
    )


Write = Callable[[Calls], object]

WRITES: list[tuple[str, str, dict[str, Any], dict[str, Any], Write]] = [
    ("ec2", "modify_instance_attribute",
     {"InstanceId": ID, "BlockDeviceMappings": [
         {"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": False}},
         {"DeviceName": "/dev/xvda", "Ebs": {"DeleteOnTermination": False}}]}, {},
     lambda calls: BotoEc2(calls).set_delete_on_termination(
         ID, {"/dev/xvda": False, "/dev/sdf": False})),
    ("ec2", "modify_instance_attribute",
     {"InstanceId": ID, "DisableApiTermination": {"Value": True}}, {},
     lambda calls: BotoEc2(calls).set_termination_protection(ID, enabled=True)),
    ("ec2", "modify_instance_attribute",
     {"InstanceId": ID, "Attribute": "instanceInitiatedShutdownBehavior", "Value": "stop"}, {},
     lambda calls: BotoEc2(calls).set_shutdown_behavior(ID, "stop")),
    ("ec2", "modify_instance_maintenance_options",
     {"InstanceId": ID, "AutoRecovery": "disabled"}, {},
     lambda calls: BotoEc2(calls).set_auto_recovery(ID, enabled=False)),
    ("ec2", "create_snapshots",
     {"InstanceSpecification": {"InstanceId": ID, "ExcludeBootVolume": False}, "Description": "d",
      "CopyTagsFromSource": "volume", "TagSpecifications": [
          {"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}]},
     {"Snapshots": [{"SnapshotId": "snap-1"}]},
     lambda calls: BotoEc2(calls).create_snapshots(ID, description="d", tags={"a": "b"})),
    ("ec2", "create_snapshot",
     {"VolumeId": "vol-1", "Description": "d", "TagSpecifications": [
         {"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}]},
     {"SnapshotId": "snap-1"},
     lambda calls: BotoEc2(calls).create_snapshot("vol-1", description="d", tags={"a": "b"})),
    ("ec2", "create_tags",
     {"Resources": [ID], "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}]}, {},
     lambda calls: BotoEc2(calls).create_tags([ID], {"c": "d", "a": "b"})),
    ("ec2", "stop_instances", {"InstanceIds": [ID]}, {},
     lambda calls: BotoEc2(calls).stop_instance(ID)),
    ("ec2", "stop_instances", {"InstanceIds": [ID], "Force": True}, {},
     lambda calls: BotoEc2(calls).stop_instance(ID, force=True)),
    ("ec2", "modify_network_interface_attribute",
     {"NetworkInterfaceId": "eni-1", "Groups": ["sg-1"]}, {},
     lambda calls: BotoEc2(calls).set_interface_groups("eni-1", ["sg-1"])),
    ("ec2", "revoke_security_group_egress",
     {"GroupId": "sg-1", "IpPermissions": [
         {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
         {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
         {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2,
          "PrefixListIds": [{"PrefixListId": "pl-1"}]},
         {"IpProtocol": "tcp", "UserIdGroupPairs": [{"GroupId": "sg-2"}]}]}, {},
     lambda calls: BotoEc2(calls).revoke_egress("sg-1", [
         SecurityRule(protocol="-1", cidr_ipv4="0.0.0.0/0"),
         SecurityRule(protocol="-1", cidr_ipv6="::/0"),
         SecurityRule(protocol="tcp", from_port=1, to_port=2, prefix_list_id="pl-1"),
         SecurityRule(protocol="tcp", peer_group_id="sg-2")])),
    ("ec2", "authorize_security_group_ingress",
     {"GroupId": "sg-1", "IpPermissions": [
         {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}, {},
     lambda calls: BotoEc2(calls).authorize_ingress(
         "sg-1", [SecurityRule(protocol="-1", cidr_ipv4="0.0.0.0/0")])),
    ("ec2", "authorize_security_group_egress",
     {"GroupId": "sg-1", "IpPermissions": [
         {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]}, {},
     lambda calls: BotoEc2(calls).authorize_egress(
         "sg-1", [SecurityRule(protocol="-1", cidr_ipv6="::/0")])),
    ("autoscaling", "detach_instances",
     {"InstanceIds": [ID], "AutoScalingGroupName": "web", "ShouldDecrementDesiredCapacity": False},
     {"Activities": []},
     lambda calls: BotoAutoScaling(calls).detach_instance(ID, "web", decrement=False)),
    ("elbv2", "deregister_targets",
     {"TargetGroupArn": ARN, "Targets": [{"Id": ID, "Port": 80}]}, {},
     lambda calls: BotoLoadBalancing(calls).deregister_target(TargetHealth(
         target_group_arn=ARN, target_id=ID, port=80, state="", availability_zone="eu-west-1a"))),
    ("elbv2", "deregister_targets",
     {"TargetGroupArn": ARN, "Targets": [{"Id": "10.0.0.4", "AvailabilityZone": "all"}]}, {},
     lambda calls: BotoLoadBalancing(calls).deregister_target(TargetHealth(
         target_group_arn=ARN, target_id="10.0.0.4", port=None, state="",
         availability_zone="all"))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "operation", "expected", "answer", "write"),
    WRITES,
    ids=[f"{row[1]}-{number}" for number, row in enumerate(WRITES)],
)
def test_a_write_is_what_the_service_model_takes(
    service: str, operation: str, expected: dict[str, Any], answer: dict[str, Any], write: Write
) -> None:
    """One request with exactly these parameters, valid by botocore's model of the service."""
    client = make_client(service)
    with Stubber(client) as stubber:
        stubber.add_response(operation, answer, expected)
        write(Calls(StubbedSession(client), "eu-west-1"))
        stubber.assert_no_pending_responses()


def test_a_created_group_is_tagged_in_the_same_call_and_read_back() -> None:
    """Between creation and tagging a crash would leave a group that no second run finds."""
    client = make_client("ec2")
    with Stubber(client) as stubber:
        stubber.add_response(
            "create_security_group",
            {"GroupId": "sg-1"},
            {
                "GroupName": "closed",
                "Description": "d",
                "VpcId": "vpc-1",
                "TagSpecifications": [
                    {"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}
                ],
            },
        )
        stubber.add_response(
            "describe_security_groups",
            {"SecurityGroups": [{"GroupId": "sg-1", "GroupName": "closed", "VpcId": "vpc-1"}]},
            {"Filters": ANY},
        )
        made = BotoEc2(Calls(StubbedSession(client), "eu-west-1")).create_security_group(
            name="closed", vpc_id="vpc-1", description="d", tags={"a": "b"}
        )
        stubber.assert_no_pending_responses()
    assert ("sg-1", "closed", "vpc-1") == (made.group_id, made.name, made.vpc_id)


def test_nothing_to_change_is_no_request() -> None:
    """Empty sets of rules and devices call nothing."""
    client = make_client("ec2")
    with Stubber(client):  # any request without a prepared answer fails
        ec2 = BotoEc2(Calls(StubbedSession(client), "eu-west-1"))
        ec2.revoke_egress("sg-1", [])
        ec2.authorize_egress("sg-1", [])
        ec2.authorize_ingress("sg-1", [])
        ec2.set_delete_on_termination(ID, {})
