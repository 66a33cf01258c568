"""Events that follow from facts: launches and ends, snapshots, what groups did, births, last signs.

In: what AWS and the streams say of one instance. Out: `LifecycleEvent`s in time order. Pure; it
must never make an event without a time that one of them gave.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from forensics.ledger.model import LifecycleEvent
from forensics.ports import CASE_TAG, Instance, ScalingActivity, Snapshot
from forensics.store.protocol import StreamSummary
from shipper.wire.times import NANOS_PER_SECOND, format_time

ENDED_STATES: Final = frozenset(("shutting-down", "terminated"))
"""EC2's words for an instance that won't come back."""
STOPPED_STATES: Final = frozenset(("stopping", "stopped"))

# User initiated (2026-01-03 14:05:12 GMT)
_TRANSITION: Final = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")
_OUTCOMES: Final = {"Successful": "success", "Failed": "failure", "Cancelled": "failure"}
_ACTIVITY: Final = re.compile(
    r"(launching|terminating|detaching|attaching|moving)\b", re.IGNORECASE
)


def parse_transition_time(reason: str) -> str:
    """The time that EC2 writes into a `StateTransitionReason`; empty where there is none."""
    match = _TRANSITION.search(reason)
    if match is None:
        return ""
    try:
        moment = dt.datetime.strptime(f"{match[1]} +0000", "%Y-%m-%d %H:%M:%S %z")
        return format_time(int(moment.timestamp()) * NANOS_PER_SECOND)
    except ValueError:  # a day that does not exist, or before 1970
        return ""


def derive_events(
    *,
    instance_id: str,
    instance: Instance | None,
    activities: Iterable[ScalingActivity],
    snapshots: Iterable[Snapshot],
    streams: Sequence[StreamSummary],
    identity: Mapping[str, str],
) -> Sequence[LifecycleEvent]:
    """Everything that these facts say happened to the instance, in time order."""
    events = [
        *(_instance_events(instance) if instance else ()),
        *(_activity_event(instance_id, activity) for activity in activities),
        *(_snapshot_event(instance_id, snapshot) for snapshot in snapshots),
        *_stream_events(streams),
    ]
    known = {(event.at, event.action, event.subject): event for event in events if event.at}
    return [replace(known[key], identity=identity) for key in sorted(known)]


def _instance_events(instance: Instance) -> Iterable[LifecycleEvent]:
    yield LifecycleEvent(
        at=instance.launched_at,
        instance_id=instance.instance_id,
        action="launched",
        message=f"EC2 started it from {instance.image_id or 'an unnamed image'}"
        + (f" as {instance.instance_type}" if instance.instance_type else ""),
        origin="ec2",
        outcome="success",
        subject=instance.instance_id,
    )
    ended = instance.state in ENDED_STATES
    if ended or instance.state in STOPPED_STATES:
        reason = "; ".join(filter(None, (instance.state_transition_reason, instance.state_reason)))
        yield LifecycleEvent(
            at=parse_transition_time(instance.state_transition_reason),
            instance_id=instance.instance_id,
            action="terminated" if ended else "stopped",
            message=f"EC2 {'terminated' if ended else 'stopped'} it: {reason}",
            origin="ec2",
            outcome="success",
            subject=instance.instance_id,
        )


def _activity_event(instance_id: str, activity: ScalingActivity) -> LifecycleEvent:
    word = _ACTIVITY.match(activity.description)
    why = " ".join(filter(None, (activity.cause, activity.status_message)))
    return LifecycleEvent(
        at=activity.started_at,
        instance_id=instance_id,
        action=word[1].lower() if word else "scaling",
        message=f"{activity.group}: {activity.description} ({activity.status})"
        + (f": {why}" if why else ""),
        origin="autoscaling",
        outcome=_OUTCOMES.get(activity.status, "unknown"),
        subject=activity.activity_id,
    )


def _snapshot_event(instance_id: str, snapshot: Snapshot) -> LifecycleEvent:
    return LifecycleEvent(
        at=snapshot.started_at,
        instance_id=instance_id,
        action="snapshot",
        message=f"EC2 fixed the content of {snapshot.volume_id} as {snapshot.snapshot_id} "
        f"({snapshot.size_gib} GiB)",
        origin="ec2",
        outcome="failure" if snapshot.state == "error" else "success",
        case_id=snapshot.tags.get(CASE_TAG, ""),
        subject=snapshot.snapshot_id,
    )


def _stream_events(streams: Sequence[StreamSummary]) -> Iterable[LifecycleEvent]:
    for stream in streams:
        born_at = document_time(stream.birth) or stream.first_at
        yield LifecycleEvent(
            at=born_at,
            instance_id=stream.instance_id,
            action="birth" if stream.birth else "first sign",
            message=str(stream.birth.get("message") or "Its shipper spoke for the first time"),
            origin="stream",
            subject=stream.stream,
        )
        if stream.closing:
            yield LifecycleEvent(
                at=document_time(stream.closing) or stream.last_at,
                instance_id=stream.instance_id,
                action="closing",
                message=str(stream.closing.get("message") or "Its shipper said goodbye"),
                origin="stream",
                subject=stream.stream,
            )
        elif stream.last_at != born_at:
            yield LifecycleEvent(
                at=stream.last_at,
                instance_id=stream.instance_id,
                action="last sign",
                message="Its shipper's last sign so far; it has said no goodbye",
                origin="stream",
                subject=stream.stream,
            )


def document_time(fields: Mapping[str, object]) -> str:
    """When a vitals document happened; empty where it does not say."""
    return str(fields.get("@timestamp") or fields.get("event.created") or "")
