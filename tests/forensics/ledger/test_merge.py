"""One row per id: where an instance stands, what it was, and what happened to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forensics.ledger.derive import parse_transition_time
from forensics.ledger.facts import Facts
from forensics.ledger.merge import merge_rows
from forensics.ledger.model import InstanceRow, InstanceState, LifecycleEvent
from forensics.ledger.standing import FORGOTTEN
from forensics.ports import (
    AUTO_SCALING_GROUP_TAG,
    CASE_TAG,
    GROUP_TAG,
    IMAGE_TAG,
    INSTANCE_TAG,
    STATE_TAG,
    BlockDevice,
    GroupMember,
    Instance,
    ScalingActivity,
    Snapshot,
)
from tests.forensics.ledger.memory_store import make_stream

ID = "i-0123456789abcdef0"
OTHER = "i-0fedcba9876543210"
ASKED = "2026-01-04T00:00:00.000000000Z"
LAUNCHED = "2026-01-03T09:59:00.000000000Z"
ENDED = "2026-01-03T14:05:12.000000000Z"

INSTANCE = Instance(
    instance_id=ID,
    state="running",
    image_id="ami-1",
    instance_type="t3.micro",
    launched_at=LAUNCHED,
    availability_zone="eu-west-1a",
    account_id="123456789012",
    private_ip="10.0.0.4",
    block_devices=(BlockDevice(device_name="/dev/xvda", volume_id="vol-1",
                               delete_on_termination=True),),
    tags={AUTO_SCALING_GROUP_TAG: "web"},
    raw={"InstanceId": ID},
)  # fmt: skip
SNAPSHOT = Snapshot(
    snapshot_id="snap-1",
    volume_id="vol-1",
    state="completed",
    started_at="2026-01-03T14:00:00.000000000Z",
    size_gib=8,
    raw={"SnapshotId": "snap-1"},
)
FACTS = Facts(account_id="123456789012", region="eu-west-1", asked_at=ASKED)
CLAIM = LifecycleEvent(
    at="2026-01-03T13:00:00.000000000Z",
    instance_id=ID,
    action="protect",
    message="Volumes stay",
    origin="quarantine",
    outcome="success",
    case_id="c1",
)


def row_of(facts: Facts) -> InstanceRow:
    """The one row of these facts."""
    [row] = merge_rows(facts)
    return row


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", InstanceState.PENDING),
        ("running", InstanceState.RUNNING),
        ("stopping", InstanceState.STOPPED),
        ("stopped", InstanceState.STOPPED),
        ("shutting-down", InstanceState.TERMINATED),
        ("terminated", InstanceState.TERMINATED),
    ],
)
def test_ec2s_word_is_the_state_of_what_nobody_claimed(word: str, state: InstanceState) -> None:
    """And the reason quotes it."""
    row = row_of(replace(FACTS, instances=(replace(INSTANCE, state=word),)))
    assert (state, f"EC2: {word}") == (row.state, row.state_reason)


@pytest.mark.parametrize(
    ("tags", "lifecycle", "state"),
    [
        ({CASE_TAG: "c1", STATE_TAG: "claimed"}, (), InstanceState.QUARANTINED),
        ({STATE_TAG: "isolated"}, (), InstanceState.QUARANTINED),
        ({CASE_TAG: "c1", STATE_TAG: "released"}, (CLAIM,), InstanceState.STOPPED),
        ({}, (CLAIM,), InstanceState.QUARANTINED),
        ({}, (replace(CLAIM, outcome="failure"),), InstanceState.STOPPED),
        ({}, (CLAIM, replace(CLAIM, at=ENDED, action="release")), InstanceState.STOPPED),
        ({}, (replace(CLAIM, origin="demo"),), InstanceState.STOPPED),
    ],
)
def test_a_case_claims_until_it_is_released(
    tags: dict[str, str], lifecycle: tuple[LifecycleEvent, ...], state: InstanceState
) -> None:
    """By tag or by what the quarantine stored; a stop that belongs to it is no plain stop."""
    instance = replace(INSTANCE, state="stopped", tags=tags)
    row = row_of(replace(FACTS, instances=(instance,), lifecycle=lifecycle))
    assert state == row.state
    assert "EC2: stopped" in row.state_reason


def test_an_end_outranks_a_case() -> None:
    """What is terminated is not set aside any more; the case stays on the row."""
    instance = replace(
        INSTANCE,
        state="terminated",
        state_transition_reason="User initiated (2026-01-03 14:05:12 GMT)",
        tags={CASE_TAG: "c1"},
    )
    row = row_of(replace(FACTS, instances=(instance,)))
    assert (InstanceState.TERMINATED, ENDED, "c1") == (row.state, row.ended_at, row.case_id)


def test_an_instance_that_ec2_forgot_is_terminated() -> None:
    """Its stream is old, EC2 answered for its account and region and does not know it."""
    birth = {"host.image.id": "ami-9", "cloud.region": "eu-west-1",
             "cloud.account.id": "123456789012", "aws.autoscaling.group.name": "web",
             "cloud.availability_zone": "eu-west-1b", "cloud.machine.type": "t3.nano"}  # fmt: skip
    row = row_of(replace(FACTS, streams=(make_stream(ID, birth=birth),)))
    assert (InstanceState.TERMINATED, FORGOTTEN) == (row.state, row.state_reason)
    assert ("ami-9", "web", "eu-west-1b", "t3.nano", "") == (
        row.image_id, row.group, row.availability_zone, row.instance_type, row.ended_at,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("birth", "last_at", "words"),
    [
        ({"cloud.region": "us-east-1"}, LAUNCHED, "us-east-1"),
        ({"cloud.account.id": "999999999999"}, LAUNCHED, "999999999999"),
        ({}, "2026-01-03T23:50:00.000000000Z", "spoke at 2026-01-03T23:50:00Z"),
    ],
)
def test_silence_of_the_wrong_account_is_no_death(
    birth: dict[str, str], last_at: str, words: str
) -> None:
    """Another region or account was asked, or it spoke minutes ago: its state is not known."""
    streams = (make_stream(ID, birth=birth, last_at=last_at),)
    row = row_of(replace(FACTS, streams=streams))
    assert InstanceState.UNKNOWN == row.state
    assert words in row.state_reason


def test_an_id_that_is_none_of_ec2s_is_not_declared_dead() -> None:
    """A host outside AWS ships under a name of its own."""
    assert InstanceState.UNKNOWN == row_of(replace(FACTS, streams=(make_stream("rack7"),))).state


def test_without_an_account_only_the_streams_speak() -> None:
    """Nobody was asked, so nothing is known; unless the lifecycle remembers an end."""
    streams = (make_stream(ID),)
    assert InstanceState.UNKNOWN == row_of(Facts(streams=streams)).state
    end = LifecycleEvent(
        at=ENDED, instance_id=ID, action="terminated", message="by its group", origin="ec2",
        identity={"host.image.id": "ami-1", "aws.autoscaling.group.name": "web"},
    )  # fmt: skip
    row = row_of(Facts(streams=streams, lifecycle=(end,)))
    assert (InstanceState.TERMINATED, "ec2: by its group", ENDED, "ami-1", "web") == (
        row.state, row.state_reason, row.ended_at, row.image_id, row.group,
    )  # fmt: skip


def test_a_stored_end_does_not_outrank_ec2() -> None:
    """What EC2 calls running runs, whatever was stored."""
    end = LifecycleEvent(at=ENDED, instance_id=ID, action="terminated", message="", origin="demo")
    row = row_of(replace(FACTS, instances=(INSTANCE,), lifecycle=(end,)))
    assert InstanceState.RUNNING == row.state


def test_a_group_on_the_way_out_is_told_beside_ec2s_word() -> None:
    """Running in Terminating:Wait is not simply running."""
    member = GroupMember(instance_id=ID, group="web", lifecycle_state="Terminating:Wait")
    row = row_of(replace(FACTS, instances=(INSTANCE,), members=(member,)))
    assert "EC2: running; Auto Scaling: Terminating:Wait in web" == row.state_reason


@pytest.mark.parametrize(
    "facts",
    [
        Facts(instances=(INSTANCE,)),
        Facts(instances=(replace(INSTANCE, tags={GROUP_TAG: "web"}),)),
        Facts(members=(GroupMember(instance_id=ID, group="web", lifecycle_state="InService"),)),
        Facts(snapshots=(replace(SNAPSHOT, tags={INSTANCE_TAG: ID, GROUP_TAG: "web"}),)),
        Facts(streams=(make_stream(ID, birth={"aws.autoscaling.group.name": "web"}),)),
        Facts(lifecycle=(replace(CLAIM, identity={"aws.autoscaling.group.name": "web"}),)),
        Facts(activities=(ScalingActivity(activity_id="a", group="web", started_at=ENDED,
                                          instance_ids=(ID,)),)),
    ],
)  # fmt: skip
def test_the_group_is_remembered_by_whoever_knew_it(facts: Facts) -> None:
    """AWS's tag goes when an instance is detached; six others tell it still."""
    assert "web" == row_of(facts).group


