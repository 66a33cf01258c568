"""An account in memory that does what moto can't: slow stops, draining, pending, hooks, refusals.

In: instances put into its state. Out: the ports of `forensics.ports`, over that state. `tap` sees
every call before and after it: a test refuses, throttles, loses answers or ends the run there.
Time stands still but for `sleep`; what AWS does by and by happens at so many looks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from forensics.errors import NotFoundError, StateConflictError, UnsupportedError
from forensics.ports import (
    Account,
    AutoScaling,
    AutoScalingGroup,
    BlockDevice,
    CallerIdentity,
    ConsoleOutput,
    Ec2,
    GroupMember,
    Instance,
    InstanceAttributes,
    LoadBalancing,
    NetworkInterface,
    ScalingActivity,
    SecurityGroup,
    SecurityRule,
    Snapshot,
    TargetGroup,
    TargetHealth,
    Volume,
)
from shipper.wire.times import format_time

INSTANCE = "i-0aaaaaaaaaaaaaaaa"
PEER = "i-0bbbbbbbbbbbbbbbb"
VPC = "vpc-1"
GROUP = "web"
TARGETS = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/1"
START_NANOS = 1_767_449_112_000_000_000
ALL_OUT = SecurityRule(protocol="-1", cidr_ipv4="0.0.0.0/0")

READS = (
    "identity", "describe_instances", "describe_instance_attributes", "describe_volumes",
    "describe_snapshots", "describe_network_interfaces", "find_security_group", "describe_groups",
    "describe_activities", "describe_target_groups", "describe_target_health",
    "describe_registrations", "get_console_output",
)  # fmt: skip

Tap = Callable[[str, str], None]
"""Called with a method's name and `before` or `after`."""


@dataclass
class State:
    """All that the account holds, and what it does slowly."""

    instances: dict[str, Instance] = field(default_factory=dict)
    attributes: dict[str, InstanceAttributes] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    interfaces: dict[str, NetworkInterface] = field(default_factory=dict)
    security_groups: dict[str, SecurityGroup] = field(default_factory=dict)
    groups: dict[str, AutoScalingGroup] = field(default_factory=dict)
    target_groups: dict[str, TargetGroup] = field(default_factory=dict)
    targets: list[TargetHealth] = field(default_factory=list)
    console: str = "[    0.000000] Linux\x1b[31m panic\n"
    has_latest: bool = True
    looks_until_stopped: int = 0
    hangs_at_stop: bool = False
    """Only a forced stop ends it."""
    looks_until_detached: int = 0
    looks_until_drained: int = 0
    replaces: bool = True
    snapshots_stay_pending: bool = False
    looks_until_snapshots_show: int = 0
    now_nanos: int = START_NANOS
    on_sleep: Callable[[], None] = lambda: None
    sent: Counter[str] = field(default_factory=Counter)
    """Writes, by method, that took effect."""
    _looks: Counter[str] = field(default_factory=Counter)
    _ids: int = 0

    def new_id(self, prefix: str) -> str:
        """The next id."""
        self._ids += 1
        return f"{prefix}-{self._ids:017d}"

    def looked(self, what: str, limit: int) -> bool:
        """Whether that was looked at more than `limit` times."""
        self._looks[what] += 1
        return self._looks[what] > limit

    def clock(self) -> int:
        """Nanoseconds since 1970."""
        return self.now_nanos

    def sleep(self, seconds: float) -> None:
        """Time goes on."""
        self.now_nanos += int(seconds * 1e9)
        self.on_sleep()


