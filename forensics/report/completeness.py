"""Completeness of every source of an instance: do the stored ranges tile it, and up to where?

In: a store. Out: one `SourceRow` per (stream, source), by path. The ranges stand in the records'
ids; nothing is taken from a message. The end comes from the stream's closing record, or at least
from its last heartbeat; without either only holes between stored records can be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forensics.ledger.model import InstanceRow
from forensics.report.model import HoleRow, SourceRow, Verdict
from forensics.store.protocol import Cursor, Document, Query, Store
from shipper.wire.record import parse_record_id
from shipper.wire.times import LATEST

_PAGE = 500


@dataclass(slots=True, kw_only=True)
class _Source:
    """What a stream said of one source."""

    stream: str
    source: int
    path: str = ""
    start: int = 0
    known_end: int = 0
    """It had at least so many bytes."""
    closed: bool = False
    """The closing record told its end."""
    gaps: list[HoleRow] = field(default_factory=list)


async def read_completeness(store: Store, instance: InstanceRow) -> tuple[SourceRow, ...]:
    """One row for each source of each stream, ordered by path, stream and number."""
    rows = []
    for source in (await _read_sources(store, instance)).values():
        covered = Tiling(source.start)
        async for documents in store.source_records(source.stream, source.source):
            for document in documents:
                covered.add(document)
                source.path = source.path or document.path
        rows.append(_judge(source, covered))
    return tuple(sorted(rows, key=lambda row: (row.path, row.stream, row.source)))


@dataclass(slots=True)
class Tiling:
    """Ranges in order of their offsets, joined; what lies between them is a hole."""

    start: int
    end: int = -1
    stored_bytes: int = 0
    holes: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.end = self.start

    def add(self, document: Document) -> None:
        """The next record, by offset; a document that is no record of ours tiles nothing."""
        try:
            key = parse_record_id(document.id)
        except ValueError:
            return
        if key.offset > self.end:
            self.holes.append((self.end, key.offset))
        new = max(key.offset + key.length - max(self.end, key.offset), 0)
        self.stored_bytes += new
        self.end = max(self.end, key.offset + key.length)


def _judge(source: _Source, covered: Tiling) -> SourceRow:
    holes = list(covered.holes)
    if source.known_end > covered.end:
        holes.append((covered.end, source.known_end))
    rows = tuple(HoleRow(start=a, end=b, reason=_reason(source.gaps, a, b)) for a, b in holes)
    whole = Verdict.COMPLETE if source.closed else Verdict.OPEN
    return SourceRow(
        path=source.path,
        stream=source.stream,
        source=source.source,
        stored_bytes=covered.stored_bytes,
        end=max(covered.end, source.known_end),
        verdict=Verdict.MISSING if rows else whole,
        holes=rows,
    )


def _reason(gaps: Sequence[HoleRow], start: int, end: int) -> str:
    reasons = [gap.reason for gap in gaps if gap.start < end and start < gap.end]
    return "; ".join(dict.fromkeys(reasons)) or "not declared by the shipper"


async def _read_sources(store: Store, instance: InstanceRow) -> Mapping[tuple[str, int], _Source]:
    """Every source that the streams' vitals name, with what they say of its start and end."""
    sources: dict[tuple[str, int], _Source] = {}
    only = frozenset((instance.instance_id,))
    after: Cursor | None = None
    while True:
        page = await store.page(
            Query(
                families=frozenset(("vitals",)),
                instance_ids=only,
                actions=frozenset(("source", "gap")),
            ),
            after=after,
            limit=_PAGE,
        )
        for document in page.documents:
            _note(sources, document)
        if not page.more or not page.documents:
            break
        after = page.documents[-1].cursor
    beats = await store.page(
        Query(
            families=frozenset(("vitals",)),
            instance_ids=only,
            actions=frozenset(("heartbeat", "closing")),
        ),
        before=Cursor(LATEST),
        limit=_PAGE,
    )
    for document in beats.documents:
        _note_ends(sources, document)
    return sources


def _note(sources: dict[tuple[str, int], _Source], document: Document) -> None:
    source = _source_of(sources, document)
    if document.text("event.action") == "source":
        source.path = document.path or source.path
        source.start = _whole(document.fields.get("afterimage.from_offset"))
        source.known_end = max(source.known_end, source.start)
        return
    source.gaps.append(
        HoleRow(
            start=_whole(document.fields.get("afterimage.from")),
            end=_whole(document.fields.get("afterimage.to")),
            reason=document.text("afterimage.reason"),
        )
    )


def _note_ends(sources: dict[tuple[str, int], _Source], document: Document) -> None:
    closing = document.text("event.action") == "closing"
    listed = document.fields.get("afterimage.sources")
    for entry in listed if isinstance(listed, Iterable) else ():
        if not isinstance(entry, Mapping):
            continue
        key = (document.text("afterimage.stream"), _whole(entry.get("source")))
        source = sources.get(key)
        if source is not None:
            source.known_end = max(source.known_end, _whole(entry.get("read")))
            source.closed = closing


def _source_of(sources: dict[tuple[str, int], _Source], document: Document) -> _Source:
    key = (
        document.text("afterimage.stream"),
        _whole(document.fields.get("afterimage.source")),
    )
    return sources.setdefault(key, _Source(stream=key[0], source=key[1]))


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
