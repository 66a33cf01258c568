"""What forensics asks of AWS: small Protocols over values of our own.

In: ids, names and tags. Out: frozen values whose times are the wire's 30-character texts and whose
`raw` is what AWS answered, JSON-safe. Methods are synchronous (callers use `asyncio.to_thread`),
page to the end and never return half an answer. No boto3 type may cross this line.

Errors of every method (forensics/errors.py): `UsageError` (no usable credentials or region),
`UnreachableError` (no answer, or throttled to the end: retry), `RefusedError` (rights; names the
action), `StateConflictError` (the state forbids it: read again, decide again), `NotFoundError`,
`UnsupportedError` (this endpoint has no such call: go on without it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

CASE_TAG: Final = "afterimage:case"
"""On the instance and all that the quarantine makes: the case's id."""
STATE_TAG: Final = "afterimage:state"
"""On the instance: how far its quarantine is; a value in `RELEASED_STATES` means it is over."""
INSTANCE_TAG: Final = "afterimage:instance"
"""On snapshots and security groups: the instance that they were made for."""
GROUP_TAG: Final = "afterimage:group"
"""On instance and snapshots: the Auto Scaling group (detaching removes AWS's own tag)."""
IMAGE_TAG: Final = "afterimage:image"
"""On snapshots: the image that the instance was started from."""
AUTO_SCALING_GROUP_TAG: Final = "aws:autoscaling:groupName"
"""AWS's own tag on a group's member; gone after detaching."""
RELEASED_STATES: Final = frozenset(("released", "disposed"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdentity:
    """Who asks, and where."""

    account_id: str
    arn: str
    region: str
    endpoint: str = ""
    """A custom endpoint's URL (`AWS_ENDPOINT_URL`); empty: AWS itself."""

    @property
    def shown(self) -> str:
        """Account, region, caller and an endpoint that is not AWS, for a person."""
        account = f"account {self.account_id}" if self.account_id else "an account not known"
        where = f"at {self.endpoint} (not AWS)" if self.endpoint else ""
        return ", ".join(filter(None, (account, self.region, self.arn, where)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDevice:
    """An EBS volume attached to an instance."""

    device_name: str
    volume_id: str
    delete_on_termination: bool
    attached_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance as EC2 describes it."""

    instance_id: str
    state: str
    """EC2's word: pending running shutting-down terminated stopping stopped."""
    state_transition_reason: str = ""
    """EC2's text, e.g. `User initiated (2026-01-03 14:05:12 GMT)`."""
    state_reason: str = ""
    """Code and message, e.g. `Client.UserInitiatedShutdown: …`."""
    image_id: str = ""
    instance_type: str = ""
    launched_at: str = ""
    """Of the newest start: EC2 moves it when a stopped instance starts again."""
    availability_zone: str = ""
    account_id: str = ""
    vpc_id: str = ""
    subnet_id: str = ""
    private_ip: str = ""
    public_ip: str = ""
    root_device_name: str = ""
    root_device_type: str = ""
    """`ebs` or `instance-store`; the latter can't stop."""
    lifecycle: str = ""
    """`spot`, `scheduled`, `capacity-block`; empty: on demand."""
    hypervisor: str = ""
    block_devices: Sequence[BlockDevice] = ()
    interface_ids: Sequence[str] = ()
    security_group_ids: Sequence[str] = ()
    """As the instance's description says; `NetworkInterface.group_ids` is the truth."""
    instance_profile_arn: str = ""
    auto_recovery: str = ""
    """`default` or `disabled`; empty where EC2 does not say."""
    tags: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceAttributes:
    """What only `DescribeInstanceAttribute` tells."""

    termination_protected: bool
    stop_protected: bool
    shutdown_behavior: str
    """`stop` or `terminate`: what a shutdown from inside does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """An EBS volume."""

    volume_id: str
    state: str
    size_gib: int
    volume_type: str = ""
    encrypted: bool = False
    kms_key_id: str = ""
    instance_id: str = ""
    """Where it is attached; empty: nowhere."""
    device_name: str = ""
    delete_on_termination: bool = False
    snapshot_id: str = ""
    """What it was made from."""
    created_at: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An EBS snapshot."""

    snapshot_id: str
    volume_id: str
    state: str
    """EC2's word: pending completed error recoverable recovering."""
    started_at: str = ""
    """Its content is fixed from this time on, though it may be pending for hours."""
    size_gib: int = 0
    progress: str = ""
    """Such as `42%`."""
    encrypted: bool = False
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInterface:
    """An elastic network interface (ENI)."""

    interface_id: str
    instance_id: str
    vpc_id: str
    subnet_id: str = ""
    status: str = ""
    device_index: int = 0
    private_ip: str = ""
    private_ips: Sequence[str] = ()
    ipv6_addresses: Sequence[str] = ()
    public_ip: str = ""
    elastic_ip_allocation_id: str = ""
    """Empty: no elastic address is associated."""
    group_ids: Sequence[str] = ()
    """The security groups that are in force, in EC2's order."""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRule:
    """One permission of a security group, for one peer."""

    protocol: str
    """`-1`: all."""
    from_port: int | None = None
    to_port: int | None = None
    cidr_ipv4: str = ""
    cidr_ipv6: str = ""
    prefix_list_id: str = ""
    peer_group_id: str = ""
    """Exactly one of these four names the peer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup:
    """A security group with its rules."""

    group_id: str
    name: str
    vpc_id: str
    ingress: Sequence[SecurityRule] = ()
    egress: Sequence[SecurityRule] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOutput:
    """The serial console's text. Hostile text."""

    instance_id: str
    text: str
    """At most 64 KB; empty where EC2 has none (yet)."""
    at: str = ""


class Ec2(Protocol):
    """Amazon EC2. Which reads and writes there are is the whole of what a role must allow."""

    def describe_instances(self, instance_ids: frozenset[str] = frozenset()) -> Sequence[Instance]:
        """Those instances, or all; an id that EC2 does not know is absent, not an error."""
        ...

    def describe_instance_attributes(self, instance_id: str) -> InstanceAttributes:
        """Termination and stop protection, and what a shutdown from inside does."""
        ...

    def describe_volumes(
        self,
        *,
        volume_ids: frozenset[str] = frozenset(),
        instance_id: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Sequence[Volume]:
        """Volumes for which every given condition holds; unknown ids are absent, not an error."""
        ...

    def describe_snapshots(
        self,
        *,
        snapshot_ids: frozenset[str] = frozenset(),
        volume_ids: frozenset[str] = frozenset(),
        tags: Mapping[str, str] | None = None,
        tag_key: str = "",
    ) -> Sequence[Snapshot]:
        """The caller's own snapshots for which every given condition holds, oldest first."""
        ...

    def describe_network_interfaces(self, instance_id: str) -> Sequence[NetworkInterface]:
        """The instance's interfaces, by device index."""
        ...

    def find_security_group(self, *, name: str, vpc_id: str) -> SecurityGroup | None:
        """The group of that name in that VPC; None: there is none."""
        ...

    def get_console_output(self, instance_id: str, *, latest: bool) -> ConsoleOutput:
        """`latest` asks for the text of now (Nitro only, otherwise `UnsupportedError`)."""
        ...

    def create_security_group(
        self, *, name: str, vpc_id: str, description: str, tags: Mapping[str, str]
    ) -> SecurityGroup:
        """A new group, tagged in the same call, with the rules that EC2 gives it by itself."""
        ...

    def revoke_egress(self, group_id: str, rules: Sequence[SecurityRule]) -> None:
        """Take outbound rules away, IPv4 and IPv6; none given: no call."""
        ...

    def authorize_ingress(self, group_id: str, rules: Sequence[SecurityRule]) -> None:
        """Add inbound rules; none given: no call. A rule that exists is refused."""
        ...

    def authorize_egress(self, group_id: str, rules: Sequence[SecurityRule]) -> None:
        """Add outbound rules; none given: no call. A rule that exists is refused."""
        ...

    def set_interface_groups(self, interface_id: str, group_ids: Sequence[str]) -> None:
        """Replace the security groups of one interface."""
        ...

    def set_delete_on_termination(self, instance_id: str, devices: Mapping[str, bool]) -> None:
        """Per device name: whether its volume goes when the instance is terminated."""
        ...

    def set_termination_protection(self, instance_id: str, *, enabled: bool) -> None:
        """`DisableApiTermination`. Does not stop Auto Scaling; impossible for Spot."""
        ...

    def set_shutdown_behavior(self, instance_id: str, behavior: str) -> None:
        """`stop` or `terminate`: what a shutdown from inside does."""
        ...

    def set_auto_recovery(self, instance_id: str, *, enabled: bool) -> None:
        """Whether EC2 may bring the same instance back after a failed system check."""
        ...

    def create_snapshots(
        self, instance_id: str, *, description: str, tags: Mapping[str, str]
    ) -> Sequence[Snapshot]:
        """One crash-consistent set over all volumes, tagged in the same call, volume tags copied.

        There is no client token: look for the tag before calling. An empty answer means none made.
        """
        ...

    def create_snapshot(
        self, volume_id: str, *, description: str, tags: Mapping[str, str]
    ) -> Snapshot:
        """One volume's snapshot, tagged in the same call: for a volume that outlived its instance.

        There is no client token: look for the tag before calling.
        """
        ...

    def create_tags(self, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """Set tags; those of the same key are replaced."""
        ...

    def stop_instance(self, instance_id: str, *, force: bool = False) -> None:
        """Ask it to stop; returns at once, `describe_instances` tells when it has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMember:
    """An instance as Auto Scaling sees it."""

    instance_id: str
    group: str
    lifecycle_state: str
    """InService, Standby, Terminating:Wait, Terminating:Retained, Detaching, Warmed:…"""
    health_status: str = ""
    availability_zone: str = ""
    protected_from_scale_in: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoScalingGroup:
    """An Auto Scaling group."""

    name: str
    min_size: int
    max_size: int
    desired_capacity: int
    members: Sequence[GroupMember] = ()
    target_group_arns: Sequence[str] = ()
    classic_load_balancers: Sequence[str] = ()
    suspended_processes: Sequence[str] = ()
    """`Launch` among them: no replacement will come."""
    health_check_type: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingActivity:
    """What a group did once: a launch, a termination, a detach."""

    activity_id: str
    group: str
    started_at: str
    ended_at: str = ""
    """Empty: still going on."""
    status: str = ""
    """Successful, Failed, Cancelled, InProgress, …"""
    description: str = ""
    cause: str = ""
    status_message: str = ""
    instance_ids: Sequence[str] = ()
    """Read out of its description."""
    raw: Mapping[str, Any] = field(default_factory=dict)


class AutoScaling(Protocol):
    """EC2 Auto Scaling."""

    def describe_instances(
        self, instance_ids: frozenset[str] = frozenset()
    ) -> Sequence[GroupMember]:
        """Those members of any group, or all; an id that is in no group is absent."""
        ...

    def describe_groups(self, names: frozenset[str] = frozenset()) -> Sequence[AutoScalingGroup]:
        """Those groups, or all; an unknown name is absent."""
        ...

    def describe_activities(
        self, group: str = "", *, most: int = 2000
    ) -> Sequence[ScalingActivity]:
        """What that group (empty: each, deleted ones too) did, newest first, at most `most`.

        AWS remembers six weeks.
        """
        ...

    def detach_instance(
        self, instance_id: str, group: str, *, decrement: bool
    ) -> Sequence[ScalingActivity]:
        """Take it out of its group; without `decrement` the group starts a replacement."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetGroup:
    """A target group of an application, network or gateway load balancer."""

    arn: str
    name: str
    target_type: str
    """instance, ip, lambda or alb."""
    protocol: str = ""
    port: int | None = None
    vpc_id: str = ""
    load_balancer_arns: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """One registration in a target group."""

    target_group_arn: str
    target_id: str
    """Instance id or IP address, by the group's type."""
    port: int | None
    state: str
    """initial healthy unhealthy unused draining unavailable"""
    availability_zone: str = ""
    reason: str = ""
    description: str = ""


class LoadBalancing(Protocol):
    """Elastic Load Balancing v2."""

    def describe_target_groups(self, arns: frozenset[str] = frozenset()) -> Sequence[TargetGroup]:
        """Those target groups, or all."""
        ...

    def describe_target_health(self, target_group_arn: str) -> Sequence[TargetHealth]:
        """Every registration of one target group, draining ones too."""
        ...

    def describe_registrations(
        self, instance_id: str, addresses: frozenset[str] = frozenset()
    ) -> Sequence[TargetHealth]:
        """Where that instance, or one of its addresses, is registered: all target groups."""
        ...

    def deregister_target(self, registration: TargetHealth) -> None:
        """Take one registration out; one that is gone already counts as done."""
        ...


class Account(Protocol):
    """One account in one region, seen with the caller's rights."""

    @property
    def region(self) -> str:
        """The region that every call goes to."""
        ...

    @property
    def ec2(self) -> Ec2:
        """Amazon EC2."""
        ...

    @property
    def autoscaling(self) -> AutoScaling:
        """EC2 Auto Scaling."""
        ...

    @property
    def load_balancing(self) -> LoadBalancing:
        """Elastic Load Balancing v2."""
        ...

    def identity(self) -> CallerIdentity:
        """Who asks, and where (STS; needs no right)."""
        ...