class FakeEc2:
    """Implements `Ec2`."""

    def __init__(self, state: State) -> None:
        self.state = state

    def describe_instances(self, instance_ids: frozenset[str] = frozenset()) -> Sequence[Instance]:
        """See `Ec2`."""
        for instance in list(self.state.instances.values()):
            stopping = instance.state == "stopping" and not self.state.hangs_at_stop
            if stopping and self.state.looked("stop", self.state.looks_until_stopped):
                self._set(instance.instance_id, state="stopped")
        found = self.state.instances.values()
        return [one for one in found if not instance_ids or one.instance_id in instance_ids]

    def describe_instance_attributes(self, instance_id: str) -> InstanceAttributes:
        """See `Ec2`."""
        return self.state.attributes[instance_id]

    def describe_volumes(
        self,
        *,
        volume_ids: frozenset[str] = frozenset(),
        instance_id: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Sequence[Volume]:
        """See `Ec2`."""
        return [
            volume
            for volume in self.state.volumes.values()
            if (not volume_ids or volume.volume_id in volume_ids)
            and (not instance_id or volume.instance_id == instance_id)
            and _has(volume.tags, tags)
        ]

    def describe_snapshots(
        self,
        *,
        snapshot_ids: frozenset[str] = frozenset(),
        volume_ids: frozenset[str] = frozenset(),
        tags: Mapping[str, str] | None = None,
        tag_key: str = "",
    ) -> Sequence[Snapshot]:
        """See `Ec2`."""
        shown = [
            snapshot
            for snapshot in self.state.snapshots.values()
            if self.state.looked(snapshot.snapshot_id, self.state.looks_until_snapshots_show)
        ]
        return [
            snapshot
            for snapshot in shown
            if (not snapshot_ids or snapshot.snapshot_id in snapshot_ids)
            and (not volume_ids or snapshot.volume_id in volume_ids)
            and (not tag_key or tag_key in snapshot.tags)
            and _has(snapshot.tags, tags)
        ]

    def describe_network_interfaces(self, instance_id: str) -> Sequence[NetworkInterface]:
        """See `Ec2`."""
        found = self.state.interfaces.values()
        return [one for one in found if one.instance_id == instance_id]

    def find_security_group(self, *, name: str, vpc_id: str) -> SecurityGroup | None:
        """See `Ec2`."""
        found = self.state.security_groups.values()
        return next((one for one in found if (one.name, one.vpc_id) == (name, vpc_id)), None)

    def get_console_output(self, instance_id: str, *, latest: bool) -> ConsoleOutput:
        """See `Ec2`."""
        if latest and not self.state.has_latest:
            raise UnsupportedError("ec2 GetConsoleOutput failed", why="Latest needs Nitro")
        at = format_time(self.state.now_nanos)
        return ConsoleOutput(instance_id=instance_id, text=self.state.console, at=at)

    def create_security_group(
        self, *, name: str, vpc_id: str, description: str, tags: Mapping[str, str]
    ) -> SecurityGroup:
        """See `Ec2`."""
        if self.find_security_group(name=name, vpc_id=vpc_id):
            raise StateConflictError("ec2 CreateSecurityGroup failed", why="duplicate")
        group = SecurityGroup(
            group_id=self.state.new_id("sg"),
            name=name,
            vpc_id=vpc_id,
            egress=(ALL_OUT,),
            tags=dict(tags),
        )
        self.state.security_groups[group.group_id] = group
        return group

    def revoke_egress(self, group_id: str, rules: Sequence[SecurityRule]) -> None:
        """See `Ec2`."""
        group = self.state.security_groups[group_id]
        left = tuple(rule for rule in group.egress if rule not in rules)
        self.state.security_groups[group_id] = replace(group, egress=left)

    def authorize_ingress(self, group_id: str, rules: Sequence[SecurityRule]) -> None:
        """See `Ec2`."""
        group = self.state.security_groups[group_id]
        self.state.security_groups[group_id] = replace(group, ingress=(*group.ingress, *rules))

    def authorize_egress(self, group_id: str, rules: Sequence[SecurityRule]) -> None:
        """See `Ec2`."""
        group = self.state.security_groups[group_id]
        self.state.security_groups[group_id] = replace(group, egress=(*group.egress, *rules))

    def set_interface_groups(self, interface_id: str, group_ids: Sequence[str]) -> None:
        """See `Ec2`."""
        interface = self.state.interfaces[interface_id]
        self.state.interfaces[interface_id] = replace(interface, group_ids=tuple(group_ids))

    def set_delete_on_termination(self, instance_id: str, devices: Mapping[str, bool]) -> None:
        """See `Ec2`."""
        self._set(
            instance_id,
            block_devices=tuple(
                replace(
                    device,
                    delete_on_termination=devices.get(
                        device.device_name, device.delete_on_termination
                    ),
                )
                for device in self.state.instances[instance_id].block_devices
            ),
        )

    def set_termination_protection(self, instance_id: str, *, enabled: bool) -> None:
        """See `Ec2`."""
        before = self.state.attributes[instance_id]
        self.state.attributes[instance_id] = replace(before, termination_protected=enabled)

    def set_shutdown_behavior(self, instance_id: str, behavior: str) -> None:
        """See `Ec2`."""
        before = self.state.attributes[instance_id]
        self.state.attributes[instance_id] = replace(before, shutdown_behavior=behavior)

    def set_auto_recovery(self, instance_id: str, *, enabled: bool) -> None:
        """See `Ec2`."""
        self._set(instance_id, auto_recovery="default" if enabled else "disabled")

    def create_snapshots(
        self, instance_id: str, *, description: str, tags: Mapping[str, str]
    ) -> Sequence[Snapshot]:
        """See `Ec2`."""
        devices = self.state.instances[instance_id].block_devices
        return [self._snapshot(device.volume_id, description, tags) for device in devices]

    def create_snapshot(
        self, volume_id: str, *, description: str, tags: Mapping[str, str]
    ) -> Snapshot:
        """See `Ec2`."""
        if volume_id not in self.state.volumes:
            raise NotFoundError("ec2 CreateSnapshot failed", why=f"no volume {volume_id}")
        return self._snapshot(volume_id, description, tags)

    def create_tags(self, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """See `Ec2`."""
        for resource_id in resource_ids:
            self._set(resource_id, tags={**self.state.instances[resource_id].tags, **tags})

    def stop_instance(self, instance_id: str, *, force: bool = False) -> None:
        """See `Ec2`."""
        if force:
            self.state.hangs_at_stop = False
        self._set(instance_id, state="stopping")

    def _snapshot(self, volume_id: str, description: str, tags: Mapping[str, str]) -> Snapshot:
        snapshot = Snapshot(
            snapshot_id=self.state.new_id("snap"),
            volume_id=volume_id,
            state="pending" if self.state.snapshots_stay_pending else "completed",
            started_at=format_time(self.state.now_nanos),
            size_gib=self.state.volumes[volume_id].size_gib,
            description=description,
            tags=dict(tags),
        )
        self.state.snapshots[snapshot.snapshot_id] = snapshot
        return snapshot

    def _set(self, instance_id: str, **changes: Any) -> None:
        self.state.instances[instance_id] = replace(self.state.instances[instance_id], **changes)


class FakeAutoScaling:
    """Implements `AutoScaling`."""

    def __init__(self, state: State) -> None:
        self.state = state

    def describe_instances(
        self, instance_ids: frozenset[str] = frozenset()
    ) -> Sequence[GroupMember]:
        """See `AutoScaling`."""
        self._go_on()
        members = [member for group in self.state.groups.values() for member in group.members]
        return [one for one in members if not instance_ids or one.instance_id in instance_ids]

    def describe_groups(self, names: frozenset[str] = frozenset()) -> Sequence[AutoScalingGroup]:
        """See `AutoScaling`."""
        self._go_on()
        return [group for group in self.state.groups.values() if not names or group.name in names]

    def describe_activities(self, group: str = "") -> Sequence[ScalingActivity]:
        """See `AutoScaling`."""
        return ()

    def detach_instance(
        self, instance_id: str, group: str, *, decrement: bool
    ) -> Sequence[ScalingActivity]:
        """See `AutoScaling`."""
        members = self.state.groups[group].members
        member = next((one for one in members if one.instance_id == instance_id), None)
        if member is None or member.lifecycle_state not in {"InService", "Standby"}:
            raise StateConflictError("autoscaling DetachInstances failed", why="not InService")
        self.set_member(instance_id, "Detaching")
        if decrement:
            wanted = self.state.groups[group].desired_capacity - 1
            self.state.groups[group] = replace(self.state.groups[group], desired_capacity=wanted)
        return [
            ScalingActivity(
                activity_id="activity-1", group=group, started_at=format_time(self.state.now_nanos)
            )
        ]

    def set_member(self, instance_id: str, lifecycle_state: str) -> None:
        """Put the instance into a state; empty: out of the group."""
        for name, group in self.state.groups.items():
            members = [
                replace(member, lifecycle_state=lifecycle_state)
                if member.instance_id == instance_id
                else member
                for member in group.members
                if member.instance_id != instance_id or lifecycle_state
            ]
            self.state.groups[name] = replace(group, members=tuple(members))

    def _go_on(self) -> None:
        for name, group in list(self.state.groups.items()):
            for member in group.members:
                leaving = member.lifecycle_state == "Detaching"
                if leaving and self.state.looked("detach", self.state.looks_until_detached):
                    self.set_member(member.instance_id, "")
                    if self.state.replaces:
                        self._replace(name)

    def _replace(self, name: str) -> None:
        group = self.state.groups[name]
        new = GroupMember(
            instance_id=self.state.new_id("i"),
            group=name,
            lifecycle_state="InService",
            health_status="Healthy",
        )
        self.state.groups[name] = replace(group, members=(*group.members, new))


class FakeLoadBalancing:
    """Implements `LoadBalancing`."""

    def __init__(self, state: State) -> None:
        self.state = state

    def describe_target_groups(self, arns: frozenset[str] = frozenset()) -> Sequence[TargetGroup]:
        """See `LoadBalancing`."""
        return [one for one in self.state.target_groups.values() if not arns or one.arn in arns]

    def describe_target_health(self, target_group_arn: str) -> Sequence[TargetHealth]:
        """See `LoadBalancing`."""
        for target in list(self.state.targets):
            draining = target.state == "draining"
            if draining and self.state.looked("drain", self.state.looks_until_drained):
                self.state.targets.remove(target)
        return [one for one in self.state.targets if one.target_group_arn == target_group_arn]

    def describe_registrations(
        self, instance_id: str, addresses: frozenset[str] = frozenset()
    ) -> Sequence[TargetHealth]:
        """See `LoadBalancing`."""
        own = {instance_id, *addresses}
        return [target for target in self.state.targets if target.target_id in own]

    def deregister_target(self, registration: TargetHealth) -> None:
        """See `LoadBalancing`."""
        if registration in self.state.targets:
            self.state.targets.remove(registration)
            self.state.targets.append(replace(registration, state="draining"))


class Tapped:
    """A port whose every call passes `tap` before and after, and whose writes are counted."""

    def __init__(self, port: object, tap: Tap, state: State | None = None) -> None:
        self._port = port
        self._tap = tap
        self._state = state

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._tap(name, "before")
            answer = method(*args, **kwargs)
            if self._state is not None and name not in READS:
                self._state.sent[name] += 1
            self._tap(name, "after")
            return answer

        return call


class FakeAccount:
    """Implements `Account`."""

    def __init__(self, state: State, tap: Tap = lambda *_: None) -> None:
        self.state = state
        self.region = "eu-west-1"
        self.ec2 = cast("Ec2", Tapped(FakeEc2(state), tap, state))
        self.autoscaling = cast("AutoScaling", Tapped(FakeAutoScaling(state), tap, state))
        self.load_balancing = cast("LoadBalancing", Tapped(FakeLoadBalancing(state), tap, state))

    def identity(self) -> CallerIdentity:
        """See `Account`."""
        return CallerIdentity(
            account_id="123456789012",
            arn="arn:aws:sts::123456789012:assumed-role/responder/ada",
            region=self.region,
        )


def tapped_account(account: Account, tap: Tap) -> Account:
    """Any account with a tap on every call of its three services."""

    class TappedAccount:
        region = account.region
        ec2 = cast("Ec2", Tapped(account.ec2, tap))
        autoscaling = cast("AutoScaling", Tapped(account.autoscaling, tap))
        load_balancing = cast("LoadBalancing", Tapped(account.load_balancing, tap))

        def identity(self) -> CallerIdentity:
            return account.identity()

    return TappedAccount()


def build_state(*, lifecycle: str = "InService", volumes: int = 2, interfaces: int = 1) -> State:
    """One instance with its disks; with a `lifecycle`, in a group of two behind a load balancer."""
    state = State()
    disks = [f"vol-{n}" for n in range(volumes)]
    for instance_id in (INSTANCE, PEER):
        state.attributes[instance_id] = InstanceAttributes(
            termination_protected=False, stop_protected=False, shutdown_behavior="terminate"
        )
        state.instances[instance_id] = Instance(
            instance_id=instance_id,
            state="running",
            image_id="ami-1",
            instance_type="t3.micro",
            account_id="123456789012",
            vpc_id=VPC,
            root_device_type="ebs",
            auto_recovery="default",
            block_devices=tuple(
                BlockDevice(
                    device_name=f"/dev/sd{'abcdef'[n]}",
                    volume_id=disk,
                    delete_on_termination=True,
                )
                for n, disk in enumerate(disks if instance_id == INSTANCE else ())
            ),
            tags={"Name": "web", **({"aws:autoscaling:groupName": GROUP} if lifecycle else {})},
            raw={"InstanceId": instance_id, "State": {"Name": "running"}},
        )
    for disk in disks:
        state.volumes[disk] = Volume(
            volume_id=disk, state="in-use", size_gib=8, instance_id=INSTANCE
        )
    state.security_groups["sg-web"] = SecurityGroup(group_id="sg-web", name="web", vpc_id=VPC)
    for n in range(interfaces):
        state.interfaces[f"eni-{n}"] = NetworkInterface(
            interface_id=f"eni-{n}",
            instance_id=INSTANCE,
            vpc_id=VPC,
            device_index=n,
            private_ips=(f"10.0.0.{n + 4}",),
            group_ids=("sg-web",),
        )
    if lifecycle:
        _add_group(state, lifecycle)
    return state


def _add_group(state: State, lifecycle: str) -> None:
    members = [
        GroupMember(
            instance_id=instance_id,
            group=GROUP,
            lifecycle_state=lifecycle if instance_id == INSTANCE else "InService",
            health_status="Healthy",
        )
        for instance_id in (INSTANCE, PEER)
    ]
    state.groups[GROUP] = AutoScalingGroup(
        name=GROUP,
        min_size=1,
        max_size=4,
        desired_capacity=2,
        members=tuple(members),
        target_group_arns=(TARGETS,),
    )
    state.target_groups[TARGETS] = TargetGroup(
        arn=TARGETS, name="web", target_type="instance", protocol="HTTP", port=80
    )
    state.targets += [
        TargetHealth(target_group_arn=TARGETS, target_id=instance_id, port=80, state="healthy")
        for instance_id in (INSTANCE, PEER)
    ]


def _has(tags: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return all(tags.get(key) == value for key, value in (wanted or {}).items())
