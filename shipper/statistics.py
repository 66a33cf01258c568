"""What a shipper has done, as one immutable snapshot; and how `status.json` and vitals say it.

In: the sources' counters and the output's state. Out: `Statistics`, whose sums hold for each source
and for all: what was read is acknowledged, pending, dropped or dead-lettered. It must never count a
byte twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

STATUS_SCHEMA: Final = "afterimage.shipper.status"
STATUS_VERSION: Final = 1
"""Goes up when a value changes its meaning or goes away; new values leave it as it is."""

OutputState = Literal["starting", "ok", "retrying"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Bytes of a source, or of a whole stream: read = acked + pending + dropped + dead_lettered."""

    read_bytes: int = 0
    acked_bytes: int = 0
    """Stored by the centre."""
    pending_bytes: int = 0
    """Read, and not yet one of the others."""
    dropped_bytes: int = 0
    """Left out by a rule, whose tile the centre has."""
    dead_lettered_bytes: int = 0
    """Refused by the centre, and kept on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatistics:
    """One source that is not closed."""

    source: int
    path: str
    size: int
    read: int
    """An offset, as `size` and `acked` are; of journald they are sequence numbers."""
    acked: int
    """Everything below it is stored, dropped or dead-lettered."""
    error: str = ""
    kind: str = "file"
    """As `SourceRow.kind`."""
    name: str = ""
    """What people call it where that is not its path."""
    counters: Counters = Counters()
    pending_since: str = ""
    """When the oldest of its pending bytes was read, 30 characters; empty: none is, or unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapStatistics:
    """What could not be read, since this run's start."""

    gaps: int = 0
    known_bytes: int = 0
    """Of those gaps whose size is known."""
    truncated_gaps: int = 0
    """Those of the above that a file's truncation made (copytruncate's race)."""
    truncated_bytes_known: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStatistics:
    """What the senders did, since this run's start."""

    requests: int = 0
    """Tries that were answered or given up."""
    failed_requests: int = 0
    """Those of the above after which something had to be sent again."""
    body_bytes: int = 0
    """What went over the network, compressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardStatistics:
    """What the Forward servers did, since this run's start."""

    connections: int = 0
    connections_open: int = 0
    events: int = 0
    """That are on disk."""
    bytes_received: int = 0
    refused: int = 0
    """Messages that were not taken, and connections that were closed for what they sent."""
    duplicates: int = 0
    """Chunks that came again: acknowledged again, not stored again."""
    cut: int = 0
    """Messages that ended in their middle: the client has to send them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the shipper takes of its machine, beside what it may take."""

    in_flight_bytes: int = 0
    in_flight_limit_bytes: int = 0
    spool_bytes: int = 0
    spool_limit_bytes: int = 0
    held_bytes: int = 0
    """Of deleted files that are held open until they are shipped."""
    held_limit_bytes: int = 0
    state_disk_free_bytes: int | None = None
    """What the state folder's file system has left for the shipper's user; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The whole shipper at one moment."""

    stream: str
    run: int
    pid: int
    at: str
    started_at: str
    state: Literal["running", "draining", "stopped"]
    output: OutputState
    last_answer_at: str
    """When the centre last took something, 30 characters; empty: not yet."""
    last_error: str
    """The last one of this run: it may be past, see `output` and `last_error_at`."""
    counters: Counters
    sources: tuple[SourceStatistics, ...]
    unreadable: dict[str, str]
    """Paths that can't be read, and why."""
    failing_since: str = ""
    """Since when the centre takes nothing, 30 characters; empty: it does."""
    last_error_at: str = ""
    """30 characters; empty: there was none."""
    state_disk_full_since: str = ""
    """30 characters; empty: there is room."""
    dead_letters_left: int = 0
    """In `dead-letters.jsonl` now: those that were redriven are not."""
    gaps: GapStatistics = GapStatistics()
    delivery: DeliveryStatistics = DeliveryStatistics()
    usage: Usage = Usage()
    forward: ForwardStatistics | None = None
    """None: no Forward server is configured."""


def count_source(
    *, read_bytes: int, settled_bytes: int, dropped_bytes: int = 0, dead_lettered_bytes: int = 0
) -> Counters:
    """The counters of one source.

    *Settled* is what the shipper is done with: acknowledged, dropped or dead-lettered, the latter
    two being part of it.
    """
    return Counters(
        read_bytes=read_bytes,
        acked_bytes=settled_bytes - dropped_bytes - dead_lettered_bytes,
        pending_bytes=read_bytes - settled_bytes,
        dropped_bytes=dropped_bytes,
        dead_lettered_bytes=dead_lettered_bytes,
    )


def count_closed(*, acked_bytes: int, dropped_bytes: int, dead_lettered_bytes: int) -> Counters:
    """The counters of the sources that are closed: nothing of them is pending."""
    return count_source(
        read_bytes=acked_bytes + dropped_bytes + dead_lettered_bytes,
        settled_bytes=acked_bytes + dropped_bytes + dead_lettered_bytes,
        dropped_bytes=dropped_bytes,
        dead_lettered_bytes=dead_lettered_bytes,
    )


def add_counters(counters: Iterable[Counters]) -> Counters:
    """The sum, in which the equation holds because it does in each."""
    read = acked = pending = dropped = dead = 0
    for one in counters:
        read += one.read_bytes
        acked += one.acked_bytes
        pending += one.pending_bytes
        dropped += one.dropped_bytes
        dead += one.dead_lettered_bytes
    return Counters(
        read_bytes=read,
        acked_bytes=acked,
        pending_bytes=pending,
        dropped_bytes=dropped,
        dead_lettered_bytes=dead,
    )


def format_status(statistics: Statistics) -> str:
    """The text of `status.json`."""
    values = _members(statistics)
    for name in ("counters", "gaps", "delivery", "usage"):
        values[name] = _members(values[name])
    values["forward"] = asdict(statistics.forward) if statistics.forward else None
    values["sources"] = [
        {**_members(source), "counters": _members(source.counters)} for source in statistics.sources
    ]
    value = {"schema": STATUS_SCHEMA, "version": STATUS_VERSION, **values}
    return json.dumps(value, separators=(",", ":")) + "\n"


def _members(value: Any) -> dict[str, Any]:
    """A dataclass's members; not `asdict`, which copies: thousands of sources each second."""
    names: Sequence[str] = value.__slots__
    return {name: getattr(value, name) for name in names}
