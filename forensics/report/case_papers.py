"""What a case's own papers say: custody log, journal, outcome, snapshots; else what others tell.

In: the evidence store, a case id, the lifecycle. Out: the report's rows of them. A case whose
papers are not there is said to be unread: it must never look as if nothing had been done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from forensics.errors import ForensicsError
from forensics.evidence.custody import CustodyEntry, CustodyLog
from forensics.evidence.ports import EvidenceStore
from forensics.ledger.model import InstanceRow, LifecycleEvent, SnapshotRow
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
from forensics.report.model import CustodyRow, EvidenceRow, JournalRow

# Both as the lifecycle words them: quarantine/announce.py and ledger/derive.py.
_OUTCOME: Final = re.compile(
    r"quarantine: (?P<outcome>complete|degraded|lost)(?: \((?P<reasons>.*)\))?", re.DOTALL
)
_SNAPSHOT: Final = re.compile(
    r"EC2 fixed the content of (?P<volume>\S+) as \S+ \((?P<gib>\d+) GiB\)"
)


class CasePapers:
    """What is known of a case: from its own papers, else from the lifecycle."""

    def __init__(self) -> None:
        self.outcome = ""
        self.reasons: tuple[str, ...] = ()
        self.entries: Sequence[CustodyEntry] = ()
        self.custody: tuple[CustodyRow, ...] = ()
        self.journal: tuple[JournalRow, ...] = ()
        self.register: tuple[EvidenceRow, ...] = ()
        self.unread = ""
        """Why there are no papers of a case that others name; empty: there are, or no case is."""

    @classmethod
    def read(
        cls, evidence: EvidenceStore | None, case_id: str, warnings: list[str], *, where: str
    ) -> CasePapers:
        """The case's papers; one that can't be read or does not verify becomes a warning."""
        papers = cls()
        if not case_id:
            return papers
        if evidence is None:
            papers.unread = "no evidence folder was asked"
            return papers
        said = len(warnings)
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
        if not papers.custody and not papers.journal and len(warnings) == said:
            folder = f"evidence folder {where}" if where else "the evidence folder"
            papers.unread = f"{folder} does not have case {case_id}: give --evidence"
            warnings.append(papers.unread)
        return papers

    def take_lifecycle(self, events: Sequence[LifecycleEvent], case_id: str) -> None:
        """The outcome as the store's lifecycle tells it, where the papers tell none."""
        if self.outcome or not case_id:
            return
        for event in events:
            if event.origin != "quarantine" or event.case_id != case_id:
                continue
            if told := _OUTCOME.fullmatch(event.message):
                self.outcome, reasons = told["outcome"], told["reasons"]
                self.reasons = (reasons,) if reasons else ()


def collect_snapshots(
    row: InstanceRow, papers: CasePapers, events: Sequence[LifecycleEvent]
) -> tuple[SnapshotRow, ...]:
    """What EC2 says of them; those that the custody log remembers; those that the store does."""
    found = {snapshot.snapshot_id: snapshot for snapshot in row.snapshots}
    for entry in papers.entries:
        if "volume_id" in entry.detail and entry.subject not in found:
            found[entry.subject] = SnapshotRow(
                snapshot_id=entry.subject,
                volume_id=str(entry.detail["volume_id"]),
                state="as the custody log has it",
                started_at=str(entry.detail.get("started_at", "")),
                size_gib=_whole(entry.detail.get("size_gib")),
                case_id=row.case_id,
            )
    for event in events:
        told = _SNAPSHOT.fullmatch(event.message) if event.action == "snapshot" else None
        if told and event.subject not in found:
            found[event.subject] = SnapshotRow(
                snapshot_id=event.subject,
                volume_id=told["volume"],
                state="as the store remembers it",
                started_at=event.at,
                size_gib=int(told["gib"]),
                case_id=event.case_id,
            )
    return tuple(found.values())


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


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
