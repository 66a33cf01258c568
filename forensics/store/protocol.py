"""The `Store` protocol: the questions that forensics asks of stored records, and their answers.

A store holds documents of three families: *logs* (lines), *vitals* (a stream's own story: birth,
source rows, heartbeats, gaps, closing) and *lifecycle* (what AWS and the quarantine did). A
document is a flat mapping with the field names of docs/fields.md. Both implementations pass
tests/contract/test_store.py. Readers never change a log; `put_lifecycle` is the only write here.

Errors of every method: `UnreachableError` (no answer, refused), `TimedOutError`,
`PartialResultError` (some shards failed), `IntegrityError` (the store's own structure is damaged).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from shipper.wire.record import Family, parse_record_id, stored_bytes

_MASKED: Final = re.compile(r"(\d{1,10})-(\d{1,10})", re.ASCII)


class Cursor(NamedTuple):
    """A place in time order: `@timestamp` (30-character text), stream, source, offset, `_id`.

    The order of the tuple is the order of pages. Documents without a place (vitals, lifecycle,
    other shippers' lines) have an empty stream and zeros; `_id` makes every place unique.
    """

    timestamp: str
    stream: str = ""
    source: int = 0
    offset: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One stored document, as it was indexed."""

    id: str
    index: str
    fields: Mapping[str, Any]
    """Flat: `{"cloud.instance.id": "i-…", …}`; nested input of other shippers is flattened."""

    def text(self, name: str) -> str:
        """A field's value as text; empty where it is absent."""
        value = self.fields.get(name)
        return "" if value is None else str(value)

    @property
    def family(self) -> str:
        """`logs`, `vitals` or `lifecycle`; an index of another shipper counts as logs."""
        for name in ("vitals", "lifecycle"):
            if self.index.startswith(f"afterimage-{name}"):
                return name
        return "logs"

    @property
    def timestamp(self) -> str:
        """`@timestamp`, 30 characters (wire/times.py)."""
        return self.text("@timestamp")

    @property
    def created(self) -> str:
        """`event.created`: when the shipper read it; empty for other shippers' documents."""
        return self.text("event.created")

    @property
    def instance_id(self) -> str:
        """`cloud.instance.id`."""
        return self.text("cloud.instance.id")

    @property
    def message(self) -> str:
        """The line. Hostile text: show it only through `forensics.safe_text`."""
        return self.text("message")

    @property
    def level(self) -> str:
        """`log.level`: one of `shipper.wire.record.LEVELS`, or empty."""
        return self.text("log.level")

    @property
    def path(self) -> str:
        """`log.file.path`: the path under which the shipper first opened the file."""
        return self.text("log.file.path")

    def raw_bytes(self) -> bytes:
        """The record's bytes, checked against its id; ValueError: altered, or no record of ours."""
        return stored_bytes(self.id, self.fields)

    @property
    def masked(self) -> Sequence[tuple[int, int]]:
        """(start, length) of what a mask overwrote in the record's bytes."""
        found = self.fields.get("afterimage.masked")
        return () if found is None else _parse_masked(found)

    @property
    def cursor(self) -> Cursor:
        """Where the document stands in time order."""
        try:
            key = parse_record_id(self.id)
        except ValueError:
            return Cursor(self.timestamp, id=self.id)
        return Cursor(self.timestamp, key.stream, key.source, key.offset, self.id)


def _parse_masked(found: object) -> Sequence[tuple[int, int]]:
    """`start-length` each; what is no such text is left out: an instance may say anything."""
    ranges = (
        _MASKED.fullmatch(text)
        for text in (found if isinstance(found, list) else [found])
        if isinstance(text, str)
    )
    return [(int(match[1]), int(match[2])) for match in ranges if match is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which documents. Every given condition must hold."""

    families: frozenset[Family] = frozenset(("logs",))
    instance_ids: frozenset[str] = frozenset()
    """Empty: every instance."""
    since: str = ""
    """30-character time: in if `@timestamp` or `event.created` is at or after it."""
    until: str = ""
    """30-character time: in if `@timestamp` or `event.created` is at or before it."""
    match: str = ""
    """Words the message must all hold, in any order and case; letters and digits make words."""
    levels: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    """Values of `event.action` (vitals: birth source heartbeat gap closing; lifecycle: its own)."""


@dataclass(frozen=True, slots=True)
class Page:
    """Documents in ascending time order, whichever way they were asked for."""

    documents: Sequence[Document]
    more: bool
    """Whether there is at least one more document in the direction that was asked for."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bar of a histogram."""

    start: str
    """30-character time."""
    count: int
    by_level: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    """What one stream says of its machine: one row per (instance, stream), cheap to ask for."""

    instance_id: str
    stream: str
    first_at: str
    """Earliest `event.created` of its vitals and logs, 30 characters."""
    last_at: str
    """Latest `event.created`: the last sign of life."""
    last_word_at: str
    """`@timestamp` of its last log record; empty: none yet.

    The last is the one whose line's time, or reading where that was earlier, is latest: a line
    read late is not the last word for that, nor is one of a clock that runs ahead. Where a stream
    has both kinds, OpenSearch may name a line a little earlier.
    """
    last_word: str
    """That record's message. Hostile text."""
    records: int
    """How many log records are stored."""
    birth: Mapping[str, Any]
    """Fields of the newest birth document; empty where none came."""
    closing: Mapping[str, Any]
    """Fields of the closing document if newer than the newest birth; empty: no goodbye."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """What and where the store is, for a person."""

    kind: str
    """`sqlite` or `opensearch`."""
    location: str
    """Path or URL, without secrets."""
    version: str
    documents: int
    append_only: bool
    """Whether the store itself refuses changes of stored logs (OpenSearch ≥ 3.0)."""
    warnings: Sequence[str] = ()


class Store(Protocol):
    """Questions to a store. Made by `forensics.store.open.open_store`; close it when done."""

    async def info(self) -> StoreInfo:
        """What and where it is; the cheapest question that proves it answers."""
        ...

    async def streams(self, instance_ids: frozenset[str] = frozenset()) -> Sequence[StreamSummary]:
        """Every stream of those instances (empty: of all), ordered by instance and first sign."""
        ...

    async def page(
        self,
        query: Query,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 500,
    ) -> Page:
        """Up to `limit` documents strictly after, or strictly before, a place in time order.

        Neither given: from the start. `before`: the `limit` documents nearest below it.
        `Cursor(LATEST)` as `before` is the end.
        """
        ...

    async def count(self, query: Query) -> int:
        """How many documents, exactly."""
        ...

    async def histogram(self, query: Query, buckets: int) -> Sequence[Bucket]:
        """At most `buckets` bars of equal width over the query's documents, empty ones included."""
        ...

    def source_records(
        self, stream: str, source: int, *, from_offset: int = 0
    ) -> AsyncIterator[Sequence[Document]]:
        """Pages of one source's log records, ordered by offset then length; bounded memory."""
        ...

    async def put_lifecycle(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> int:
        """Create (id, fields) in the lifecycle index; an id that exists is left alone.

        Returns how many were new.
        """
        ...

    async def close(self) -> None:
        """Give back sockets and files; safe to call twice."""
        ...
