"""An account in a moto server for tests: a VPC, one image, groups of instances, target groups.

In: the server's URL. Out: boto3 clients to arrange and look from outside, and the `Account` under
test. What moto fakes or lacks (no hook fires, nothing forgets a terminated instance, snapshots are
complete at once) must not be claimed by a test that uses this.
"""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import boto3

from forensics.aws.account import connect
from forensics.ports import Account

if TYPE_CHECKING:
    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_ec2 import EC2Client
    from types_boto3_elbv2 import ElasticLoadBalancingv2Client

REGION: Final = "eu-west-1"
GROUP: Final = "web"
ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}
"""What a test's process needs so that boto3 looks at nothing of the developer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An Auto Scaling group as it was built."""

    name: str
    instance_ids: tuple[str, ...]
    image_id: str
    vpc_id: str
    subnet_id: str
    target_group_arn: str


class MotoAccount:
    """One empty account; the environment must hold `ENVIRONMENT` and AWS_ENDPOINT_URL."""

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def account(self) -> Account:
        """The account as forensics sees it."""
        return connect()

    @cached_property
    def ec2(self) -> EC2Client:
        """boto3's own client, to arrange and to look."""
        return boto3.client("ec2", region_name=REGION, endpoint_url=self.url)

    @cached_property
    def autoscaling(self) -> AutoScalingClient:
        """boto3's own client, to arrange and to look."""
        return boto3.client("autoscaling", region_name=REGION, endpoint_url=self.url)

    @cached_property
    def elbv2(self) -> ElasticLoadBalancingv2Client:
        """boto3's own client, to arrange and to look."""
        return boto3.client("elbv2", region_name=REGION, endpoint_url=self.url)

    def build_group(self, size: int = 2, *, name: str = GROUP) -> Group:
        """A VPC, an image, a launch template, a target group, and a group of `size` instances."""
        vpc_id = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet_id = self.ec2.create_subnet(
            VpcId=vpc_id, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}a"
        )["Subnet"]["SubnetId"]
        image_id = self.ec2.register_image(
            Name=f"{name}-image",
            Architecture="x86_64",
            RootDeviceName="/dev/xvda",
            BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}],
        )["ImageId"]
        self.ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={"ImageId": image_id, "InstanceType": "t3.micro"},
        )
        target_group_arn = self.elbv2.create_target_group(
            Name=name, Protocol="HTTP", Port=80, VpcId=vpc_id, TargetType="instance"
        )["TargetGroups"][0]["TargetGroupArn"]
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchTemplate={"LaunchTemplateName": name, "Version": "$Latest"},
            MinSize=1,
            MaxSize=size + 4,
            DesiredCapacity=size,
            VPCZoneIdentifier=subnet_id,
            TargetGroupARNs=[target_group_arn],
        )
        return Group(
            name=name,
            instance_ids=self.members(name),
            image_id=image_id,
            vpc_id=vpc_id,
            subnet_id=subnet_id,
            target_group_arn=target_group_arn,
        )

    def members(self, name: str = GROUP) -> tuple[str, ...]:
        """Ids of the group's instances as of now."""
        groups = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        return tuple(i["InstanceId"] for i in groups["AutoScalingGroups"][0]["Instances"])


def reset_moto(url: str) -> None:
    """Empty every account of the server."""
    request = urllib.request.Request(f"{url}/moto-api/reset", method="POST")  # noqa: S310 - loopback
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - loopback
