"""What the sources say, before it is merged: all facts, and one instance's share of them.

In: answers of EC2, Auto Scaling and a store. Out: `Facts`, and `collect_mentions`: by instance id.
Pure; it must never drop an id that anything mentions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forensics.ledger.model import LifecycleEvent
from forensics.ports import (
    CASE_TAG,
    INSTANCE_TAG,
    GroupMember,
    Instance,
    ScalingActivity,
    Snapshot,
)
from forensics.store.protocol import StreamSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was asked, and what came back."""

    account_id: str = ""
    """Whose EC2 answered; empty where that is not known."""
    region: str = ""
    asked_at: str = ""
    """When EC2 answered, 30 characters; empty: no account was asked, or EC2 did not answer."""
    instances: Sequence[Instance] = ()
    members: Sequence[GroupMember] = ()
    activities: Sequence[ScalingActivity] = ()
    snapshots: Sequence[Snapshot] = ()
    streams: Sequence[StreamSummary] = ()
    lifecycle: Sequence[LifecycleEvent] = ()


@dataclass(slots=True)
class Mentions:
    """What the sources say of one instance."""

    instance_id: str
    instance: Instance | None
    member: GroupMember | None
    activities: list[ScalingActivity]
    snapshots: list[Snapshot]
    streams: list[StreamSummary]
    lifecycle: list[LifecycleEvent]

    @property
    def newest_stream(self) -> StreamSummary | None:
        """The stream that spoke last."""
        return max(self.streams, key=lambda s: (s.last_at, s.first_at), default=None)

    def remembered(self, name: str) -> str:
        """An identity field by ECS name: from the newest birth that has it, then the lifecycle."""
        births = sorted(self.streams, key=lambda s: s.first_at, reverse=True)
        for stream in births:
            if value := stream.birth.get(name):
                return str(value)
        for event in reversed(self.lifecycle):
            if value := event.identity.get(name):
                return value
        return ""

    def sources(self) -> Iterable[str]:
        """The names of those that mention it."""
        said = {
            "ec2": self.instance,
            "autoscaling": self.member or self.activities,
            "stream": self.streams,
            "lifecycle": self.lifecycle,
            "snapshots": self.snapshots,
        }
        return (name for name, what in said.items() if what)


def collect_mentions(facts: Facts) -> Mapping[str, Mentions]:
    """What is said, by instance."""
    instances = {instance.instance_id: instance for instance in facts.instances}
    members = {member.instance_id: member for member in facts.members}
    activities = _grouped(
        (instance_id, activity)
        for activity in facts.activities
        for instance_id in activity.instance_ids
    )
    streams = _grouped((stream.instance_id, stream) for stream in facts.streams)
    lifecycle = _grouped((event.instance_id, event) for event in facts.lifecycle)
    snapshots = _grouped(_owned_snapshots(facts))
    ids = {*instances, *members, *activities, *streams, *lifecycle, *snapshots} - {""}
    return {
        instance_id: Mentions(
            instance_id=instance_id,
            instance=instances.get(instance_id),
            member=members.get(instance_id),
            activities=sorted(activities[instance_id], key=lambda a: a.started_at),
            snapshots=sorted(snapshots[instance_id], key=lambda s: (s.started_at, s.snapshot_id)),
            streams=sorted(streams[instance_id], key=lambda s: (s.first_at, s.stream)),
            lifecycle=sorted(lifecycle[instance_id], key=lambda e: e.at),
        )
        for instance_id in ids
    }


def _grouped(pairs: Iterable[tuple[str, Any]]) -> defaultdict[str, list[Any]]:
    groups: defaultdict[str, list[Any]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups


def _owned_snapshots(facts: Facts) -> Iterable[tuple[str, Snapshot]]:
    """Each snapshot with its instance: by tag, then by the volume's owner, then by the case."""
    by_volume = {
        device.volume_id: instance.instance_id
        for instance in facts.instances
        for device in instance.block_devices
    }
    by_case = {
        **{event.case_id: event.instance_id for event in facts.lifecycle if event.case_id},
        **{i.tags[CASE_TAG]: i.instance_id for i in facts.instances if i.tags.get(CASE_TAG)},
    }
    unique = {snapshot.snapshot_id: snapshot for snapshot in facts.snapshots}
    for snapshot in unique.values():
        owner = (
            snapshot.tags.get(INSTANCE_TAG)
            or by_volume.get(snapshot.volume_id)
            or by_case.get(snapshot.tags.get(CASE_TAG, ""))
        )
        if owner:
            yield owner, snapshot
