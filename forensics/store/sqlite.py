"""The embedded store: one SQLite file that the collector writes and this class reads.

In: a path. Out: the answers of `forensics.store.protocol.Store`. Every question runs on this
object's own thread, in one short read transaction, and ends when its asker is cancelled: a long one
would keep the collector's WAL from shrinking. It must never write a log; `put_lifecycle` opens a
connection of its own for one short transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from forensics.errors import RefusedError, TimedOutError, UnreachableError
from forensics.store.documents import flatten, read_fields
from forensics.store.protocol import (
    Bucket,
    Cursor,
    Document,
    Page,
    Query,
    StoreInfo,
    StreamSummary,
)
from forensics.store.sqlite_query import Selection, build_aggregate, build_page
from forensics.store.sqlite_schema import (
    explain,
    is_writable,
    open_for_appending,
    open_for_reading,
)
from forensics.store.sqlite_write import NewDocument, insert
from shipper.wire.record import index_name, parse_record_id
from shipper.wire.times import format_time, parse_time

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 120.0

_SOURCE_PAGE_DOCUMENTS: Final = 1000
_PAGE_CHARACTERS: Final = 8 << 20
"""A page ends here too: 500 lines of 1 MiB are no page."""

_STREAMS: Final = """
SELECT s.instance, s.stream, s.first_created, s.last_created, s.records,
       word.timestamp, word.body, birth.body, birth.timestamp,
       iif(s.closing_at > s.birth_at, closing.body, NULL), closing.timestamp
