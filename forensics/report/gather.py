"""Gathers a report: asks the store and the evidence folder, and freezes what they say.

In: a store (or none), the instance's ledger row, the evidence. Out: a `ReportModel`. Bounded: of a
long log it takes the last records, a histogram and counts. What can't be read becomes a warning in
the report, never an empty section without a word.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from forensics import __version__
from forensics.errors import ForensicsError
from forensics.evidence.custody import CustodyEntry, CustodyLog
from forensics.evidence.ports import EvidenceStore
from forensics.findings.finding import RECORDS_LOOKED_AT, Observed
from forensics.findings.observed import read_last, read_observed
from forensics.findings.rank import find_all
from forensics.ledger.lifecycle import event_id
from forensics.ledger.model import InstanceRow, SnapshotRow
from forensics.quarantine.entries import (
    Answered,
    Failed,
    Intended,
    Joined,
    JournalEntry,
    RunEnded,
    StepEnded,
)
from forensics.quarantine.journal import Journal
from forensics.report.completeness import read_completeness
from forensics.report.model import (
    BarRow,
    CustodyRow,
    EvidenceRow,
    JournalRow,
    LastWords,
    PathRow,
    PeerRow,
    ReportModel,
    Scope,
    TimelineRow,
    Verdict,
)
from forensics.store.protocol import Cursor, Document, Query, Store
from shipper.wire.times import format_time

TIMELINE_RECORDS: Final = 300
"""Log records that the timeline holds beside all events: the last ones."""
LAST_LINES: Final = 20
LAST_WORDS_PATHS: Final = 20
BARS: Final = 60
_PEERS_LIMIT: Final = 50
_ALWAYS: Final = (
    (
        "What a program had not yet written to its file, and what the shipper had not yet read, "
        "died with the machine's memory."
    ),
    (
        "A line's own time is its program's claim; where it has none, the time of reading stands "
        "in its place. Clocks of different machines may differ."
    ),
    (
        f"The findings look at the last {RECORDS_LOOKED_AT:,} records and the whole lifecycle; "
        "they name what the evidence says, which need not be the root cause."
    ),
)
_SEVERE: Final = frozenset(("error", "critical"))


async def gather_report(
    store: Store | None,
    row: InstanceRow,
    evidence: EvidenceStore | None,
    *,
    peers: Sequence[InstanceRow] = (),
    warnings: Sequence[str] = (),
    account: str = "",
    now: str = "",
) -> ReportModel:
    """The report of one instance.

    Args:
        store: where its logs are; None: only the ledger speaks.
        row: its row in the ledger.
        evidence: where journals and custody logs are; None: not asked.
        peers: rows among which those of the same image and group are taken.
        warnings: what could not be asked while the ledger was loaded.
        account: account, region and caller, for the reader.
        now: when it is made; empty: the clock's time.
    """
    now = now or format_time(time.time_ns())
    observed = await read_observed(store, row, now=now)
    said = list(warnings)
    completeness = await read_completeness(store, row) if store is not None else ()
    papers = _Papers.read(evidence, row.case_id, said)
    return ReportModel(
        case_id=row.case_id,
        scope=await _scope(store, observed, account),
        instance=row,
        findings=find_all(observed),
        completeness=completeness,
        timeline=_timeline(observed),
        timeline_left_out=max(0, row.records - TIMELINE_RECORDS),
        histogram=await _histogram(store, row),
        last_words=await _last_words(store, row, completeness),
        quarantine=papers.outcome,
        quarantine_reasons=papers.reasons,
        snapshots=_snapshots(row, papers),
        evidence=papers.register,
        custody=papers.custody,
        journal=papers.journal,
        peers=_peers(row, peers),
        limits=_limits(store, row, completeness, papers),
        warnings=tuple(said),
        aws_says=_aws_says(row),
    )


async def _scope(store: Store | None, observed: Observed, account: str) -> Scope:
    row = observed.instance
    return Scope(
        generated_at=observed.now,
        tool_version=__version__,
        store=(await store.info()).location if store is not None else "",
        account=account,
        since=row.first_seen_at or row.launched_at,
        until=row.ended_at or row.last_sign_at or observed.now,
        records_looked_at=min(RECORDS_LOOKED_AT, len(observed.records)),
        records=row.records,
    )


async def _histogram(store: Store | None, row: InstanceRow) -> tuple[BarRow, ...]:
    if store is None:
        return ()
    buckets = await store.histogram(Query(instance_ids=frozenset((row.instance_id,))), BARS)
    return tuple(
        BarRow(
            start=bucket.start,
            count=bucket.count,
            errors=sum(count for level, count in bucket.by_level.items() if level in _SEVERE),
        )
        for bucket in buckets
    )


def _timeline(observed: Observed) -> tuple[TimelineRow, ...]:
    """Records and events in the order of the store's pages, which is the order of `logs`."""
    placed = [
        (
            Cursor(event.at, id=event_id(event)),
            TimelineRow(
                at=event.at,
                origin=event.origin,
                action=event.action,
                text=event.message,
                simulated=event.simulated,
            ),
        )
        for event in observed.lifecycle
    ]
    placed += [
        (document.cursor, _record_row(document))
        for document in observed.records[-TIMELINE_RECORDS:]
    ]
    return tuple(row for _, row in sorted(placed, key=lambda place: place[0]))


