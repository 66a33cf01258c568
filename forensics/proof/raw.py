"""A file's bytes as they were shipped: every record of a path laid side by side, holes named.

In: a store, an instance and a path, or the name of what is no file. Out: pieces in file order:
bytes; holes with the reason that vitals give; what a rule left out; and, of each file, what is
masked. The files that had the path follow each other in the order in which they were opened. Of
journald, whose numbers may skip, entries follow each other by number. Memory is bounded by a page
of records and the drop tiles; it must never invent, repeat or silently leave out a byte.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final

from forensics.errors import IntegrityError, NotFoundError
from forensics.proof.declared import NUMBERED, Source, load_paths
from forensics.proof.drops import DropTile
from forensics.proof.pieces import Bytes, Dropped, Hole, Masked, Numbered, Piece, Unit
from forensics.proof.sources import Generation, find_strays, load_generations
from forensics.proof.tiling import Contradiction, Missing, Part, Tile, Tiling
from forensics.store.protocol import Document, Query, Store
from shipper.wire.record import parse_record_id

_PIECE_BYTES: Final = 1 << 18


async def read_path(store: Store, instance_id: str, path: str) -> AsyncIterator[Piece]:
    """The pieces of every file that had `path` on that instance, or of what has that name.

    Raises:
        NotFoundError: nothing of that instance and path was ever shipped.
        IntegrityError: a record is not the bytes that its id was made of, or two contradict.
    """
    seen = 0
    generations = await load_generations(store, instance_id, path)
    for generation in generations:
        reader = _reader(store, generation)
        async for piece in reader.read():
            yield piece
        seen += reader.records
    sources = [source for generation in generations for source in generation.sources]
    query = Query(instance_ids=frozenset((instance_id,)), paths=frozenset((path,)))
    stored = await store.count(query)
    if not generations and not stored:
        raise await _not_found(store, instance_id, path)
    if stored > seen:  # records whose source row never came, or what came in meanwhile
        known = frozenset((source.stream, source.number) for source in sources)
        strays, placeless = await find_strays(store, instance_id, path, known)
        for generation in strays if generations else ():
            generation.sources[0].kind = generations[0].kind
        for generation in strays:
            async for piece in _reader(store, generation).read():
                yield piece
        if placeless:
            yield Hole("", 0, 0, f"{placeless:,} records of another shipper carry no offsets")


def _reader(store: Store, generation: Generation) -> _Reader:
    is_numbered = generation.kind == NUMBERED
    return (_JournalReader if is_numbered else _Reader)(store, generation)


class _Reader:
    """Reads one generation."""

    _unit: Unit = "bytes"

    def __init__(self, store: Store, generation: Generation) -> None:
        self._store = store
        self._sources = generation.sources
        self._drops = generation.drops()
        self._tiling = Tiling()
        self._masked_records = 0
        self._masked_bytes = 0
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
                if not isinstance(piece, Bytes):
                    yield piece
        if pending:
            yield Bytes(b"".join(pending))
        for piece in self._end():
            yield piece
        if self._masked_records:
            yield Masked(self._masked_records, self._masked_bytes)

    def _lay(self, document: Document) -> Iterator[Piece]:
        key = parse_record_id(document.id)
        data = self._take(document)
        for part in self._tiling.add(key.offset, data, document.masked):
            yield from self._pieces(part, f"{key.stream}-{key.source}", document)

    def _take(self, document: Document) -> bytes:
        """The record's bytes, checked; it is counted."""
        self.records += 1
        try:
            data = document.raw_bytes()
        except ValueError as error:
            raise IntegrityError(
                f"record {document.id} in {document.index} was altered",
                why=str(error),
                next_step="compare with the disk's snapshot; what stands before it is in order",
            ) from error
        if document.masked:
            self._masked_records += 1
            self._masked_bytes += sum(length for _, length in document.masked)
        return data

    def _pieces(self, part: Part, source: str, document: Document) -> Iterator[Piece]:
        match part:
            case Tile(_, data):
                yield Bytes(data)
            case Missing():
                yield from self._explain(part, source, self._why_missing)
            case Contradiction(offset):
                raise _contradiction(document, f"offset {offset}")

    def _explain(
        self, missing: Missing, source: str, why: Callable[[int, int], str]
    ) -> Iterator[Piece]:
        """A missing range in parts: what a rule left out, and holes."""
        for start, end, tile in self._drops.split(missing.start, missing.end):
            if tile is None:
                yield Hole(source, start, end, why(start, end), self._unit)
            else:
                yield _dropped(tile, start, end, self._unit)

    def _end(self) -> Iterator[Piece]:
        """What is known to have been there beyond the last record."""
        read = max(self._sources, key=lambda source: source.read)
        longest = max(self._sources, key=lambda source: source.size)
        for source, end, why in (
            (read, max(read.read, self._drops.end), self._why_missing),
            (longest, longest.size, self._why_unread),
        ):
            for missing in self._finish(end):
                yield from self._explain(missing, source.name, why)
        for source in self._sources:
            for gap in source.gaps:
                if gap.end <= gap.start and self._position <= gap.start:
                    yield Hole(source.name, gap.start, gap.start, gap.reason, self._unit)

    @property
    def _position(self) -> int:
        """Up to here everything was told."""
        return self._tiling.position

    def _finish(self, end: int) -> Iterator[Missing]:
        """What is missing up to `end`."""
        for part in self._tiling.finish(end):
            if isinstance(part, Missing):
                yield part

    def _why_unread(self, start: int, end: int) -> str:
        longest = max(self._sources, key=lambda source: source.size)
        return self._declared(start, end) or (
            f"the file had {longest.size} bytes at {longest.told_at},"
            " and the shipper is not known to have read these"
        )

    def _why_missing(self, start: int, end: int) -> str:
        if reason := self._declared(start, end):
            return reason
        told = max(self._sources, key=lambda source: source.read)
        if told.acked >= end:
            return _why_settled(told)
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