def test_the_image_is_remembered_by_a_snapshots_tag() -> None:
    """For an instance that only its snapshots survive."""
    tagged = replace(SNAPSHOT, tags={INSTANCE_TAG: ID, IMAGE_TAG: "ami-1", CASE_TAG: "c1"})
    row = row_of(Facts(snapshots=(tagged,)))
    assert ("ami-1", "c1", ("snapshots",)) == (row.image_id, row.case_id, tuple(row.sources))


@pytest.mark.parametrize(
    "tags", [{INSTANCE_TAG: ID}, {}, {CASE_TAG: "c1"}], ids=["by tag", "by volume", "by case"]
)
def test_a_snapshot_finds_its_instance(tags: dict[str, str]) -> None:
    """By our tag, by the volume that is attached, or by the case's instance."""
    volume = "vol-1" if not tags else "vol-gone"
    snapshot = replace(SNAPSHOT, volume_id=volume, tags=tags)
    facts = replace(FACTS, instances=(INSTANCE,), snapshots=(snapshot, snapshot),
                    lifecycle=(CLAIM,))  # fmt: skip
    assert ["snap-1"] == [found.snapshot_id for found in row_of(facts).snapshots]


def test_a_restart_does_not_move_the_launch() -> None:
    """EC2's launch time is that of the newest start; the ledger keeps the first it heard of."""
    first = LifecycleEvent(
        at="2026-01-01T00:00:00.000000000Z", instance_id=ID, action="launched", message="",
        origin="ec2",
    )  # fmt: skip
    row = row_of(replace(FACTS, instances=(INSTANCE,), lifecycle=(first,)))
    assert first.at == row.launched_at == row.first_seen_at


