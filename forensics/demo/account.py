"""The account of the demo: moto in a process of its own, with one group of instances of one image.

In: nothing. Out: an endpoint that boto3 talks to as to AWS, an image, a launch template, a target
group and an Auto Scaling group. moto launches and replaces instances; it starts no machine and
notices no failure: that part is `story.py`'s, and labelled there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shipper.wire.record import Identity

if TYPE_CHECKING:
    from types_boto3_autoscaling import AutoScalingClient
    from types_boto3_ec2 import EC2Client

REGION: Final = "eu-west-1"
GROUP: Final = "shop"
INSTANCE_TYPE: Final = "t3.micro"
GROUP_SIZE: Final = 4
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "demo",
    "AWS_SECRET_ACCESS_KEY": "demo",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What boto3 wants to see before it asks moto; no secret."""


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """The clients of the stand-in account, and its one group."""

    ec2: EC2Client
    autoscaling: AutoScalingClient
    image_id: str

    def in_service(self) -> list[str]:
        """Ids of the group's instances."""
        groups = self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])
        members = groups["AutoScalingGroups"][0]["Instances"]
        return [member["InstanceId"] for member in members]

    def ended(self, instance_ids: list[str]) -> set[str]:
        """Which of those EC2 has stopped or terminated."""
        answer = self.ec2.describe_instances(InstanceIds=instance_ids)
        return {
            instance["InstanceId"]
            for reservation in answer["Reservations"]
            for instance in reservation["Instances"]
            if instance["State"]["Name"] not in {"pending", "running"}
        }

    def identity(self, instance_id: str) -> Identity:
        """What IMDS would tell the instance of itself."""
        answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        reservation = answer["Reservations"][0]
        instance = reservation["Instances"][0]
        return Identity(
            instance_id=instance_id,
            image_id=instance["ImageId"],
            instance_type=instance["InstanceType"],
            region=REGION,
            availability_zone=instance["Placement"]["AvailabilityZone"],
            account_id=reservation["OwnerId"],
            host_name=instance["PrivateDnsName"],
            group=GROUP,
        )


def build_account(endpoint: str) -> DemoAccount:
    """Fill the empty account at `endpoint`: image, launch template, targets, group of four."""
    import boto3  # the demo is the one place beside forensics.aws that makes an account

    session = boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
    ec2 = session.client("ec2", endpoint_url=endpoint)
    autoscaling = session.client("autoscaling", endpoint_url=endpoint)
    elb = session.client("elbv2", endpoint_url=endpoint)
    subnet = ec2.describe_subnets()["Subnets"][0]
    image_id = ec2.register_image(
        Name="shop-2026-11-20",
        Architecture="x86_64",
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}],
    )["ImageId"]
    ec2.create_launch_template(
        LaunchTemplateName=GROUP,
        LaunchTemplateData={"ImageId": image_id, "InstanceType": INSTANCE_TYPE},
    )
    targets = elb.create_target_group(
        Name=GROUP, Protocol="HTTP", Port=80, VpcId=subnet["VpcId"], TargetType="instance"
    )
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        LaunchTemplate={"LaunchTemplateName": GROUP, "Version": "$Latest"},
        MinSize=2,
        MaxSize=GROUP_SIZE + 2,
        DesiredCapacity=GROUP_SIZE,
        VPCZoneIdentifier=subnet["SubnetId"],
        TargetGroupARNs=[targets["TargetGroups"][0]["TargetGroupArn"]],
    )
    return DemoAccount(ec2=ec2, autoscaling=autoscaling, image_id=image_id)


def main() -> None:
    """Serve the account until SIGTERM; prints its URL once it answers."""
    os.environ.update(CREDENTIALS)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    from moto.server import ThreadedMotoServer

    server: Any = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main()
