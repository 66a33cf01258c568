"""A file's bytes as they were shipped: every record of a path laid side by side, holes named.

In: a store, an instance and a path. Out: pieces in file order: bytes, and holes with the reason
that vitals give. The files that had the path follow each other in order of first sight. Memory is
bounded by a page of records; it must never invent, repeat or silently leave out a byte.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from forensics.errors import IntegrityError, NotFoundError
from forensics.proof.sources import (
    Generation,
    Source,
    find_strays,
    load_generations,
    load_paths,
)
from forensics.proof.tiling import Contradiction, Missing, Part, Tile, Tiling
from forensics.store.protocol import Document, Query, Store
from shipper.wire.record import parse_record_id

_PIECE_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes that follow the piece before."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes `[start, end)` of a file that are not stored; `start` = `end`: how many is unknown."""

    source: str
    """`stream-n`; empty where no single source can be named."""
    start: int
    end: int
    reason: str


Piece = Bytes | Hole


async def read_path(store: Store, instance_id: str, path: str) -> AsyncIterator[Piece]:
    """The pieces of every file that had `path` on that instance.

    Raises:
        NotFoundError: nothing of that instance and path was ever shipped.
        IntegrityError: a record is not the bytes that its id was made of, or two contradict.
    """
    seen = 0
    known: set[tuple[str, int]] = set()
    generations = await load_generations(store, instance_id, path)
    for generation in generations:
        known |= {(source.stream, source.number) for source in generation.sources}
        reader = _Reader(store, generation)
        async for piece in reader.read():
            yield piece
        seen += reader.records
    query = Query(instance_ids=frozenset((instance_id,)), paths=frozenset((path,)))
    stored = await store.count(query)
    if not generations and not stored:
        raise await _not_found(store, instance_id, path)
    if stored > seen:  # records whose source row never came, or what came in meanwhile
        strays, placeless = await find_strays(store, instance_id, path, frozenset(known))
        for generation in strays:
            async for piece in _Reader(store, generation).read():
                yield piece
        if placeless:
            yield Hole("", 0, 0, f"{placeless:,} records of another shipper carry no offsets")


class _Reader:
    """Reads one generation."""

    def __init__(self, store: Store, generation: Generation) -> None:
        self._store = store
        self._sources = generation.sources
        self._tiling = Tiling()
        self.records = 0

    async def read(self) -> AsyncIterator[Piece]:
        """Pieces from offset 0 to the furthest byte that anyone spoke of."""
        pending: list[bytes] = []
        size = 0
        async for document in self._merge():
            for piece in self._lay(document):
                if isinstance(piece, Bytes):
                    pending.append(piece.data)
                    size += len(piece.data)
                    if size < _PIECE_BYTES:
                        continue
                if pending:
                    yield Bytes(b"".join(pending))
                    pending, size = [], 0
                if isinstance(piece, Hole):
                    yield piece
        if pending:
            yield Bytes(b"".join(pending))
        for piece in self._end():
            yield piece

    def _lay(self, document: Document) -> Iterator[Piece]:
        self.records += 1
        key = parse_record_id(document.id)
        try:
            data = document.raw_bytes()
        except ValueError as error:
            raise IntegrityError(
                f"record {document.id} in {document.index} was altered",
                why=str(error),
                next_step="compare with the disk's snapshot; what stands before it is in order",
            ) from error
        for part in self._tiling.add(key.offset, data):
            yield self._piece(part, f"{key.stream}-{key.source}", document)

    def _piece(self, part: Part, source: str, document: Document) -> Piece:
        match part:
            case Tile(_, data):
                return Bytes(data)
            case Missing(start, end):
                return Hole(source, start, end, self._why_missing(start, end))
            case Contradiction(offset):
                raise IntegrityError(
                    f"two records of {document.path!r} hold different bytes at offset {offset}",
                    why=f"{document.id} in {document.index} contradicts the record before it",
                    next_step="read each stream's records by themselves: forensics logs --jsonl",
                )

    def _end(self) -> Iterator[Piece]:
        """What is known to have been there beyond the last record."""
        read = max(self._sources, key=lambda source: source.read)
        for part in self._tiling.finish(read.read):
            if isinstance(part, Missing):
                why = self._why_missing(part.start, part.end)
                yield Hole(read.name, part.start, part.end, why)
        longest = max(self._sources, key=lambda source: source.size)
        for part in self._tiling.finish(longest.size):
            if isinstance(part, Missing):
                why = self._declared(part.start, part.end) or (
                    f"the file had {longest.size} bytes at {longest.told_at},"
                    " and the shipper is not known to have read these"
                )
                yield Hole(longest.name, part.start, part.end, why)
        for source in self._sources:
            for gap in source.gaps:
                if gap.end <= gap.start and self._tiling.position <= gap.start:
                    yield Hole(source.name, gap.start, gap.start, gap.reason)

    def _why_missing(self, start: int, end: int) -> str:
        if reason := self._declared(start, end):
            return reason
        told = max(self._sources, key=lambda source: source.read)
        if told.acked >= end and told.dead_lettered:
            return (
                f"settled by {told.told_at}, and its shipper has {told.dead_lettered} bytes in dead"
                " letters on the instance's disk"
            )
        if told.acked >= end:
            return f"stored by {told.told_at}, as its shipper says, and not there now"
        if told.read >= end:
            return f"read by {told.told_at}, not stored: on its way, or lost with the instance"
        if end <= min(source.from_offset for source in self._sources):
            return "before the shipper's first byte of this file"
        return "no record holds these bytes"

    def _declared(self, start: int, end: int) -> str:
        """The reason of a gap that reaches into the hole."""
        for source in self._sources:
            for gap in source.gaps:
                if gap.start < end and gap.end > start:
                    return f"gap declared by the shipper: {gap.reason}"
        return ""

    async def _merge(self) -> AsyncIterator[Document]:
        """The records of all sources by offset, then length; a source is opened when it is due."""
        due = sorted(self._sources, key=lambda source: source.from_offset, reverse=True)
        feeds: list[_Feed] = []
        while due or feeds:
            nearest = min(feeds, key=lambda feed: feed.place, default=None)
            if due and (nearest is None or due[-1].from_offset <= nearest.place[0]):
                feed = _Feed(self._store, due.pop())
                if await feed.advance():
                    feeds.append(feed)
            elif nearest is not None:
                yield nearest.head
                if not await nearest.advance():
                    feeds.remove(nearest)


class _Feed:
    """One source's records, the next one at hand."""

    def __init__(self, store: Store, source: Source) -> None:
        self._pages = store.source_records(source.stream, source.number)
        self._page: Sequence[Document] = ()
        self._at = -1
        self.place = (0, 0, "")

    @property
    def head(self) -> Document:
        """The next record."""
        return self._page[self._at]

    async def advance(self) -> bool:
        """Move to the next record; False: there is none."""
        self._at += 1
        while self._at >= len(self._page):
            try:
                self._page = await anext(self._pages)
            except StopAsyncIteration:
                return False
            self._at = 0
        key = parse_record_id(self.head.id)
        self.place = (key.offset, key.length, self.head.id)
        return True


async def _not_found(store: Store, instance_id: str, path: str) -> NotFoundError:
    paths = await load_paths(store, instance_id)
    if not paths:
        return NotFoundError(
            f"instance {instance_id} has shipped no file",
            next_step="list what is there: forensics instances",
        )
    near = difflib.get_close_matches(path, paths, n=3, cutoff=0.5) or paths[:3]
    return NotFoundError(
        f"instance {instance_id} has shipped no file {path}",
        next_step=f"it shipped {len(paths)}, among them {', '.join(near)}",
    )
