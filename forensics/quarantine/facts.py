"""What is so before anything is done: everything that a plan is decided on, read in one go.

In: an account and an instance id. Out: `InstanceFacts`, frozen, with what could not be read named.
Must never change anything, nor take "could not be read" for "there is none".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from forensics.errors import NotFoundError, RefusedError, UnsupportedError
from forensics.ports import (
    AUTO_SCALING_GROUP_TAG,
    CASE_TAG,
    GROUP_TAG,
    INSTANCE_TAG,
    STATE_TAG,
    Account,
    AutoScalingGroup,
    CallerIdentity,
    GroupMember,
    Instance,
    InstanceAttributes,
    NetworkInterface,
    Snapshot,
    TargetGroup,
    TargetHealth,
    Volume,
)
from shipper.wire.times import format_time

Answer = TypeVar("Answer")
Balancing = tuple[Sequence[TargetHealth], Mapping[str, TargetGroup], Mapping[str, int]]

GONE_STATES: Final = frozenset(("shutting-down", "terminated"))
_OWNERS: Final = (
    ("eks:cluster-name", "EKS"),
    ("kubernetes.io/cluster/", "Kubernetes"),
    ("aws:elasticmapreduce:job-flow-id", "EMR"),
    ("elasticbeanstalk:environment-name", "Elastic Beanstalk"),
    ("aws:ecs:clusterName", "ECS"),
)
# m5d, c6gd, r5dn …: a d after the generation; or a family that has such disks always or mostly.
_INSTANCE_STORE: Final = re.compile(
    r"(?:[a-z]+\d+[a-z-]*d[a-z-]*|(?:i|is|im|d|h|hs|hi|x|f)\d.*|(?:g[2-6]|p5|trn1|dl1|[mc][123]|r3).*)\."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFacts:
    """An instance and all that hangs on it, as AWS told at one time."""

    read_at: str
    """30-character UTC text."""
    caller: CallerIdentity
    instance: Instance
    attributes: InstanceAttributes | None = None
    """None: terminated, or not readable."""
    member: GroupMember | None = None
    """None: in no Auto Scaling group (any more)."""
    group: AutoScalingGroup | None = None
    volumes: Sequence[Volume] = ()
    interfaces: Sequence[NetworkInterface] = ()
    registrations: Sequence[TargetHealth] = ()
    target_groups: Mapping[str, TargetGroup] = field(default_factory=dict)
    """By ARN: those of the registrations."""
    healthy_others: Mapping[str, int] = field(default_factory=dict)
    """By target group ARN: healthy targets that would be left."""
    snapshots: Sequence[Snapshot] = ()
    """What quarantines made of it so far."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """What could not be read (load balancing, attributes, …), and why."""

    @property
    def instance_id(self) -> str:
        """The instance's id."""
        return self.instance.instance_id

    @property
    def case_id(self) -> str:
        """The case that its tags name; empty: none, or one that is over."""
        return self.instance.tags.get(CASE_TAG, "")

    @property
    def case_state(self) -> str:
        """How far its quarantine is, as its tags say."""
        return self.instance.tags.get(STATE_TAG, "")

    @property
    def group_name(self) -> str:
        """Its Auto Scaling group, also after it left."""
        tags = self.instance.tags
        left = tags.get(AUTO_SCALING_GROUP_TAG) or tags.get(GROUP_TAG, "")
        return self.member.group if self.member else left

    @property
    def volume_ids(self) -> Sequence[str]:
        """Its EBS volumes, also where they could not be described."""
        attached = (device.volume_id for device in self.instance.block_devices)
        return sorted({*attached, *(volume.volume_id for volume in self.volumes)})

    @property
    def is_spot(self) -> bool:
        """Whether EC2 may take it back at any time."""
        return self.instance.lifecycle == "spot"

    @property
    def elastic_addresses(self) -> Sequence[str]:
        """Public addresses that stay with it."""
        return [
            interface.public_ip
            for interface in self.interfaces
            if interface.elastic_ip_allocation_id and interface.public_ip
        ]

    @property
    def owners(self) -> Sequence[str]:
        """Who besides Auto Scaling counts on it, as its tags say."""
        tags = self.instance.tags
        return [
            f"{owner} ({key}={value})"
            for mark, owner in _OWNERS
            for key, value in sorted(tags.items())
            if key == mark or (mark.endswith("/") and key.startswith(mark))
        ]

    @property
    def may_have_instance_store(self) -> bool:
        """Whether its type comes with disks that no snapshot reaches and stopping empties."""
        return self.instance.root_device_type == "instance-store" or bool(
            _INSTANCE_STORE.match(self.instance.instance_type)
        )


