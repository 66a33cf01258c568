"""What a stream's vitals declare of its sources: rows, how far they are, gaps and drops.

In: a store, an instance and a path, or the name of what is no file. Out: its sources. Vitals are
written by instances and may say anything: what makes no sense is left out, never believed.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from forensics.proof.drops import DropTile
from forensics.store.protocol import Cursor, Document, Query, Store

NUMBERED = "journald"
"""The kind of source whose offsets are sequence numbers, which may skip, and no bytes."""

SPOOLED = frozenset(("forward", "stdin"))
"""Kinds whose files are segments of the shipper's own."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that a shipper declared it could not read; `end` = `start`: how many is unknown."""

    start: int
    end: int
    reason: str


@dataclass(slots=True, kw_only=True)
class Source:
    """One source: the n-th file that a stream opened, and what its vitals say."""

    stream: str
    number: int
    first_at: str
    """When the row was made; for one without vitals, its first record's time."""
    kind: str = "file"
    from_offset: int = 0
    device: str = ""
    inode: str = ""
    fingerprint: str = ""
    fingerprint_bytes: int = 0
    read: int = 0
    acked: int = 0
    size: int = 0
    dead_lettered: int = 0
    """Bytes of the whole stream that the store refused."""
    told_at: str = ""
    """Time of the heartbeat or closing that said the largest size."""
    dropped: int = 0
    """Bytes of the whole stream that rules left out."""
    gaps: list[Gap] = field(default_factory=list)
    drops: list[DropTile] = field(default_factory=list)

    @property
    def name(self) -> str:
        """`stream-n`, as its records' ids begin."""
        return f"{self.stream}-{self.number}"


async def load_sources(
    store: Store, instance_id: str, path: str
) -> Mapping[tuple[str, int], Source]:
    """The sources that had the path or name, by stream and number, and what is said of them."""
    sources = await _load_rows(store, instance_id, path)
    await _note_lengths(store, instance_id, sources)
    await _note_drops(store, instance_id, path, sources)
    return sources


async def load_paths(store: Store, instance_id: str) -> list[str]:
    """The path of every source of the instance; of what is no file, its name."""
    query = _vitals(instance_id, "source")
    return sorted({document.path async for document in read_documents(store, query)})


async def _load_rows(store: Store, instance_id: str, path: str) -> dict[tuple[str, int], Source]:
    sources: dict[tuple[str, int], Source] = {}
    async for document in read_documents(store, _vitals(instance_id, "source", path)):
        _note_row(sources, document)
    return sources


def _note_row(sources: dict[tuple[str, int], Source], document: Document) -> None:
    number = _whole(document.fields.get("afterimage.source"))
    place = (document.text("afterimage.stream"), number)
    from_offset = _whole(document.fields.get("afterimage.from_offset"))
    source = sources.get(place)
    if source is not None:  # a later row of the same source: another day
        source.from_offset = min(source.from_offset, from_offset)
        return
    sources[place] = Source(
        stream=place[0],
        number=number,
        first_at=document.timestamp,
        kind=document.text("afterimage.kind") or "file",
        from_offset=from_offset,
        device=document.text("log.file.device"),
        inode=document.text("log.file.inode"),
        fingerprint=document.text("afterimage.fingerprint"),
        fingerprint_bytes=_whole(document.fields.get("afterimage.fingerprint_bytes")),
    )


async def _note_lengths(
    store: Store, instance_id: str, sources: dict[tuple[str, int], Source]
) -> None:
    """What heartbeats, closings and gaps say of the sources."""
    if not sources:
        return
    query = _vitals(instance_id, "heartbeat", actions=("closing", "gap"))
    async for document in read_documents(store, query):
        stream = document.text("afterimage.stream")
        if document.text("event.action") == "gap":
            source = sources.get((stream, _whole(document.fields.get("afterimage.source"), -1)))
            if source is not None:
                source.gaps.append(_gap(document))
            continue
        told = document.fields.get("afterimage.sources")
        for one in told if isinstance(told, list) else ():
            if isinstance(one, dict) and (
                source := sources.get((stream, _whole(one.get("source"), -1)))
            ):
                _note_told(source, one, document)


def _note_told(source: Source, told: Mapping[str, object], document: Document) -> None:
    source.read = max(source.read, _whole(told.get("read")))
    source.acked = max(source.acked, _whole(told.get("acked")))
    dead = _whole(document.fields.get("afterimage.counters.dead_lettered_bytes"))
    source.dead_lettered = max(source.dead_lettered, dead)
    dropped = _whole(document.fields.get("afterimage.counters.dropped_bytes"))
    source.dropped = max(source.dropped, dropped)
    if _whole(told.get("size")) >= source.size:
        source.size = _whole(told.get("size"))
        source.told_at = document.timestamp


async def _note_drops(
    store: Store, instance_id: str, path: str, sources: dict[tuple[str, int], Source]
) -> None:
    """What rules left out of the sources."""
    if not sources:
        return
    async for document in read_documents(store, _vitals(instance_id, "drop", path)):
        number = _whole(document.fields.get("afterimage.source"), -1)
        source = sources.get((document.text("afterimage.stream"), number))
        if source is not None:
            source.drops.append(_drop(document, source.name))


async def read_documents(store: Store, query: Query) -> AsyncIterator[Document]:
    """Every document of a query, page by page."""
    after: Cursor | None = None
    more = True
    while more:
        page = await store.page(query, after=after)
        for document in page.documents:
            yield document
        more = page.more
        if page.documents:
            after = page.documents[-1].cursor


def _vitals(
    instance_id: str, action: str, path: str = "", *, actions: tuple[str, ...] = ()
) -> Query:
    return Query(
        families=frozenset(("vitals",)),
        instance_ids=frozenset((instance_id,)),
        actions=frozenset((action, *actions)),
        paths=frozenset((path,)) if path else frozenset(),
    )


def _gap(document: Document) -> Gap:
    return Gap(
        _whole(document.fields.get("afterimage.from")),
        _whole(document.fields.get("afterimage.to")),
        document.text("afterimage.reason"),
    )


def _drop(document: Document, source: str) -> DropTile:
    return DropTile(
        _whole(document.fields.get("afterimage.from")),
        _whole(document.fields.get("afterimage.to")),
        max(0, _whole(document.fields.get("afterimage.count"))),
        sys.intern(document.text("afterimage.reason")),  # one rule may leave a million tiles
        source,
    )


def _whole(value: object, default: int = 0) -> int:
    """A number that came through JSON; vitals are written by instances, and may say anything."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default