def _record_row(document: Document) -> TimelineRow:
    return TimelineRow(
        at=document.timestamp,
        origin=document.path or document.index,
        action=document.level,
        text=document.message,
        id=document.id,
    )


async def _last_words(
    store: Store | None, row: InstanceRow, completeness: Sequence[PathRow]
) -> tuple[LastWords, ...]:
    if store is None:
        return ()
    only = frozenset((row.instance_id,))
    words = []
    for path in list(dict.fromkeys(source.path for source in completeness))[:LAST_WORDS_PATHS]:
        query = Query(instance_ids=only, paths=frozenset((path,)))
        documents = await read_last(store, query, LAST_LINES)
        if documents:
            words.append(LastWords(path=path, lines=tuple(map(_record_row, documents))))
    return tuple(sorted(words, key=lambda said: (said.lines[-1].at, said.path), reverse=True))


def _snapshots(row: InstanceRow, papers: _Papers) -> tuple[SnapshotRow, ...]:
    """What EC2 says of them; and those that only the custody log remembers."""
    known = {snapshot.snapshot_id for snapshot in row.snapshots}
    remembered = [
        SnapshotRow(
            snapshot_id=entry.subject,
            volume_id=str(entry.detail["volume_id"]),
            state="as the custody log has it",
            started_at=str(entry.detail.get("started_at", "")),
            size_gib=_whole(entry.detail.get("size_gib")),
            case_id=row.case_id,
        )
        for entry in papers.entries
        if "volume_id" in entry.detail and entry.subject not in known
    ]
    return (*row.snapshots, *remembered)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _peers(row: InstanceRow, rows: Sequence[InstanceRow]) -> tuple[PeerRow, ...]:
    same = [
        other
        for other in rows
        if other.instance_id != row.instance_id
        and (row.group or row.image_id)
        and (other.group, other.image_id) == (row.group, row.image_id)
    ]
    return tuple(
        PeerRow(
            instance_id=other.instance_id,
            state=str(other.state),
            launched_at=other.launched_at,
            last_sign_at=other.last_sign_at,
            availability_zone=other.availability_zone,
        )
        for other in same[:_PEERS_LIMIT]
    )