def test_events_follow_from_facts_in_time_order() -> None:
    """Launch, birth, activity, snapshot, stop and the last sign, each once and with its source."""
    instance = replace(
        INSTANCE, state="stopped",
        state_transition_reason="User initiated (2026-01-03 14:05:12 GMT)",
        state_reason="Client.UserInitiatedShutdown: User initiated shutdown",
    )  # fmt: skip
    activity = ScalingActivity(
        activity_id="a1", group="web", started_at="2026-01-03T13:30:00.000000000Z",
        status="Failed", description=f"Detaching EC2 instance: {ID}", cause="a user asked",
        instance_ids=(ID,),
    )  # fmt: skip
    streams = (make_stream(ID, birth={"@timestamp": "2026-01-03T10:00:00.000000000Z"}),)
    row = row_of(
        replace(FACTS, instances=(instance,), activities=(activity,), snapshots=(SNAPSHOT,),
                streams=streams)
    )  # fmt: skip
    assert [
        ("ec2", "launched", "success"),
        ("stream", "birth", ""),
        ("stream", "last sign", ""),
        ("autoscaling", "detaching", "failure"),
        ("ec2", "snapshot", "success"),
        ("ec2", "stopped", "success"),
    ] == [(event.origin, event.action, event.outcome) for event in row.events]
    assert "web" == row.events[0].identity["aws.autoscaling.group.name"]
    assert {"ec2.describe_instances", "autoscaling.describe_scaling_activities",
            "ec2.describe_snapshots"} == set(row.raw)  # fmt: skip