def fetch_facts(
    account: Account, instance_id: str, *, clock: Callable[[], int] = time.time_ns
) -> InstanceFacts:
    """Read everything that `plan_quarantine` decides on; changes nothing.

    Raises:
        NotFoundError: EC2 does not know the id (it forgets about an hour after termination).
        RefusedError: the caller may not even describe the instance or its group.
    """
    caller = account.identity()
    found = account.ec2.describe_instances(frozenset((instance_id,)))
    if not found:
        raise NotFoundError(
            f"EC2 does not know {instance_id} in {caller.account_id} {caller.region}",
            why="it is another account or region, or was terminated more than about an hour ago",
            next_step=f"see what remains of it: forensics show {instance_id}",
        )
    return _Reader(account).read(found[0], caller, format_time(clock()))


class _Reader:
    """Reads, and keeps account of what the caller has no right to read."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._unread: dict[str, str] = {}

    def read(self, instance: Instance, caller: CallerIdentity, read_at: str) -> InstanceFacts:
        instance_id, ec2 = instance.instance_id, self._account.ec2
        # Whether a group counts on it decides what is safe: no answer here, no plan.
        members = self._account.autoscaling.describe_instances(frozenset((instance_id,)))
        member = members[0] if members else None
        attributes = interfaces = None
        if instance.state != "terminated":
            attributes = self._try(
                "attributes", None, lambda: ec2.describe_instance_attributes(instance_id)
            )
            interfaces = self._try(
                "network interfaces", None, lambda: ec2.describe_network_interfaces(instance_id)
            )
        nothing: Balancing = ((), {}, {})
        registrations, target_groups, healthy_others = self._try(
            "load balancing", nothing, lambda: self._balancing(instance_id, interfaces or ())
        )
        volume_ids = frozenset(device.volume_id for device in instance.block_devices)
        no_volumes: Sequence[Volume] = ()
        no_snapshots: Sequence[Snapshot] = ()
        return InstanceFacts(
            read_at=read_at,
            caller=caller,
            instance=instance,
            attributes=attributes,
            member=member,
            group=self._try("Auto Scaling group", None, lambda: self._group(member)),
            volumes=self._try(
                "volumes", no_volumes, lambda: ec2.describe_volumes(volume_ids=volume_ids)
            )
            if volume_ids
            else (),
            interfaces=interfaces or (),
            registrations=registrations,
            target_groups=target_groups,
            healthy_others=healthy_others,
            snapshots=self._try(
                "snapshots",
                no_snapshots,
                lambda: ec2.describe_snapshots(tags={INSTANCE_TAG: instance_id}),
            ),
            unread=self._unread,
        )

    def _group(self, member: GroupMember | None) -> AutoScalingGroup | None:
        if member is None:
            return None
        groups = self._account.autoscaling.describe_groups(frozenset((member.group,)))
        return groups[0] if groups else None

    def _balancing(self, instance_id: str, interfaces: Sequence[NetworkInterface]) -> Balancing:
        """Its registrations, their target groups, and how many healthy targets each would keep."""
        balancing = self._account.load_balancing
        addresses = frozenset(
            address
            for interface in interfaces
            for address in (*interface.private_ips, *interface.ipv6_addresses)
        )
        registrations = balancing.describe_registrations(instance_id, addresses)
        arns = frozenset(registration.target_group_arn for registration in registrations)
        groups = balancing.describe_target_groups(arns) if arns else ()
        own = {instance_id, *addresses}
        healthy = {
            arn: sum(
                target.state == "healthy" and target.target_id not in own
                for target in balancing.describe_target_health(arn)
            )
            for arn in sorted(arns)
        }
        return registrations, {group.arn: group for group in groups}, healthy

    def _try(self, what: str, nothing: Answer, read: Callable[[], Answer]) -> Answer:
        try:
            return read()
        except (RefusedError, UnsupportedError) as error:
            self._unread[what] = error.why or error.what
            return nothing
