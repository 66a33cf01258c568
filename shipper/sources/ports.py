"""What the sources ask of the rest of the agent, and tell it.

In: what the agent gives: a journal, a clock, who makes builders. Out: rows that are durable, and
gaps, to be told to the centre. It must never know a source: every source knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from shipper.ports import Clock
from shipper.sources.followed import SourceNumbers
from shipper.wire.builder import RecordBuilder
from shipper.wire.state import Entry, SourceRow
from shipper.wire.transforms import Drop
from shipper.wire.vitals import Vital


class JournalWriter(Protocol):
    """Where entries become durable."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Return once they are; StateError: none is."""


GapCause = Literal["truncated", "replaced", "vanished", "held", "unreadable", "journal"]
"""What took the bytes: the file was truncated; it has other bytes, and nobody held it open to know
why; it was deleted before it was read, or while it was held and took too much room; it can't be
opened; the journal has them no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Bytes that were not read, or may not have been (`end` equal to `start`: not known)."""

    source: int | None
    path: str
    start: int
    end: int
    cause: GapCause
    reason: str
    """The cause in words, and what is known beside it."""
    next_step: str = ""
    """What to do about it, where something can be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePorts:
    """What the sources ask of the rest of the agent."""

    journal: JournalWriter
    clock: Clock
    make_builder: Callable[[SourceRow], RecordBuilder]
    on_row: Callable[[SourceRow], None]
    """A row is durable: tell the centre."""
    on_gap: Callable[[Gap], None]
    make_drop: Callable[[SourceRow, Drop], Vital]
    numbers: SourceNumbers