def test_a_goodbye_is_told_and_a_missing_one_too() -> None:
    """The newest stream decides whether the instance said goodbye; each stream tells its own."""
    older = make_stream(ID, stream="a" * 16)
    newer = make_stream(
        ID, stream="b" * 16, first_at=ENDED, last_at="2026-01-03T15:00:00.000000000Z",
        closing={"@timestamp": "2026-01-03T15:00:00.000000000Z"}, last_word="bye",
    )  # fmt: skip
    row = row_of(Facts(streams=(newer, older)))
    assert (True, "bye", 20, newer.last_at) == (
        row.closed, row.last_word, row.records, row.last_sign_at,
    )  # fmt: skip
    assert ["first sign", "last sign", "first sign", "closing"] == [e.action for e in row.events]


def test_a_group_alone_tells_launch_end_and_place() -> None:
    """Auto Scaling remembers for six weeks what EC2 forgot after an hour."""
    launching = ScalingActivity(
        activity_id="a1", group="web", started_at=LAUNCHED, status="Successful",
        description=f"Launching a new EC2 instance: {ID}", instance_ids=(ID,),
    )  # fmt: skip
    terminating = ScalingActivity(
        activity_id="a2", group="web", started_at="2026-01-03T14:04:00.000000000Z",
        ended_at=ENDED, description=f"Terminating EC2 instance: {ID}", instance_ids=(ID,),
    )  # fmt: skip
    row = row_of(replace(FACTS, activities=(terminating, launching)))
    assert (InstanceState.TERMINATED, LAUNCHED, ENDED, "web") == (
        row.state, row.launched_at, row.ended_at, row.group,
    )  # fmt: skip
    assert ["launching", "terminating"] == [event.action for event in row.events]


def test_a_zone_tells_the_region() -> None:
    """Where a birth names only the zone."""
    birth = {"cloud.availability_zone": "us-gov-west-1b"}
    assert "us-gov-west-1" == row_of(Facts(streams=(make_stream(ID, birth=birth),))).region


def test_rows_come_newest_first_and_only_those_that_were_asked_for() -> None:
    """By last sign or launch, whichever is newer."""
    facts = replace(
        FACTS,
        instances=(replace(INSTANCE, instance_id=OTHER, launched_at=ASKED),),
        streams=(make_stream(ID),),
        lifecycle=(replace(CLAIM, instance_id="i-00000000000000000"),),
    )
    assert [OTHER, "i-00000000000000000", ID] == [row.instance_id for row in merge_rows(facts)]
    assert [ID] == [row.instance_id for row in merge_rows(facts, frozenset((ID,)))]


@pytest.mark.parametrize(
    ("reason", "at"),
    [
        ("User initiated (2026-01-03 14:05:12 GMT)", ENDED),
        ("User initiated (2026-01-03 14:05:12 UTC)", ENDED),
        ("User initiated (2026-02-30 14:05:12 GMT)", ""),
        ("User initiated (1969-01-03 14:05:12 GMT)", ""),
        ("Server.SpotInstanceTermination", ""),
        ("", ""),
    ],
)
def test_ec2s_transition_reason_says_when(reason: str, at: str) -> None:
    """Or does not, and then no time is made up."""
    assert at == parse_transition_time(reason)
