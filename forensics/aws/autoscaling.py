"""EC2 Auto Scaling behind its port: members, groups, activities, and detaching.

In: ids and names. Out: the port's values. It must never decide whether a detach is right.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from forensics.aws.calls import Calls, chunks, json_safe, parse_tags, text_time
from forensics.ports import AutoScalingGroup, GroupMember, ScalingActivity

_INSTANCES_AT_ONCE: Final = 50
"""More ids are refused by DescribeAutoScalingInstances; group names go by fifty too."""
_INSTANCE_ID: Final = re.compile(r"\bi-[0-9a-f]{8,17}\b")


class BotoAutoScaling:
    """Implements `forensics.ports.AutoScaling`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def describe_instances(
        self, instance_ids: frozenset[str] = frozenset()
    ) -> Sequence[GroupMember]:
        """Those members of any group, or all; an id that is in no group is absent."""
        asked: list[dict[str, Any]] = [
            {"InstanceIds": ids} for ids in chunks(instance_ids, _INSTANCES_AT_ONCE)
        ] or [{}]
        return [
            parse_member(item, str(item.get("AutoScalingGroupName", "")))
            for parameters in asked
            for item in self._calls.pages(
                "autoscaling",
                "describe_auto_scaling_instances",
                "AutoScalingInstances",
                **parameters,
            )
        ]

    def describe_groups(self, names: frozenset[str] = frozenset()) -> Sequence[AutoScalingGroup]:
        """Those groups, or all; an unknown name is absent."""
        asked: list[dict[str, Any]] = [
            {"AutoScalingGroupNames": some} for some in chunks(names, _INSTANCES_AT_ONCE)
        ] or [{}]
        return [
            parse_group(item)
            for parameters in asked
            for item in self._calls.pages(
                "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", **parameters
            )
        ]

    def describe_activities(
        self, group: str = "", *, most: int = 2000
    ) -> Sequence[ScalingActivity]:
        """What that group (empty: each, deleted ones too) did, newest first, at most `most`."""
        parameters: dict[str, Any] = (
            {"AutoScalingGroupName": group} if group else {"IncludeDeletedGroups": True}
        )
        found = self._calls.pages(
            "autoscaling", "describe_scaling_activities", "Activities", **parameters
        )
        return [parse_activity(item) for item in itertools.islice(found, most)]

    def detach_instance(
        self, instance_id: str, group: str, *, decrement: bool
    ) -> Sequence[ScalingActivity]:
        """Take it out of its group; without `decrement` the group starts a replacement."""
        answer = self._calls.call(
            "autoscaling",
            "detach_instances",
            InstanceIds=[instance_id],
            AutoScalingGroupName=group,
            ShouldDecrementDesiredCapacity=decrement,
        )
        return [parse_activity(item) for item in answer.get("Activities", ())]


def parse_member(item: Mapping[str, Any], group: str) -> GroupMember:
    """A group's member; the group's own list does not repeat the group's name."""
    return GroupMember(
        instance_id=str(item["InstanceId"]),
        group=group,
        lifecycle_state=str(item.get("LifecycleState", "")),
        health_status=str(item.get("HealthStatus", "")),
        availability_zone=str(item.get("AvailabilityZone", "")),
        protected_from_scale_in=bool(item.get("ProtectedFromScaleIn", False)),
        raw=json_safe(item),
    )


def parse_group(item: Mapping[str, Any]) -> AutoScalingGroup:
    """A group with its members."""
    name = str(item["AutoScalingGroupName"])
    return AutoScalingGroup(
        name=name,
        min_size=int(item.get("MinSize", 0)),
        max_size=int(item.get("MaxSize", 0)),
        desired_capacity=int(item.get("DesiredCapacity", 0)),
        members=tuple(parse_member(member, name) for member in item.get("Instances", ())),
        target_group_arns=tuple(item.get("TargetGroupARNs", ())),
        classic_load_balancers=tuple(item.get("LoadBalancerNames", ())),
        suspended_processes=tuple(
            str(process.get("ProcessName", "")) for process in item.get("SuspendedProcesses", ())
        ),
        health_check_type=str(item.get("HealthCheckType", "")),
        tags=parse_tags(item.get("Tags")),
        raw=json_safe(item),
    )


def parse_activity(item: Mapping[str, Any]) -> ScalingActivity:
    """An activity; the instances stand in its description alone, its cause names others too."""
    description = str(item.get("Description", ""))
    return ScalingActivity(
        activity_id=str(item.get("ActivityId", "")),
        group=str(item.get("AutoScalingGroupName", "")),
        started_at=text_time(item.get("StartTime")),
        ended_at=text_time(item.get("EndTime")),
        status=str(item.get("StatusCode", "")),
        description=description,
        cause=str(item.get("Cause", "")),
        status_message=str(item.get("StatusMessage", "")),
        instance_ids=tuple(dict.fromkeys(_INSTANCE_ID.findall(description))),
        raw=json_safe(item),
    )
