"""Which sources of an instance had one path or name, how long they are, and which are one file.

In: a store, an instance and a path, or the name of what is no file. Out: *generations*: the files
(or spool segments) that had it one after the other, each with the sources that read it (one per
stream at most, since a stream opens a file once). It must never take two files for one because
their inode was given again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forensics.proof.declared import NUMBERED, Source, load_sources, read_documents
from forensics.proof.drops import Drops
from forensics.store.protocol import Query, Store
from shipper.wire.record import parse_record_id

HEAD_BYTES = 1024
"""As much of a file's start as the shipper's fingerprint covers at most."""


@dataclass(slots=True)
class Generation:
    """One file, and the sources that read it."""

    sources: list[Source]

    @property
    def from_offset(self) -> int:
        """From where on it was read."""
        return min(source.from_offset for source in self.sources)

    @property
    def kind(self) -> str:
        """What its bytes are."""
        return self.sources[0].kind

    def drops(self) -> Drops:
        """What rules left out of it."""
        return Drops(tile for source in self.sources for tile in source.drops)


async def load_generations(store: Store, instance_id: str, path: str) -> list[Generation]:
    """The files that had the path or name, in the order in which they were opened.

    Empty: no vitals name it.
    """
    sources = await load_sources(store, instance_id, path)
    generations: list[Generation] = []
    for source in _in_order(sources.values()):
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
    async for document in read_documents(store, query):
        try:
            key = parse_record_id(document.id)
        except ValueError:
            placeless += 1
            continue
        place = (key.stream, key.source)
        if place not in known and place not in strays:
            at = document.created or document.timestamp
            strays[place] = Source(stream=key.stream, number=key.source, first_at=at)
    return [Generation([source]) for source in _in_order(strays.values())], placeless


def _in_order(sources: Iterable[Source]) -> list[Source]:
    """By stream, as streams began; within one by number, which no step of a clock can turn."""
    begun: dict[str, str] = {}
    sources = list(sources)
    for source in sources:
        begun[source.stream] = min(begun.get(source.stream, source.first_at), source.first_at)
    return sorted(sources, key=lambda one: (begun[one.stream], one.stream, one.number))


async def _is_same_file(store: Store, generation: Generation, source: Source) -> bool:
    """Same device and inode, read by other streams, and the same first bytes."""
    first = generation.sources[0]
    if any(other.stream == source.stream for other in generation.sources):
        return False
    if not source.inode or (first.device, first.inode) != (source.device, source.inode):
        return False
    if source.kind == NUMBERED or first.fingerprint_bytes == source.fingerprint_bytes:
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