class _JournalReader(_Reader):
    """Reads the entries of one journal: by number, each once.

    A number that is neither stored nor declared is a hole, which need be no loss: journald may
    skip numbers.
    """

    _unit: Unit = "entries"

    def __init__(self, store: Store, generation: Generation) -> None:
        super().__init__(store, generation)
        tiles = self._drops.tiles
        self._next = generation.from_offset or (tiles[0].start if tiles else 0)
        self._line = b""
        self._first = self._count = 0

    async def read(self) -> AsyncIterator[Piece]:
        """As a file's pieces, and at last how many entries there are."""
        async for piece in super().read():
            yield piece
        yield Numbered(self._count, self._first, max(self._first, self._next - 1))

    def _lay(self, document: Document) -> Iterator[Piece]:
        key = parse_record_id(document.id)
        data = self._take(document)
        if self._count and key.offset < self._next:  # a second stream read it, too
            if key.offset == self._next - 1 and data != self._line:
                raise _contradiction(document, f"number {key.offset}")
            return
        if not self._count:
            self._first = key.offset
        for missing in self._finish(key.offset):
            yield from self._explain(missing, f"{key.stream}-{key.source}", self._why_missing)
        self._next, self._line = key.offset + 1, data
        self._count += 1
        yield Bytes(data)

    @property
    def _position(self) -> int:
        return self._next

    def _finish(self, end: int) -> Iterator[Missing]:
        start = self._next or end  # of what was before nothing is known
        if start < end:
            yield Missing(start, end)
        self._next = max(self._next, end)


def _why_settled(told: Source) -> str:
    if told.dead_lettered:
        return (
            f"settled by {told.told_at}, and its shipper has {told.dead_lettered} bytes in dead"
            " letters on the instance's disk"
        )
    if told.dropped:
        return (
            f"settled by {told.told_at}: stored, and not there now, or among the {told.dropped} "
            "bytes that its shipper's rules dropped, whose tile never came"
        )
    return f"stored by {told.told_at}, as its shipper says, and not there now"


def _dropped(tile: DropTile, start: int, end: int, unit: Unit = "bytes") -> Dropped:
    count = tile.records if start <= tile.start else 0
    return Dropped(tile.source, start, end, count, tile.reason, unit)


def _contradiction(document: Document, where: str) -> IntegrityError:
    return IntegrityError(
        f"two records of {document.path!r} hold different bytes at {where}",
        why=f"{document.id} in {document.index} contradicts the record before it",
        next_step="read each stream's records by themselves: forensics logs --jsonl",
    )


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
