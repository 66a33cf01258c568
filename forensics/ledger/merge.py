"""Everything that mentions an instance, merged into one row per id.

In: `Facts`: what EC2, Auto Scaling, the snapshots, the streams and the lifecycle say, and which of
them answered. Out: rows, newest first. Pure: it must never ask a clock, an account or a store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from forensics.ledger.derive import derive_events
from forensics.ledger.facts import Facts, Mentions, collect_mentions
from forensics.ledger.model import InstanceRow, InstanceState, SnapshotRow
from forensics.ledger.standing import decide_state, ended_at, find_case
from forensics.ports import AUTO_SCALING_GROUP_TAG, CASE_TAG, GROUP_TAG, IMAGE_TAG, Snapshot
from shipper.wire.record import IDENTITY_FIELDS

_ZONE: Final = re.compile(r"([a-z]{2}(?:-[a-z]+)+-\d)[a-z]")


def merge_rows(facts: Facts, instance_ids: frozenset[str] = frozenset()) -> Sequence[InstanceRow]:
    """One row per id that anything mentions (of `instance_ids`, if given), newest first."""
    rows = [
        _row(mentions, facts)
        for instance_id, mentions in collect_mentions(facts).items()
        if not instance_ids or instance_id in instance_ids
    ]
    rows.sort(key=lambda row: row.instance_id)
    rows.sort(key=_recency, reverse=True)
    return rows


def _recency(row: InstanceRow) -> str:
    return max(row.last_sign_at, row.launched_at) or row.first_seen_at


def _row(mentions: Mentions, facts: Facts) -> InstanceRow:
    instance, newest = mentions.instance, mentions.newest_stream
    identity = _identity(mentions, facts)
    case_id = find_case(mentions)
    state, reason = decide_state(mentions, facts)
    last_words = max(
        (stream for stream in mentions.streams if stream.last_word_at),
        key=lambda stream: stream.last_at,
        default=None,
    )
    launched_at = _launched_at(mentions)
    return InstanceRow(
        instance_id=mentions.instance_id,
        state=state,
        state_reason=reason,
        **identity,
        private_ip=instance.private_ip if instance else "",
        launched_at=launched_at,
        ended_at=ended_at(mentions) if state is InstanceState.TERMINATED else "",
        first_seen_at=min(_times(mentions, launched_at), default=""),
        last_sign_at=newest.last_at if newest else "",
        last_word_at=last_words.last_word_at if last_words else "",
        last_word=last_words.last_word if last_words else "",
        records=sum(stream.records for stream in mentions.streams),
        closed=bool(newest and newest.closing),
        case_id=case_id,
        streams=tuple(mentions.streams),
        snapshots=tuple(_snapshot_row(snapshot) for snapshot in mentions.snapshots),
        events=tuple(
            derive_events(
                instance_id=mentions.instance_id,
                instance=instance,
                activities=mentions.activities,
                snapshots=mentions.snapshots,
                streams=mentions.streams,
                identity={
                    IDENTITY_FIELDS[name]: value for name, value in identity.items() if value
                },
            )
        ),
        sources=tuple(mentions.sources()),
        raw=_raw(mentions),
    )


def _identity(mentions: Mentions, facts: Facts) -> dict[str, str]:
    """Image, group, type and place: from AWS, then from tags, then as remembered."""
    instance = mentions.instance
    zone = (
        (instance.availability_zone if instance else "")
        or (mentions.member.availability_zone if mentions.member else "")
        or mentions.remembered("cloud.availability_zone")
    )
    in_zone = _ZONE.fullmatch(zone)
    known = mentions.instance or mentions.member
    return {
        "image_id": (instance.image_id if instance else "")
        or _snapshot_tag(mentions, IMAGE_TAG)
        or mentions.remembered("host.image.id"),
        "group": _group(mentions),
        "instance_type": (instance.instance_type if instance else "")
        or mentions.remembered("cloud.machine.type"),
        "region": (facts.region if known else "")
        or mentions.remembered("cloud.region")
        or (in_zone[1] if in_zone else ""),
        "availability_zone": zone,
        "account_id": (instance.account_id if instance else "")
        or mentions.remembered("cloud.account.id"),
    }


def _group(mentions: Mentions) -> str:
    """Its Auto Scaling group, also after it left it: AWS's own tag goes with the membership."""
    tags = mentions.instance.tags if mentions.instance else {}
    acted = (activity.group for activity in reversed(mentions.activities) if activity.group)
    return (
        tags.get(AUTO_SCALING_GROUP_TAG)
        or (mentions.member.group if mentions.member else "")
        or tags.get(GROUP_TAG)
        or _snapshot_tag(mentions, GROUP_TAG)
        or mentions.remembered("aws.autoscaling.group.name")
        or next(acted, "")
    )


def _snapshot_tag(mentions: Mentions, key: str) -> str:
    return next((s.tags[key] for s in mentions.snapshots if s.tags.get(key)), "")


def _launched_at(mentions: Mentions) -> str:
    """The first launch that anybody knows of: EC2's own time moves at every start."""
    launches = [event.at for event in mentions.lifecycle if event.action == "launched"]
    if mentions.instance and mentions.instance.launched_at:
        launches.append(mentions.instance.launched_at)
    if not launches:
        launches = [
            activity.started_at
            for activity in mentions.activities
            if activity.description.startswith("Launching")
        ]
    return min(filter(None, launches), default="")


def _times(mentions: Mentions, launched_at: str) -> Iterable[str]:
    """Every time at which something was heard of it."""
    times = (
        launched_at,
        *(stream.first_at for stream in mentions.streams),
        *(activity.started_at for activity in mentions.activities),
        *(snapshot.started_at for snapshot in mentions.snapshots),
        *(event.at for event in mentions.lifecycle),
    )
    return filter(None, times)


def _snapshot_row(snapshot: Snapshot) -> SnapshotRow:
    return SnapshotRow(
        snapshot_id=snapshot.snapshot_id,
        volume_id=snapshot.volume_id,
        state=snapshot.state,
        started_at=snapshot.started_at,
        size_gib=snapshot.size_gib,
        case_id=snapshot.tags.get(CASE_TAG, ""),
        tags=snapshot.tags,
    )


def _raw(mentions: Mentions) -> dict[str, Any]:
    """What each call said, by the call's name."""
    raw: dict[str, Any] = {}
    if mentions.instance:
        raw["ec2.describe_instances"] = mentions.instance.raw
    if mentions.member:
        raw["autoscaling.describe_auto_scaling_instances"] = mentions.member.raw
    if mentions.activities:
        raw["autoscaling.describe_scaling_activities"] = [a.raw for a in mentions.activities]
    if mentions.snapshots:
        raw["ec2.describe_snapshots"] = [s.raw for s in mentions.snapshots]
    return raw
