"""The ledger's values: an instance's row, its snapshots, and an event of its life.

Pure values; every time is the wire's 30-character UTC text (shipper/wire/times.py), empty where it
is not known. Nothing here asks AWS or a store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from forensics.ports import CallerIdentity
from forensics.store.protocol import StreamSummary


class InstanceState(StrEnum):
    """Where an instance stands, as a person would say it."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    """Stopped or stopping, and not by a quarantine."""
    QUARANTINED = "quarantined"
    """A quarantine has claimed it: being set aside, or shelved."""
    TERMINATED = "terminated"
    """EC2 says so, or answers and no longer knows the id (it forgets after about an hour)."""
    UNKNOWN = "unknown"
    """No account was asked; only the streams speak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """An EBS snapshot of one of the instance's volumes."""

    snapshot_id: str
    volume_id: str
    state: str
    """EC2's word: pending, completed, error."""
    started_at: str
    size_gib: int
    case_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent:
    """Something that AWS, the quarantine or a stream did or said at one time."""

    at: str
    instance_id: str
    action: str
    """A word or two: launched, terminated, protect, snapshot, birth, closing."""
    message: str
    """One sentence for a person. May quote hostile text."""
    origin: str
    """Who says so: ec2, autoscaling, quarantine, stream, or demo."""
    outcome: str = ""
    """ECS `event.outcome`: success, failure or unknown; empty where it does not apply."""
    simulated: bool = False
    """True where a demo did in AWS's place what moto does not do by itself."""
    case_id: str = ""
    subject: str = ""
    """What tells it from another of the same time and action: a snapshot's or an activity's id."""
    identity: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Image, group, region … by ECS name, so that the ledger knows them after EC2 forgot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """One instance, merged from everything that mentions it."""

    instance_id: str
    state: InstanceState
    state_reason: str
    """Why we say so, with its source: "EC2: Client.UserInitiatedShutdown …"."""
    image_id: str = ""
    group: str = ""
    """Auto Scaling group, also after the instance left it."""
    instance_type: str = ""
    region: str = ""
    availability_zone: str = ""
    account_id: str = ""
    private_ip: str = ""
    launched_at: str = ""
    ended_at: str = ""
    first_seen_at: str = ""
    last_sign_at: str = ""
    """Last sign of life of any stream (heartbeats count)."""
    last_word_at: str = ""
    last_word: str = ""
    """Its last log line. Hostile text."""
    records: int = 0
    closed: bool = False
    """Whether the newest stream said goodbye (a closing document after its newest birth)."""
    case_id: str = ""
    streams: Sequence[StreamSummary] = ()
    snapshots: Sequence[SnapshotRow] = ()
    events: Sequence[LifecycleEvent] = ()
    """Derived from the facts above, in time order; the store's lifecycle documents come beside."""
    sources: Sequence[str] = ()
    """Who mentions it: ec2, autoscaling, stream, lifecycle, snapshots."""
    raw: Mapping[str, Any] = field(default_factory=dict)
    """What each AWS call said of it, by call name, JSON-safe."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """All rows, and what could not be asked."""

    rows: Sequence[InstanceRow]
    """Newest sign or launch first."""
    warnings: Sequence[str] = ()
    """Each says which source did not answer and what the rows therefore lack."""
    asked: Sequence[str] = ()
    """Who answered: `the store`, `AWS`."""
    caller: CallerIdentity | None = None
    """Who asked which account; without an id where STS did not answer; None: nobody asked AWS."""
