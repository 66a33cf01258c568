"""The adapters of Auto Scaling and load balancing against moto."""

from __future__ import annotations

import datetime as dt

import pytest

from forensics.aws.autoscaling import parse_activity
from forensics.ports import TargetHealth
from tests.forensics.moto_account import MotoAccount

pytestmark = pytest.mark.slow


def test_a_detached_instance_leaves_its_group_and_a_replacement_comes(moto: MotoAccount) -> None:
    """Without decrement the group keeps its size."""
    group = moto.build_group(2)
    scaling = moto.account.autoscaling
    [member] = scaling.describe_instances(frozenset(group.instance_ids[:1]))
    assert (group.name, "InService") == (member.group, member.lifecycle_state)
    scaling.detach_instance(member.instance_id, group.name, decrement=False)
    assert [] == scaling.describe_instances(frozenset(group.instance_ids[:1]))
    [described] = scaling.describe_groups(frozenset((group.name,)))
    assert 2 == described.desired_capacity == len(described.members)
    assert member.instance_id not in {left.instance_id for left in described.members}
    assert (group.target_group_arn,) == tuple(described.target_group_arns)


def test_unknown_groups_and_instances_are_absent(moto: MotoAccount) -> None:
    """Nothing of that name is an answer, not an error."""
    scaling = moto.account.autoscaling
    assert [] == scaling.describe_groups(frozenset(("nobody",)))
    assert [] == scaling.describe_instances(frozenset(("i-0000000000000000f",)))
    assert [] == scaling.describe_activities()


def test_more_instances_than_one_request_takes_are_all_asked_for(moto: MotoAccount) -> None:
    """120 ids go in three requests."""
    group = moto.build_group(2)
    ids = {f"i-{number:017x}" for number in range(118)} | set(group.instance_ids)
    found = moto.account.autoscaling.describe_instances(frozenset(ids))
    assert set(group.instance_ids) == {member.instance_id for member in found}


def test_an_activity_names_the_instances_of_its_description_alone() -> None:
    """Its cause may name others, which nothing happened to."""
    activity = parse_activity(
        {
            "ActivityId": "a1",
            "AutoScalingGroupName": "web",
            "Description": "Terminating EC2 instance: i-0123456789abcdef0",
            "Cause": "At … instance i-0fedcba9876543210 was healthy and i-0123456789abcdef0 not.",
            "StartTime": dt.datetime(2026, 1, 3, 14, 5, 12, tzinfo=dt.UTC),
            "StatusCode": "InProgress",
        }
    )
    assert ("i-0123456789abcdef0",) == tuple(activity.instance_ids)
    assert ("2026-01-03T14:05:12.000000000Z", "") == (activity.started_at, activity.ended_at)


def test_a_registration_is_found_and_taken_out_once(moto: MotoAccount) -> None:
    """The second time changes nothing and is no error."""
    group = moto.build_group(2)
    balancing = moto.account.load_balancing
    victim, peer = group.instance_ids
    [registration] = balancing.describe_registrations(victim)
    assert (group.target_group_arn, victim, 80) == (
        registration.target_group_arn,
        registration.target_id,
        registration.port,
    )
    balancing.deregister_target(registration)
    balancing.deregister_target(registration)
    assert [] == balancing.describe_registrations(victim)
    left = balancing.describe_target_health(group.target_group_arn)
    assert [peer] == [health.target_id for health in left]
    [described] = balancing.describe_target_groups(frozenset((group.target_group_arn,)))
    assert ("web", "instance", 80) == (described.name, described.target_type, described.port)


def test_a_target_group_that_went_before_us_counts_as_done(moto: MotoAccount) -> None:
    """Deregistering from a deleted target group is no error."""
    arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/gone/73e2d6bc24d8a067"
    gone = TargetHealth(target_group_arn=arn, target_id="i-0123456789abcdef0", port=80, state="")
    assert None is moto.account.load_balancing.deregister_target(gone)  # type: ignore[func-returns-value]
