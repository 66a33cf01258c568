"""A finding and what it rests on: a statement, how sure it is, and the documents that show it.

Pure values. A finding without evidence does not exist: what can't be quoted is not claimed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from forensics.ledger.model import InstanceRow, InstanceState, LifecycleEvent
from forensics.store.protocol import Document

RECORDS_LOOKED_AT: Final = 2_000
"""How many of an instance's last log records the findings see; lifecycle events they see all."""

QUOTE_LIMIT: Final = 400
"""Characters of a quote; the document id leads to the rest."""


class Confidence(StrEnum):
    """How sure a finding is, in the word that a person reads."""

    CERTAIN = "certain"
    """The source says exactly this of itself: the kernel's OOM killer, EC2's own state reason."""
    LIKELY = "likely"
    """It was said shortly before the end, and nothing speaks against it."""
    POSSIBLE = "possible"
    """It was said, but long before the end, or it can mean something else too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One piece of evidence: where it is stored, when it was said, and what it says."""

    id: str
    """The document's `_id`; empty where AWS said it and no document holds it."""
    at: str
    """30-character UTC time."""
    where: str
    """A log's path, or who said it: ec2, autoscaling, quarantine, stream."""
    quote: str
    """Its words, cut to `QUOTE_LIMIT`. Hostile text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What happened, as far as the evidence says."""

    name: str
    """The module that found it, e.g. `memory_exhausted`."""
    title: str
    """Three or four words."""
    statement: str
    """One sentence for a person. May quote hostile text."""
    confidence: Confidence
    weight: int
    """Rank: the heaviest finding is called the cause."""
    evidence: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the findings look at: one instance's row, its last records and its lifecycle."""

    instance: InstanceRow
    records: Sequence[Document] = ()
    """The last `RECORDS_LOOKED_AT` log records, in time order."""
    lifecycle: Sequence[LifecycleEvent] = ()
    """All that AWS, the quarantine and the streams say, in time order."""
    heartbeat: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the newest heartbeat; empty: none came."""
    heartbeat_id: str = ""
    now: str = ""
    """When this was asked, 30 characters: a pure function has no clock."""

    @property
    def ended(self) -> bool:
        """Whether the instance no longer does its work."""
        return self.instance.state in ENDED


ENDED: Final = frozenset(
    (InstanceState.TERMINATED, InstanceState.QUARANTINED, InstanceState.STOPPED)
)


def quote_of(message: str) -> str:
    """A message's words; of several lines the first and the last."""
    if len(message) <= QUOTE_LIMIT and "\n" not in message:
        return message
    half = QUOTE_LIMIT // 2
    first, last = message.partition("\n")[0], message.rstrip().rpartition("\n")[2].strip()
    if first == message.rstrip():  # one line
        return message[:QUOTE_LIMIT]
    return f"{first[:half]} … {last[:half]}"


def record_reference(document: Document) -> Reference:
    """A stored log record as evidence."""
    return Reference(
        id=document.id,
        at=document.timestamp,
        where=document.path or document.index,
        quote=quote_of(document.message),
    )


def event_reference(event: LifecycleEvent) -> Reference:
    """A lifecycle event as evidence."""
    origin = f"{event.origin} (simulated)" if event.simulated else event.origin
    return Reference(id="", at=event.at, where=origin, quote=event.message[:QUOTE_LIMIT])
