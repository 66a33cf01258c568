"""Amazon EC2 behind its port: what the quarantine and the ledger read of it and change in it.

In: ids, names and tags. Out: the port's values. It must never decide what to change, and each
change is one request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from forensics.aws.calls import Calls, build_tags, chunks, text_time
from forensics.aws.ec2_values import (
    build_permission,
    parse_instance,
    parse_interface,
    parse_security_group,
    parse_snapshot,
    parse_volume,
)
from forensics.errors import NotFoundError
from forensics.ports import (
    ConsoleOutput,
    Instance,
    InstanceAttributes,
    NetworkInterface,
    SecurityGroup,
    SecurityRule,
    Snapshot,
    Volume,
)


class BotoEc2:
    """Implements `forensics.ports.Ec2`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    # --- reads ---

    def describe_instances(self, instance_ids: frozenset[str] = frozenset()) -> Sequence[Instance]:
        """Those instances, or all; an id that EC2 does not know is absent, not an error."""
        # A filter, since one unknown id in InstanceIds would fail the whole request.
        return [
            parse_instance(item, str(reservation.get("OwnerId", "")))
            for filters in _filter_sets({"instance-id": instance_ids})
            for reservation in self._calls.pages(
                "ec2", "describe_instances", "Reservations", Filters=filters
            )
            for item in reservation.get("Instances", ())
        ]

    def describe_instance_attributes(self, instance_id: str) -> InstanceAttributes:
        """Termination and stop protection, and what a shutdown from inside does."""
        return InstanceAttributes(
            termination_protected=bool(self._attribute(instance_id, "disableApiTermination")),
            stop_protected=bool(self._attribute(instance_id, "disableApiStop")),
            shutdown_behavior=str(
                self._attribute(instance_id, "instanceInitiatedShutdownBehavior") or ""
            ),
        )

    def _attribute(self, instance_id: str, name: str) -> Any:
        answer = self._calls.call(
            "ec2", "describe_instance_attribute", InstanceId=instance_id, Attribute=name
        )
        return answer.get(name[0].upper() + name[1:], {}).get("Value")

    def describe_volumes(
        self,
        *,
        volume_ids: frozenset[str] = frozenset(),
        instance_id: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Sequence[Volume]:
        """Volumes for which every given condition holds; unknown ids are absent, not an error."""
        conditions = {
            "volume-id": volume_ids,
            "attachment.instance-id": frozenset((instance_id,)) if instance_id else frozenset(),
        }
        return [
            parse_volume(item)
            for filters in _filter_sets(conditions, tags)
            for item in self._calls.pages("ec2", "describe_volumes", "Volumes", Filters=filters)
        ]

    def describe_snapshots(
        self,
        *,
        snapshot_ids: frozenset[str] = frozenset(),
        volume_ids: frozenset[str] = frozenset(),
        tags: Mapping[str, str] | None = None,
        tag_key: str = "",
    ) -> Sequence[Snapshot]:
        """The caller's own snapshots for which every given condition holds, oldest first."""
        conditions = {
            "snapshot-id": snapshot_ids,
            "volume-id": volume_ids,
            "tag-key": frozenset((tag_key,)) if tag_key else frozenset(),
        }
        found = [
            parse_snapshot(item)
            for filters in _filter_sets(conditions, tags)
            for item in self._calls.pages(
                "ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters
            )
        ]
        return sorted(found, key=lambda snapshot: (snapshot.started_at, snapshot.snapshot_id))

    def describe_network_interfaces(self, instance_id: str) -> Sequence[NetworkInterface]:
        """The instance's interfaces, by device index."""
        found = [
            parse_interface(item)
            for item in self._calls.pages(
                "ec2",
                "describe_network_interfaces",
                "NetworkInterfaces",
                Filters=[_filter("attachment.instance-id", (instance_id,))],
            )
        ]
        return sorted(found, key=lambda interface: interface.device_index)

    def find_security_group(self, *, name: str, vpc_id: str) -> SecurityGroup | None:
        """The group of that name in that VPC; None: there is none."""
        return self._security_group([_filter("group-name", (name,)), _filter("vpc-id", (vpc_id,))])

    def _security_group(self, filters: list[dict[str, Any]]) -> SecurityGroup | None:
        found = self._calls.pages(
            "ec2", "describe_security_groups", "SecurityGroups", Filters=filters
        )
        return next((parse_security_group(item) for item in found), None)

    def get_console_output(self, instance_id: str, *, latest: bool) -> ConsoleOutput:
        """`latest` asks for the text of now (Nitro only, otherwise `UnsupportedError`)."""
        parameters: dict[str, Any] = {"InstanceId": instance_id}
        if latest:
            parameters["Latest"] = True
        answer = self._calls.call("ec2", "get_console_output", **parameters)
        return ConsoleOutput(
            instance_id=instance_id,
            text=str(answer.get("Output") or ""),
            at=text_time(answer.get("Timestamp")),
        )

    # --- writes ---

    def create_security_group(
        self, *, name: str, vpc_id: str, description: str, tags: Mapping[str, str]
    ) -> SecurityGroup:
        """A new group, tagged in the same call, with the rules that EC2 gives it by itself."""
        answer = self._calls.call(
            "ec2",
            "create_security_group",
            GroupName=name,
            Description=description,
            VpcId=vpc_id,
            **_tagged("security-group", tags),
        )
        group_id = str(answer["GroupId"])
        created = self._security_group([_filter("group-id", (group_id,))])
        if created is None:
            raise NotFoundError(
                f"security group {group_id} was created but EC2 does not show it yet",
                next_step="run it again: it will be found by its name",
            )
        return created

    def revoke_egress(self, group_id: str, rules: Sequence[SecurityRule]) -> None:
        """Take outbound rules away, IPv4 and IPv6; none given: no call."""
        if rules:
            self._calls.call(
                "ec2",
                "revoke_security_group_egress",
                GroupId=group_id,
                IpPermissions=[build_permission(rule) for rule in rules],
            )

    def authorize_ingress(self, group_id: str, rules: Sequence[SecurityRule]) -> None:
        """Add inbound rules; none given: no call. A rule that exists is refused."""
        if rules:
            self._calls.call(
                "ec2",
                "authorize_security_group_ingress",
                GroupId=group_id,
                IpPermissions=[build_permission(rule) for rule in rules],
            )

    def authorize_egress(self, group_id: str, rules: Sequence[SecurityRule]) -> None:
        """Add outbound rules; none given: no call. A rule that exists is refused."""
        if rules:
            self._calls.call(
                "ec2",
                "authorize_security_group_egress",
                GroupId=group_id,
                IpPermissions=[build_permission(rule) for rule in rules],
            )

    def set_interface_groups(self, interface_id: str, group_ids: Sequence[str]) -> None:
        """Replace the security groups of one interface."""
        self._calls.call(
            "ec2",
            "modify_network_interface_attribute",
            NetworkInterfaceId=interface_id,
            Groups=list(group_ids),
        )

    def set_delete_on_termination(self, instance_id: str, devices: Mapping[str, bool]) -> None:
        """Per device name: whether its volume goes when the instance is terminated."""
        if devices:
            self._calls.call(
                "ec2",
                "modify_instance_attribute",
                InstanceId=instance_id,
                BlockDeviceMappings=[
                    {"DeviceName": name, "Ebs": {"DeleteOnTermination": delete}}
                    for name, delete in sorted(devices.items())
                ],
            )

    def set_termination_protection(self, instance_id: str, *, enabled: bool) -> None:
        """`DisableApiTermination`. Does not stop Auto Scaling; impossible for Spot."""
        self._calls.call(
            "ec2",
            "modify_instance_attribute",
            InstanceId=instance_id,
            DisableApiTermination={"Value": enabled},
        )

    def set_shutdown_behavior(self, instance_id: str, behavior: str) -> None:
        """`stop` or `terminate`: what a shutdown from inside does."""
        # As Attribute and Value: AWS takes both forms, its stand-ins only this one.
        self._calls.call(
            "ec2",
            "modify_instance_attribute",
            InstanceId=instance_id,
            Attribute="instanceInitiatedShutdownBehavior",
            Value=behavior,
        )

    def set_auto_recovery(self, instance_id: str, *, enabled: bool) -> None:
        """Whether EC2 may bring the same instance back after a failed system check."""
        self._calls.call(
            "ec2",
            "modify_instance_maintenance_options",
            InstanceId=instance_id,
            AutoRecovery="default" if enabled else "disabled",
        )

    def create_snapshots(
        self, instance_id: str, *, description: str, tags: Mapping[str, str]
    ) -> Sequence[Snapshot]:
        """One crash-consistent set over all volumes, tagged in the same call, volume tags copied.

        There is no client token: look for the tag before calling. An empty answer means none made.
        """
        answer = self._calls.call(
            "ec2",
            "create_snapshots",
            InstanceSpecification={"InstanceId": instance_id, "ExcludeBootVolume": False},
            Description=description,
            CopyTagsFromSource="volume",
            **_tagged("snapshot", tags),
        )
        return [parse_snapshot(item) for item in answer.get("Snapshots", ())]

    def create_snapshot(
        self, volume_id: str, *, description: str, tags: Mapping[str, str]
    ) -> Snapshot:
        """One volume's snapshot, tagged in the same call: for a volume that outlived its instance.

        There is no client token: look for the tag before calling.
        """
        answer = self._calls.call(
            "ec2",
            "create_snapshot",
            VolumeId=volume_id,
            Description=description,
            **_tagged("snapshot", tags),
        )
        return parse_snapshot(answer)

    def create_tags(self, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """Set tags; those of the same key are replaced."""
        self._calls.call("ec2", "create_tags", Resources=list(resource_ids), Tags=build_tags(tags))

    def stop_instance(self, instance_id: str, *, force: bool = False) -> None:
        """Ask it to stop; returns at once, `describe_instances` tells when it has."""
        parameters: dict[str, Any] = {"InstanceIds": [instance_id]}
        if force:
            parameters["Force"] = True
        self._calls.call("ec2", "stop_instances", **parameters)


def _filter_sets(
    conditions: Mapping[str, frozenset[str]], tags: Mapping[str, str] | None = None
) -> list[list[dict[str, Any]]]:
    """The filters of each request: every condition in each, long sets spread over several."""
    sets: list[list[dict[str, Any]]] = [
        [_filter(f"tag:{key}", (value,)) for key, value in sorted((tags or {}).items())]
    ]
    for name, values in conditions.items():
        if values:
            sets = [[*filters, _filter(name, some)] for filters in sets for some in chunks(values)]
    return sets


def _filter(name: str, values: Iterable[str]) -> dict[str, Any]:
    """A filter that takes the values literally: EC2 reads `*` and `?` as wildcards."""
    return {"Name": name, "Values": [_literal(value) for value in values]}


def _literal(value: str) -> str:
    return value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def _tagged(resource_type: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """The parameter that tags what is created; EC2 refuses an empty one."""
    if not tags:
        return {}
    return {"TagSpecifications": [{"ResourceType": resource_type, "Tags": build_tags(tags)}]}
