"""The report as a value: every fact that a rendering may print, frozen, sorted, in UTC.

Made by `gather.py`, rendered by `markdown.py` and `html.py`. Texts in it are as they were stored or
said, hostile ones included: a rendering must pass each through its own escaper. Judgement is never
made here; it has blanks that a person fills.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from forensics.findings.finding import Finding
from forensics.ledger.model import InstanceRow, SnapshotRow

SCHEMA: Final = "afterimage.report/1"


class Verdict(StrEnum):
    """What the stored bytes of one path add up to."""

    COMPLETE = "complete"
    """Every byte is stored, and the shipper said that there is no more."""
    OPEN = "not closed"
    """No byte that anyone spoke of is missing; nothing tells what was written after the last."""
    NUMBERED = "no number missing"
    """Of a journal: every number is stored or declared, and the shipper said there is no more."""
    MISSING = "missing"
    """Bytes that were there are not stored; the holes name them."""
    ALTERED = "altered"
    """A stored record is not the bytes that its id was made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoleRow:
    """Bytes `[start, end)` of a source that are not stored; start = end: how many is unknown."""

    source: str
    """`stream-n`, or empty."""
    start: int
    end: int
    reason: str
    unit: str = "bytes"
    """`entries`: the range is one of a journal's numbers, and not all of them need exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRow:
    """What the shipper left out of a path by one rule, and declared."""

    reason: str
    records: int
    size_bytes: int
    """0 of a journal, which counts no bytes."""
    places: int
    """In how many places of the path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntries:
    """What of a journal is stored."""

    count: int
    first: int
    """Its number."""
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRow:
    """One path's completeness: the files that had that path, one after the other."""

    path: str
    files: int
    """More than one: it was rotated, or is a spool of so many segments."""
    sources: tuple[str, ...]
    """`stream-n` of each source that read them."""
    stored_bytes: int
    verdict: Verdict
    holes: tuple[HoleRow, ...] = ()
    problem: str = ""
    """What does not verify; empty: everything does."""
    kind: str = "file"
    """What its bytes are: `afterimage.kind` of its sources."""
    dropped: tuple[DropRow, ...] = ()
    """By reason: declared, so neither stored nor missing."""
    masked_records: int = 0
    masked_bytes: int = 0
    """Of the stored ones: overwritten before they were shipped."""
    journal: JournalEntries | None = None
    """None: it is a file, or a spool of them."""

    @property
    def missing_bytes(self) -> int:
        """How many bytes the holes hold together, as far as their size is known."""
        return sum(hole.end - hole.start for hole in self.holes if hole.unit == "bytes")

    @property
    def dropped_bytes(self) -> int:
        """How many bytes rules left out, as far as they are counted."""
        return sum(drop.size_bytes for drop in self.dropped)

    @property
    def dropped_records(self) -> int:
        """How many records rules left out."""
        return sum(drop.records for drop in self.dropped)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """A record or an event, at one time."""

    at: str
    origin: str
    """A log's path, or who says so."""
    action: str
    """`log.level` of a record, the action of an event."""
    text: str
    id: str = ""
    """The record's `_id`; empty for an event."""
    simulated: bool = False

    @property
    def is_event(self) -> bool:
        """Whether it is something that happened to the instance, not a line that it wrote."""
        return not self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRow:
    """A bar of the histogram over the instance's whole life."""

    start: str
    count: int
    errors: int
    """Of them at level error or critical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWords:
    """The last lines of one path."""

    path: str
    lines: tuple[TimelineRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRow:
    """One object of the evidence register."""

    id: str
    kind: str
    size: str
    digest: str
    at: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyRow:
    """One line of the custody log."""

    n: int
    at: str
    who: str
    action: str
    subject: str
    detail: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """One entry of the quarantine's journal, failures included."""

    at: str
    step: str
    what: str
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRow:
    """An instance of the same image and group."""

    instance_id: str
    state: str
    launched_at: str
    last_sign_at: str
    availability_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What was asked, of what, by which version: so that somebody else can ask again."""

    generated_at: str
    tool_version: str
    store: str
    """Location without secrets; empty: no store was asked."""
    account: str
    """Account, region and caller; empty: no account was asked."""
    since: str
    until: str
    records_looked_at: int
    records: int
    """How many the store holds of this instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportModel:
    """A whole report."""

    case_id: str
    """Empty: no case was opened."""
    scope: Scope
    instance: InstanceRow
    findings: tuple[Finding, ...]
    """The first is the cause."""
    completeness: tuple[PathRow, ...]
    timeline: tuple[TimelineRow, ...]
    timeline_left_out: int
    """Records of the time range that the timeline leaves out."""
    histogram: tuple[BarRow, ...]
    last_words: tuple[LastWords, ...]
    quarantine: str = ""
    """complete, degraded or lost; empty: none ran to its end."""
    quarantine_reasons: tuple[str, ...] = ()
    """Why it is not complete."""
    quarantine_unread: str = ""
    """Why the case's own papers were not read; the outcome is then the lifecycle's, or unknown."""
    snapshots: tuple[SnapshotRow, ...] = ()
    evidence: tuple[EvidenceRow, ...] = ()
    custody: tuple[CustodyRow, ...] = ()
    journal: tuple[JournalRow, ...] = ()
    peers: tuple[PeerRow, ...] = ()
    limits: tuple[str, ...] = ()
    """What this method can't know, and what was not captured, with the reason."""
    warnings: tuple[str, ...] = ()
    """What could not be asked."""
    aws_says: Mapping[str, str] = field(default_factory=dict)
    """Facts as AWS states them, by name."""

    @property
    def cause(self) -> Finding | None:
        """The heaviest finding; None: no sign of a failure."""
        return self.findings[0] if self.findings else None

    @property
    def missing_bytes(self) -> int:
        """Bytes missing from all paths together, as far as their number is known."""
        return sum(row.missing_bytes for row in self.completeness)

    @property
    def stored_bytes(self) -> int:
        """Bytes stored of all paths together."""
        return sum(row.stored_bytes for row in self.completeness)

    @property
    def dropped_bytes(self) -> int:
        """Bytes that rules left out of all paths together."""
        return sum(row.dropped_bytes for row in self.completeness)

    @property
    def dropped_records(self) -> int:
        """Records that rules left out of all paths together."""
        return sum(row.dropped_records for row in self.completeness)

    @property
    def numbered_sources(self) -> int:
        """Journals: counted by number, not by byte."""
        return sum(row.verdict is Verdict.NUMBERED for row in self.completeness)

    @property
    def open_sources(self) -> int:
        """Paths whose end nobody knows."""
        return sum(row.verdict is Verdict.OPEN for row in self.completeness)

    @property
    def broken_sources(self) -> int:
        """Paths with holes, or with records that were altered."""
        return sum(row.verdict in BROKEN for row in self.completeness)


BROKEN: Final = frozenset((Verdict.MISSING, Verdict.ALTERED))

BLANKS: Final = (
    ("Impact", "Who noticed what, from when to when, in numbers."),
    ("Detection", "What told us, and what should have told us earlier."),
    ("Root cause", "Why it could happen. The cause above is what the evidence says, no more."),
    ("Other explanations", "What else would leave the same evidence, and what speaks against it."),
    ("Actions", "What changes, who does it, by when."),
)
"""Judgement: a title and what belongs there. A report has them empty."""
