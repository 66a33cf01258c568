"""Sources and sessions that keep every promise of the real ones, over made-up events.

`VirtualStore` pages through any number of events that it works out when asked, and counts what it
was asked; `FakeSession` serves a ledger, findings and a report that a test gives it.
"""

from __future__ import annotations

import asyncio
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from forensics.errors import ForensicsError
from forensics.findings.finding import Finding
from forensics.ledger.model import InstanceRow, InstanceState, Ledger, SnapshotRow
from forensics.report.model import ReportModel, Scope
from forensics.store.protocol import Bucket, Cursor, Document, Page, Query
from forensics.tui.pager import EventSource
from shipper.wire.times import format_time, parse_time

START = "2026-01-03T00:00:00.000000000Z"
STREAM = "0123456789abcdef"
ERROR_EVERY = 10_000
WARNING_EVERY = 1_000
NEEDLE_EVERY = 250_000


@dataclass
class VirtualStore:
    """`count` events, `step_nanos` apart; every 10,000th an error, every 1,000th a warning."""

    size: int
    step_nanos: int = 10_000_000
    pages: int = 0
    documents_given: int = 0
    questions: list[str] = field(default_factory=list)
    error: Exception | None = None
    gate: asyncio.Event | None = None
    """Set: every answer waits for it."""

    def document(self, number: int) -> Document:
        """The event of that number."""
        at = format_time(parse_time(START) + number * self.step_nanos)
        needle = " needle" if number % NEEDLE_EVERY == 7 else ""
        message = f"event {number} of the virtual log{needle}"
        data = f"{message}\n".encode()
        offset = number * 100
        document_id = f"{STREAM}-1-{offset}-{len(data)}-{zlib.crc32(data):08x}"
        fields = {
            "@timestamp": at, "event.created": at, "message": message,
            "cloud.instance.id": "i-0123456789abcdef0", "log.file.path": "/var/log/app.log",
            "log.offset": offset, "log.length": len(data),
        }  # fmt: skip
        level = "error" if number % ERROR_EVERY == 5 else ""
        level = level or ("warn" if number % WARNING_EVERY == 3 else "")
        if level:
            fields["log.level"] = level
        return Document(document_id, "afterimage-logs-2026.01.03", fields)

    def numbers(self, query: Query) -> range:
        """The numbers of the events that a query finds."""
        if query.match:
            return range(7, self.size, NEEDLE_EVERY) if query.match == "needle" else range(0)
        if query.levels == {"warn"}:
            return range(3, self.size, WARNING_EVERY)
        if query.levels:
            return range(5, self.size, ERROR_EVERY)
        if "logs" not in query.families or (query.paths and "/var/log/app.log" not in query.paths):
            return range(0)
        if query.since:
            return range(self._at_or_after(query.since), self._at_or_after(query.until) + 1)
        return range(self.size)

    def _at_or_after(self, at: str) -> int:
        number = -(-(parse_time(at) - parse_time(START)) // self.step_nanos)
        return max(0, min(self.size, number))

    async def _answer(self, question: str) -> None:
        self.questions.append(question)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error

    async def page(
        self,
        query: Query,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 500,
    ) -> Page:
        """See `Store.page`."""
        await self._answer("page")
        self.pages += 1
        numbers = self.numbers(query)

        def key(number: int) -> Cursor:
            return self.document(number).cursor

        if before is not None:
            stop = bisect_left(numbers, before, key=key)
            chosen = numbers[max(0, stop - limit) : stop]
            more = stop > limit
        else:
            start = 0 if after is None else bisect_right(numbers, after, key=key)
            chosen = numbers[start : start + limit]
            more = len(numbers) > start + limit
        self.documents_given += len(chosen)
        return Page([self.document(number) for number in chosen], more)

    async def count(self, query: Query) -> int:
        """See `Store.count`."""
        await self._answer("count")
        return len(self.numbers(query))

    async def histogram(self, query: Query, buckets: int) -> Sequence[Bucket]:
        """See `Store.histogram`."""
        await self._answer("histogram")
        numbers = self.numbers(query)
        if not numbers:
            return []
        width = max(1, -(-self.size // buckets))
        starts = range(0, self.size, width)
        return [
            Bucket(
                self.document(start).timestamp,
                bisect_left(numbers, start + width) - bisect_left(numbers, start),
                {"error": len(range(start, min(start + width, self.size), ERROR_EVERY))},
            )
            for start in starts
        ]


@dataclass
class ListStore:
    """Given documents, whatever is asked; for hostile texts and silences."""

    documents: Sequence[Document]

    async def page(
        self,
        query: Query,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 500,
    ) -> Page:
        """See `Store.page`."""
        documents = self._find(query)
        if before is not None:
            documents = [one for one in documents if one.cursor < before]
            return Page(documents[-limit:], len(documents) > limit)
        documents = [one for one in documents if after is None or one.cursor > after]
        return Page(documents[:limit], len(documents) > limit)

    async def count(self, query: Query) -> int:
        """See `Store.count`."""
        return len(self._find(query))

    async def histogram(self, query: Query, buckets: int) -> Sequence[Bucket]:
        """See `Store.histogram`."""
        times = [parse_time(one.timestamp) for one in self._find(query)]
        if not times:
            return []
        width = (max(times) - min(times)) // buckets + 1
        counts = [0] * buckets
        for at in times:
            counts[(at - min(times)) // width] += 1
        return [
            Bucket(format_time(min(times) + number * width), count)
            for number, count in enumerate(counts)
        ]

    def _find(self, query: Query) -> list[Document]:
        return sorted(
            (
                one
                for one in self.documents
                if one.family in query.families
                and (not query.levels or one.level in query.levels)
                and (not query.paths or one.path in query.paths)
                and (not query.match or query.match.lower() in one.message.lower())
                and (not query.since or query.since <= one.timestamp <= query.until)
            ),
            key=lambda one: one.cursor,
        )


@dataclass
class FakeSession:
    """The core as a test wants it."""

    rows: Sequence[InstanceRow] = ()
    source: EventSource = field(default_factory=lambda: VirtualStore(0))
    warnings: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    snapshots: Sequence[SnapshotRow] = ()
    """What the custody log holds."""
    error: ForensicsError | None = None
    ledgers: int = 0
    reports: int = 0
    shown: str = "sqlite:test.db"
    closed: bool = False

    async def fetch_ledger(self, instance_ids: frozenset[str] = frozenset()) -> Ledger:
        """See `Session.fetch_ledger`."""
        self.ledgers += 1
        if self.error is not None:
            raise self.error
        rows = [row for row in self.rows if not instance_ids or row.instance_id in instance_ids]
        return Ledger(rows, self.warnings)

    async def open_timeline(self, row: InstanceRow) -> EventSource:
        """See `Session.open_timeline`."""
        return self.source

    async def fetch_findings(self, row: InstanceRow) -> Sequence[Finding]:
        """See `Session.fetch_findings`."""
        return self.findings

    async def fetch_report(self, row: InstanceRow) -> ReportModel:
        """See `Session.fetch_report`."""
        self.reports += 1
        scope = Scope(
            generated_at="2026-01-03T15:00:00.000000000Z", tool_version="1", store="sqlite:test.db",
            account="", since="", until="", records_looked_at=0, records=row.records,
        )  # fmt: skip
        return ReportModel(
            case_id="", scope=scope, instance=row, findings=tuple(self.findings), completeness=(),
            timeline=(), timeline_left_out=0, histogram=(), last_words=(),
            snapshots=tuple(self.snapshots),
        )  # fmt: skip

    async def close(self) -> None:
        """See `Session.close`."""
        self.closed = True


def instance(number: int = 0, **changes: object) -> InstanceRow:
    """A ledger row."""
    values: dict[str, object] = {
        "instance_id": f"i-{number:017x}",
        "state": InstanceState.QUARANTINED,
        "state_reason": "EC2: tagged afterimage:state=shelved",
        "image_id": "ami-0aaaaaaaaaaaaaaaa",
        "group": "web",
        "instance_type": "t3.small",
        "availability_zone": "eu-central-1a",
        "launched_at": "2026-01-02T00:00:00.000000000Z",
        "last_sign_at": "2026-01-03T14:05:12.221000000Z",
        "last_word": "MemoryError: no more",
        "records": 12_345,
        "sources": ("ec2", "stream"),
    }
    return InstanceRow(**{**values, **changes})  # type: ignore[arg-type] # a test names real fields