FROM streams AS s
LEFT JOIN documents AS word ON word.seq = s.word_seq
LEFT JOIN documents AS birth ON birth.seq = s.birth_seq
LEFT JOIN documents AS closing ON closing.seq = s.closing_seq
"""

_SOURCE: Final = """
SELECT id, index_name, timestamp, body
FROM documents INDEXED BY documents_by_source
WHERE stream <> '' AND stream = ? AND source = ? AND (offset, length, id) > (?, ?, ?)
ORDER BY offset, length, id
"""


class SqliteStore:
    """A store in one file. Make it with `await SqliteStore.open(path)`."""

    def __init__(self, path: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.path = path
        self._timeout_seconds = timeout_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-store")
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._as_it_lies = False
        self._running: object | None = None
        self._closed = False

    @classmethod
    async def open(cls, path: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> SqliteStore:
        """The store in that file; raises where it can't be read or is none."""
        store = cls(path, timeout_seconds=timeout_seconds)
        try:
            await store._ask(lambda connection: connection.execute("SELECT 1").fetchone())
        except BaseException:
            await store.close()
            raise
        return store

    async def info(self) -> StoreInfo:
        """What and where it is."""
        counted = Selection("SELECT count(*) FROM documents", ())
        ((documents,),) = await self._ask(functools.partial(_rows, selection=counted))
        return StoreInfo(
            kind="sqlite",
            location=str(self.path),
            version=sqlite3.sqlite_version,
            documents=documents,
            append_only=False,
            warnings=_warnings(self.path) if self._as_it_lies else (),
        )

    async def streams(self, instance_ids: frozenset[str] = frozenset()) -> Sequence[StreamSummary]:
        """Every stream of those instances, from the summaries that are kept at write."""
        where = ""
        if instance_ids:
            where = f"WHERE s.instance IN ({', '.join('?' * len(instance_ids))})"
        sql = f"{_STREAMS} {where} ORDER BY s.instance, s.first_created, s.stream"
        return await self._ask(
            lambda connection: [
                _summary(row) for row in connection.execute(sql, sorted(instance_ids))
            ]
        )

    async def page(
        self,
        query: Query,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 500,
    ) -> Page:
        """Up to `limit` documents beyond a place, fewer where they are very long."""
        backward = before is not None
        selection = build_page(query, before if backward else after, backward=backward)

        documents, more = await self._ask(
            functools.partial(_read, selection=selection, limit=limit)
        )
        return Page(documents[::-1] if backward else documents, more)

    async def count(self, query: Query) -> int:
        """How many documents, exactly."""
        selection = build_aggregate(query, "count(*)")
        return int((await self._ask(functools.partial(_rows, selection=selection)))[0][0])

    async def histogram(self, query: Query, buckets: int) -> Sequence[Bucket]:
        """Bars of equal width from the first document's time to the last one's."""
        span = build_aggregate(query, "min(timestamp), max(timestamp)")
        ((first, last),) = await self._ask(functools.partial(_rows, selection=span))
        if first is None:
            return []
        width = (last - first) // max(buckets, 1) + 1
        number = (last - first) // width + 1
        # What comes in between the two questions counts in the first or last bar.
        bar = f"min(max((timestamp - {first}) / {width}, 0), {number - 1})"
        selection = build_aggregate(query, f"{bar}, level, count(*)", ending="GROUP BY 1, 2")
        rows = await self._ask(functools.partial(_rows, selection=selection))
        return _bars(rows, first, width, number)

    async def source_records(
        self, stream: str, source: int, *, from_offset: int = 0
    ) -> AsyncIterator[Sequence[Document]]:
        """Pages of one source's log records, ordered by offset then length."""
        place: tuple[int, int, str] = (from_offset, -1, "")
        more = True
        while more:
            selection = Selection(_SOURCE, (stream, source, *place))
            documents, more = await self._ask(
                functools.partial(_read, selection=selection, limit=_SOURCE_PAGE_DOCUMENTS)
            )
            if documents:
                yield documents
                key = parse_record_id(documents[-1].id)
                place = (key.offset, key.length, documents[-1].id)

    async def put_lifecycle(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> int:
        """Create (id, fields) in the lifecycle index; returns how many were new."""
        if not documents:
            return 0
        if not is_writable(self.path):
            raise RefusedError(
                f"the store {self.path} can't be written",
                why="file or folder is read-only here",
                next_step="work on a writable copy",
            )
        new = [_lifecycle(document_id, fields) for document_id, fields in documents]
        return await asyncio.to_thread(_append, self.path, new)

    async def close(self) -> None:
        """Close the file and end the thread; safe to call twice."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._disconnect)
            await asyncio.to_thread(self._thread.shutdown)

    async def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """`question`'s answer from the store's thread; its query ends when the asker does."""
        if self._closed:
            raise UnreachableError(f"the store {self.path} is closed", next_step="open it again")
        job = object()
        future: Future[T] = self._thread.submit(self._answer, job, question)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise TimedOutError(
                f"the store {self.path} did not answer within {self._timeout_seconds:g} s",
                next_step="narrow the question: one instance, a shorter time",
            ) from error
        except sqlite3.Error as error:
            raise explain(error, str(self.path)) from error
        finally:
            self._interrupt(job)

    def _answer(self, job: object, question: Callable[[sqlite3.Connection], T]) -> T:
        """Runs on the store's thread."""
        if self._connection is None:
            self._connection, self._as_it_lies = open_for_reading(self.path)
        with self._lock:
            self._running = job
        try:
            return question(self._connection)
        finally:
            with self._lock:
                self._running = None

    def _interrupt(self, job: object) -> None:
        """Stop the query if it still runs; another job's is left alone."""
        with self._lock:
            if self._running is job and self._connection is not None:
                self._connection.interrupt()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _warnings(path: Path) -> Sequence[str]:
    """What a reader of read-only evidence does not see."""
    wal = path.with_name(f"{path.name}-wal")
    warnings = ["opened read-only: what a collector writes meanwhile is not seen"]
    if wal.exists() and wal.stat().st_size:
        warnings.append(
            f"{wal.name} beside the file is not read, and its records are missing here:"
            " copy both to a folder that can be written"
        )
    return tuple(warnings)


def _rows(connection: sqlite3.Connection, *, selection: Selection) -> list[tuple[Any, ...]]:
    return connection.execute(selection.sql, selection.parameters).fetchall()


def _read(
    connection: sqlite3.Connection, *, selection: Selection, limit: int
) -> tuple[list[Document], bool]:
    """As many documents as make a page, and whether there was one more row."""
    documents: list[Document] = []
    characters = 0
    with contextlib.closing(connection.execute(selection.sql, selection.parameters)) as rows:
        for document_id, index, timestamp, body in rows:
            full = documents and characters + len(body) > _PAGE_CHARACTERS
            if full or len(documents) >= limit:
                return documents, True
            characters += len(body)
            documents.append(Document(document_id, index, _fields(body, timestamp)))
    return documents, False


def _fields(body: str, timestamp: int) -> dict[str, Any]:
    fields = read_fields(json.loads(body), received_at_nanos=timestamp)
    fields["@timestamp"] = format_time(timestamp)
    return fields


def _summary(row: tuple[Any, ...]) -> StreamSummary:
    instance, stream, first, last, records, word_at, word, birth, birth_at, closing, closing_at = (
        row
    )
    return StreamSummary(
        instance_id=instance,
        stream=stream,
        first_at="" if first is None else format_time(first),
        last_at="" if last is None else format_time(last),
        last_word_at="" if word_at is None else format_time(word_at),
        last_word="" if word is None else str(flatten(json.loads(word)).get("message", "")),
        records=records,
        birth={} if birth is None else _fields(birth, birth_at),
        closing={} if closing is None else _fields(closing, closing_at),
    )


def _bars(
    rows: Iterable[tuple[int, str, int]], first: int, width: int, number: int
) -> Sequence[Bucket]:
    levels: list[dict[str, int]] = [{} for _ in range(number)]
    counts = [0] * number
    for bar, level, count in rows:
        counts[bar] += count
        if level:
            levels[bar][level] = count
    return [
        Bucket(format_time(first + bar * width), counts[bar], levels[bar]) for bar in range(number)
    ]


def _lifecycle(document_id: str, fields: Mapping[str, Any]) -> NewDocument:
    index = index_name("lifecycle", parse_time(str(fields["@timestamp"])))
    body = json.dumps(fields, ensure_ascii=True, separators=(",", ":"), default=str)
    return NewDocument(index, document_id, body, flatten(fields))


def _append(path: Path, documents: Sequence[NewDocument]) -> int:
    """One short transaction of its own: the collector waits for it at most moments."""
    connection = open_for_appending(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            seqs = insert(connection, documents, time.time_ns())
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise explain(error, str(path)) from error
    finally:
        connection.close()
    return sum(seq is not None for seq in seqs)
