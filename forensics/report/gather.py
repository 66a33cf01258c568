"""Gathers a report: asks the store and the evidence folder, and freezes what they say.

In: a store (or none), the instance's ledger row, the evidence. Out: a `ReportModel`. Bounded: of a
long log it takes the last records, a histogram and counts. What can't be read becomes a warning in
the report, never an empty section without a word.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Final

from forensics import __version__
from forensics.evidence.ports import EvidenceStore
from forensics.findings.finding import RECORDS_LOOKED_AT, Observed
from forensics.findings.observed import read_last, read_observed
from forensics.findings.rank import find_all
from forensics.ledger.lifecycle import event_id
from forensics.ledger.model import InstanceRow
from forensics.report.case_papers import CasePapers, collect_snapshots
from forensics.report.completeness import read_completeness
from forensics.report.model import (
    BarRow,
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
    evidence_location: str = "",
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
        evidence_location: where the evidence is, for the reader.
        now: when it is made; empty: the clock's time.
    """
    now = now or format_time(time.time_ns())
    observed = await read_observed(store, row, now=now)
    said = list(warnings)
    completeness = await read_completeness(store, row) if store is not None else ()
    papers = CasePapers.read(evidence, row.case_id, said, where=evidence_location)
    papers.take_lifecycle(observed.lifecycle, row.case_id)
    snapshots = collect_snapshots(row, papers, observed.lifecycle)
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
        quarantine_unread=papers.unread,
        snapshots=snapshots,
        evidence=papers.register,
        custody=papers.custody,
        journal=papers.journal,
        peers=_peers(row, peers),
        limits=_limits(store, row, completeness, has_snapshots=bool(snapshots)),
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
    store: Store | None,
    row: InstanceRow,
    completeness: Sequence[PathRow],
    *,
    has_snapshots: bool,
) -> tuple[str, ...]:
    limits = [*_ALWAYS]
    if store is None:
        limits.append("No store was asked: logs, completeness and last words are not in here.")
    if any(source.verdict is Verdict.OPEN for source in completeness):
        limits.append(
            "Files marked `not closed` have no known end: no closing record came, and a snapshot "
            "of the disk may hold more."
        )
    if not has_snapshots:
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
