"""Fills a store's file through the collector's own parsing and inserting."""

from __future__ import annotations

import time
from pathlib import Path

from forensics.collect.bulk import parse_bulk
from forensics.store.sqlite_schema import open_for_writing
from forensics.store.sqlite_write import insert
from shipper.wire.builder import RecordBuilder
from shipper.wire.framing import frame
from shipper.wire.record import Identity
from shipper.wire.records import Records
from shipper.wire.times import format_time, parse_time

START = parse_time("2026-01-03T12:00:00Z")
STREAM = "a" * 16


def lines(count: int, *, instance: str = "i-0a", stream: str = STREAM, text: str = "word") -> bytes:
    """`count` log lines, one a millisecond, as the shipper sends them."""
    content = "".join(
        f"{format_time(START + n * 1_000_000)} INFO {text} {n} {n % 7}\n" for n in range(count)
    )
    builder = RecordBuilder(
        identity=Identity(instance_id=instance),
        stream=stream,
        source=1,
        path="/var/log/app.log",
        index="afterimage-logs-2026.01.03",
    )
    return builder.build(Records.of(frame(content.encode()), 0), START).body


def fill(path: Path, count: int) -> None:
    """A store of `count` lines, closed again."""
    put(path, lines(count))


def put(path: Path, body: bytes) -> None:
    """A `_bulk` body into a store, in one transaction."""
    connection = open_for_writing(path)
    connection.execute("BEGIN IMMEDIATE")
    documents = [item.document for item in parse_bulk(body) if item.document is not None]
    insert(connection, documents, time.time_ns())
    connection.execute("COMMIT")
    connection.close()