def _limits(
    store: Store | None, row: InstanceRow, completeness: Sequence[PathRow], papers: _Papers
) -> tuple[str, ...]:
    limits = [*_ALWAYS]
    if store is None:
        limits.append("No store was asked: logs, completeness and last words are not in here.")
    if any(source.verdict is Verdict.OPEN for source in completeness):
        limits.append(
            "Files marked `not closed` have no known end: no closing record came, and a snapshot "
            "of the disk may hold more."
        )
    if not _snapshots(row, papers):
        limits.append("No snapshot of its disks is known: what was not shipped can't be recovered.")
    if "ec2" not in row.sources:
        limits.append("EC2 says nothing of it (any more): its state rests on what was stored.")
    return tuple(limits)


def _aws_says(row: InstanceRow) -> Mapping[str, str]:
    """Each AWS call's answer on one line, cut where it is long."""
    return {
        f"AWS {name}": json.dumps(answer, sort_keys=True, default=str)[:400]
        for name, answer in sorted(row.raw.items())
    }


class _Papers:
    """What the evidence folder holds of a case."""

    def __init__(self) -> None:
        self.outcome = ""
        self.reasons: tuple[str, ...] = ()
        self.entries: Sequence[CustodyEntry] = ()
        self.custody: tuple[CustodyRow, ...] = ()
        self.journal: tuple[JournalRow, ...] = ()
        self.register: tuple[EvidenceRow, ...] = ()

    @classmethod
    def read(cls, evidence: EvidenceStore | None, case_id: str, warnings: list[str]) -> _Papers:
        """The case's papers; one that can't be read or does not verify becomes a warning."""
        papers = cls()
        if evidence is None or not case_id:
            return papers
        try:
            papers.entries = entries = CustodyLog(evidence, case_id).read()
            papers.custody = tuple(
                CustodyRow(
                    n=entry.n,
                    at=entry.at,
                    who=entry.who,
                    action=entry.action,
                    subject=entry.subject,
                    detail=_flat(entry.detail),
                    digest=entry.digest,
                )
                for entry in entries
            )
            papers.register = tuple(_register(entry) for entry in entries if _is_kept(entry))
        except ForensicsError as error:
            warnings.append(f"the custody log: {error}")
        try:
            journal = Journal(evidence, case_id)
            papers.journal = tuple(map(_journal_row, journal.read()))
            outcome = journal.last_outcome()
            if outcome is not None:
                papers.outcome, papers.reasons = outcome.outcome, outcome.reasons
        except ForensicsError as error:
            warnings.append(f"the quarantine's journal: {error}")
        return papers


def _is_kept(entry: CustodyEntry) -> bool:
    """Whether the entry tells of a thing that is kept, not of an act alone."""
    return bool(entry.subject) and ("sha256" in entry.detail or "volume_id" in entry.detail)


def _register(entry: CustodyEntry) -> EvidenceRow:
    detail = entry.detail
    size = f"{detail['size_bytes']} bytes" if "size_bytes" in detail else ""
    return EvidenceRow(
        id=entry.subject,
        kind=entry.action,
        size=size or (f"{detail['size_gib']} GiB" if "size_gib" in detail else ""),
        digest=str(detail.get("sha256", "")),
        at=entry.at,
        note=entry.purpose,
    )


def _journal_row(entry: JournalEntry) -> JournalRow:
    """What was meant or came of it, as a row: no outcome is ever empty."""
    step = ""
    match entry:
        case Joined():
            what, outcome, detail = "a run of the case", "joined", f"run={entry.run}"
        case Intended():
            step, what = entry.step, entry.api
            outcome, detail = "intended", _flat(entry.parameters)
        case Answered():
            step, what = entry.step, entry.api
            outcome, detail = "answered", _flat(entry.detail)
        case Failed():
            step, what = entry.step, entry.api
            outcome, detail = "failed", entry.reason
        case StepEnded():
            step, what = entry.step, entry.title
            outcome, detail = entry.outcome, entry.message
        case RunEnded():
            what, outcome, detail = "the quarantine", entry.outcome, "; ".join(entry.reasons)
    return JournalRow(at=entry.at, step=step, what=what, outcome=outcome, detail=detail)


def _flat(detail: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in detail.items())
