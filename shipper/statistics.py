"""What a shipper has done, as one immutable snapshot; and how `status.json` and vitals say it.

In: the sources' counters and the output's state. Out: `Statistics`, whose sums hold: what was read
is acknowledged, pending, dropped or dead-lettered. It must never count a byte twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final, Literal

STATUS_SCHEMA: Final = "afterimage.shipper.status"
STATUS_VERSION: Final = 1

OutputState = Literal["starting", "ok", "retrying"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Bytes over all sources of a stream: read = acked + pending + dropped + dead_lettered."""

    read_bytes: int
    acked_bytes: int
    pending_bytes: int
    dropped_bytes: int
    dead_lettered_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatistics:
    """One source that is not closed."""

    source: int
    path: str
    size: int
    read: int
    acked: int
    """Everything below it is stored or dead-lettered."""
    error: str = ""


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
    counters: Counters
    sources: tuple[SourceStatistics, ...]
    unreadable: dict[str, str]
    """Paths that can't be read, and why."""


def sum_counters(
    sources: Iterable[tuple[int, int, int]], *, closed_acked: int, closed_dead_lettered: int
) -> Counters:
    """The counters of sources, each (read, settled, dead-lettered), and of those closed before.

    *Settled* bytes are acknowledged or dead-lettered.
    """
    read = settled = dead = 0
    for source_read, source_settled, source_dead in sources:
        read += source_read
        settled += source_settled
        dead += source_dead
    return Counters(
        read_bytes=read + closed_acked + closed_dead_lettered,
        acked_bytes=settled - dead + closed_acked,
        pending_bytes=read - settled,
        dropped_bytes=0,
        dead_lettered_bytes=dead + closed_dead_lettered,
    )


def format_status(statistics: Statistics) -> str:
    """The text of `status.json`."""
    values = {name: getattr(statistics, name) for name in Statistics.__slots__}
    values["counters"] = asdict(statistics.counters)
    # not asdict: thousands of sources each second
    values["sources"] = [
        {name: getattr(source, name) for name in SourceStatistics.__slots__}
        for source in statistics.sources
    ]
    value = {"schema": STATUS_SCHEMA, "version": STATUS_VERSION, **values}
    return json.dumps(value, separators=(",", ":")) + "\n"
