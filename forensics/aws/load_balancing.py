"""Elastic Load Balancing v2 behind its port: target groups, who is registered, deregistering.

In: ARNs, ids and addresses. Out: the port's values. It must never touch a listener or a rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from forensics.aws.calls import Calls, chunks
from forensics.errors import NotFoundError
from forensics.ports import TargetGroup, TargetHealth

_ARNS_AT_ONCE: Final = 20


class BotoLoadBalancing:
    """Implements `forensics.ports.LoadBalancing`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def describe_target_groups(self, arns: frozenset[str] = frozenset()) -> Sequence[TargetGroup]:
        """Those target groups, or all."""
        asked: list[dict[str, Any]] = [
            {"TargetGroupArns": some} for some in chunks(arns, _ARNS_AT_ONCE)
        ] or [{}]
        return [
            parse_target_group(item)
            for parameters in asked
            for item in self._calls.pages(
                "elbv2", "describe_target_groups", "TargetGroups", **parameters
            )
        ]

    def describe_target_health(self, target_group_arn: str) -> Sequence[TargetHealth]:
        """Every registration of one target group, draining ones too."""
        answer = self._calls.call(
            "elbv2", "describe_target_health", TargetGroupArn=target_group_arn
        )
        return [
            parse_target_health(item, target_group_arn)
            for item in answer.get("TargetHealthDescriptions", ())
        ]

    def describe_registrations(
        self, instance_id: str, addresses: frozenset[str] = frozenset()
    ) -> Sequence[TargetHealth]:
        """Where that instance, or one of its addresses, is registered: all target groups."""
        wanted = addresses | {instance_id}
        return [
            health
            for group in self.describe_target_groups()
            for health in self._health_or_gone(group.arn)
            if health.target_id in wanted
        ]

    def _health_or_gone(self, arn: str) -> Sequence[TargetHealth]:
        """Nothing for a target group that was deleted since it was listed."""
        try:
            return self.describe_target_health(arn)
        except NotFoundError:
            return ()

    def deregister_target(self, registration: TargetHealth) -> None:
        """Take one registration out; one that is gone already counts as done."""
        target: dict[str, Any] = {"Id": registration.target_id}
        if registration.port is not None:
            target["Port"] = registration.port
        if registration.availability_zone and not registration.target_id.startswith("i-"):
            target["AvailabilityZone"] = registration.availability_zone  # refused for instances
        try:
            self._calls.call(
                "elbv2",
                "deregister_targets",
                TargetGroupArn=registration.target_group_arn,
                Targets=[target],
            )
        except NotFoundError:  # the target or its whole group went before us
            return


def parse_target_group(item: Mapping[str, Any]) -> TargetGroup:
    """A target group."""
    port = item.get("Port")
    return TargetGroup(
        arn=str(item["TargetGroupArn"]),
        name=str(item.get("TargetGroupName", "")),
        target_type=str(item.get("TargetType", "")),
        protocol=str(item.get("Protocol", "")),
        port=None if port is None else int(port),
        vpc_id=str(item.get("VpcId", "")),
        load_balancer_arns=tuple(item.get("LoadBalancerArns", ())),
    )


def parse_target_health(item: Mapping[str, Any], target_group_arn: str) -> TargetHealth:
    """One registration and its health."""
    target, health = item["Target"], item.get("TargetHealth", {})
    port = target.get("Port")
    return TargetHealth(
        target_group_arn=target_group_arn,
        target_id=str(target["Id"]),
        port=None if port is None else int(port),
        state=str(health.get("State", "")),
        availability_zone=str(target.get("AvailabilityZone", "")),
        reason=str(health.get("Reason", "")),
        description=str(health.get("Description", "")),
    )
