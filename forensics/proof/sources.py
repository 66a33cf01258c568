"""Which sources of an instance had one path, how long they are, and which are one file.

In: a store, an instance and a path. Out: *generations*: the files that had the path one after the
other, each with the sources that read it (one per stream at most, since a stream opens a file
once). It must never take two files for one because their inode was given again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from forensics.store.protocol import Cursor, Document, Query, Store
from shipper.wire.record import parse_record_id

HEAD_BYTES = 1024
"""As much of a file's start as the shipper's fingerprint covers at most."""


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
    gaps: list[Gap] = field(default_factory=list)

    @property
    def name(self) -> str:
        """`stream-n`, as its records' ids begin."""
        return f"{self.stream}-{self.number}"


@dataclass(slots=True)
class Generation:
    """One file, and the sources that read it."""

    sources: list[Source]

    @property
    def from_offset(self) -> int:
        """From where on it was read."""
        return min(source.from_offset for source in self.sources)


async def load_generations(store: Store, instance_id: str, path: str) -> list[Generation]:
    """The files that had the path, in order of first sight; empty: no vitals name it."""
    sources = await _load_sources(store, instance_id, path)
    await _note_lengths(store, instance_id, sources)
    generations: list[Generation] = []
    for source in sorted(sources.values(), key=lambda one: (one.first_at, one.stream, one.number)):
        for generation in reversed(generations):
            if await _is_same_file(store, generation, source):
                generation.sources.append(source)
                break
        else:
            generations.append(Generation([source]))
    return generations


async def find_strays(
    store: Store, instance_id: str, path: str, known: frozenset[tuple[str, int]]
) -> tuple[list[Generation], int]:
    """Sources that only their records name, each a file of its own; and records without a place."""
    strays: dict[tuple[str, int], Source] = {}
    placeless = 0
    query = Query(instance_ids=frozenset((instance_id,)), paths=frozenset((path,)))
    async for document in _documents(store, query):
        try:
            key = parse_record_id(document.id)
        except ValueError:
            placeless += 1
            continue
        place = (key.stream, key.source)
        if place not in known and place not in strays:
            at = document.created or document.timestamp
            strays[place] = Source(stream=key.stream, number=key.source, first_at=at)
    ordered = sorted(strays.values(), key=lambda one: (one.first_at, one.stream, one.number))
    return [Generation([source]) for source in ordered], placeless


async def load_paths(store: Store, instance_id: str) -> list[str]:
    """Every path that the instance's vitals name."""
    query = _vitals(instance_id, "source")
    return sorted({document.path async for document in _documents(store, query)})


async def _load_sources(store: Store, instance_id: str, path: str) -> dict[tuple[str, int], Source]:
    sources: dict[tuple[str, int], Source] = {}
    query = _vitals(instance_id, "source", path)
    async for document in _documents(store, query):
        number = _whole(document.fields.get("afterimage.source"))
        place = (document.text("afterimage.stream"), number)
        from_offset = _whole(document.fields.get("afterimage.from_offset"))
        source = sources.get(place)
        if source is None:
            sources[place] = Source(
                stream=place[0],
                number=number,
                first_at=document.timestamp,
                from_offset=from_offset,
                device=document.text("log.file.device"),
                inode=document.text("log.file.inode"),
                fingerprint=document.text("afterimage.fingerprint"),
                fingerprint_bytes=_whole(document.fields.get("afterimage.fingerprint_bytes")),
            )
        else:  # a later row of the same source: another day
            source.from_offset = min(source.from_offset, from_offset)
    return sources


async def _note_lengths(
    store: Store, instance_id: str, sources: dict[tuple[str, int], Source]
) -> None:
    """What heartbeats, closings and gaps say of the sources."""
    if not sources:
        return
    query = _vitals(instance_id, "heartbeat", actions=("closing", "gap"))
    async for document in _documents(store, query):
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
    if _whole(told.get("size")) >= source.size:
        source.size = _whole(told.get("size"))
        source.told_at = document.timestamp


async def _is_same_file(store: Store, generation: Generation, source: Source) -> bool:
    """Same device and inode, read by other streams, and the same first bytes."""
    first = generation.sources[0]
    if any(other.stream == source.stream for other in generation.sources):
        return False
    if not source.inode or (first.device, first.inode) != (source.device, source.inode):
        return False
    if first.fingerprint_bytes == source.fingerprint_bytes:
        return first.fingerprint == source.fingerprint
    # The file had grown in between: compare as much of its start as both have stored.
    ours, theirs = await _read_head(store, first), await _read_head(store, source)
    both = min(len(ours), len(theirs))
    return both > 0 and ours[:both] == theirs[:both]


async def _read_head(store: Store, source: Source) -> bytes:
    """The stored first bytes of a source, at most `HEAD_BYTES`."""
    head = b""
    async for page in store.source_records(source.stream, source.number):
        for document in page:
            if parse_record_id(document.id).offset != len(head):
                return head[:HEAD_BYTES]
            try:
                head += document.raw_bytes()
            except ValueError:  # reading the path itself will say so
                return head[:HEAD_BYTES]
            if len(head) >= HEAD_BYTES:
                return head[:HEAD_BYTES]
    return head


async def _documents(store: Store, query: Query) -> AsyncIterator[Document]:
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


def _whole(value: object, default: int = 0) -> int:
    """A number that came through JSON; vitals are written by instances, and may say anything."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default
