"""A real SQLite store, filled as the collector fills it, with the death of one instance in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from forensics.store.documents import parse_document
from forensics.store.sqlite_schema import open_for_writing
from forensics.store.sqlite_write import NewDocument, insert
from shipper.wire.builder import RecordBuilder, split_items
from shipper.wire.framing import frame
from shipper.wire.record import Identity, build_document, index_name
from shipper.wire.records import Records
from shipper.wire.times import NANOS_PER_SECOND, format_time, parse_time

DEAD = "i-0dead000000000001"
ALIVE = "i-0a11fe00000000002"
BEGIN = parse_time("2026-01-03T12:00:00Z")
DEAD_STREAM = "dead000000000001"
ALIVE_STREAM = "a11fe00000000002"


def at(second: float) -> str:
    """That many seconds after the beginning."""
    return format_time(BEGIN + int(second * NANOS_PER_SECOND))


def line(second: float, text: str) -> str:
    """A log line with its own time."""
    return f"{at(second)[:23]}Z {text}"


def log_items(
    lines: Sequence[str], *, instance: str, stream: str, path: str, source: int = 1, offset: int = 0
) -> list[bytes]:
    """What the shipper sends of those lines."""
    builder = RecordBuilder(
        identity=Identity(
            instance_id=instance, image_id="ami-0demo", group="web", instance_type="t3.small",
            availability_zone="eu-central-1a",
        ),
        stream=stream, source=source, path=path, index=index_name("logs", BEGIN),
    )  # fmt: skip
    records = frame("".join(f"{one}\n" for one in lines).encode())
    return split_items(
        builder.build(Records.of(records, offset), BEGIN + 7_300 * NANOS_PER_SECOND).body
    )


def vitals(action: str, second: float, instance: str, stream: str, **more: object) -> bytes:
    """One vitals document."""
    fields: dict[str, object] = {
        "@timestamp": at(second), "event.created": at(second), "event.action": action,
        "event.dataset": "afterimage.vitals", "afterimage.stream": stream, "afterimage.run": 1,
        "cloud.instance.id": instance, "host.image.id": "ami-0demo",
        "aws.autoscaling.group.name": "web", "message": f"{action} of the shipper on {instance}",
        **more,
    }  # fmt: skip
    return build_document("vitals", f"{stream}-v-{action}-{second}", fields)


def death() -> list[bytes]:
    """Two hours of one instance that runs out of memory, and of one that stays."""
    lines = [line(second, f"INFO request {second} served in 12 ms") for second in range(5_400)]
    lines += [line(7_080 + n, f"WARN heap at {80 + n} %") for n in range(20)]
    lines += [line(7_101, "ERROR worker failed"), "Traceback (most recent call last):"]
    lines += ['  File "app.py", line 12, in serve', "MemoryError: no more"]
    path = "/var/log/app/service.log"
    size = len("".join(f"{one}\n" for one in lines).encode())
    counters = [{"source": 1, "read": size, "acked": size, "size": size}]
    alive = [line(second, "INFO all well") for second in range(0, 7_200, 10)]
    return [
        vitals("birth", 0, DEAD, DEAD_STREAM),
        vitals("source", 0, DEAD, DEAD_STREAM, **{"afterimage.source": 1, "log.file.path": path}),
        *log_items(lines, instance=DEAD, stream=DEAD_STREAM, path=path),
        vitals("heartbeat", 7_110, DEAD, DEAD_STREAM, **{"afterimage.sources": counters}),
        vitals("birth", 0, ALIVE, ALIVE_STREAM),
        *log_items(alive, instance=ALIVE, stream=ALIVE_STREAM, path="/var/log/app/service.log"),
        vitals("heartbeat", 8_990, ALIVE, ALIVE_STREAM),
    ]


def fill(path: Path, items: Sequence[bytes]) -> None:
    """Put `_bulk` items into the store at `path`, which is made if it is not there."""
    documents = []
    for item in items:
        head, body = item.decode().split("\n")[:2]
        create = parse_document(head)
        documents.append(
            NewDocument(
                index=create["create._index"], id=create["create._id"], body=body,
                fields=parse_document(body),
            )
        )  # fmt: skip
    with closing(open_for_writing(path)) as connection:
        _insert(connection, documents)


def _insert(connection: sqlite3.Connection, documents: Sequence[NewDocument]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    insert(connection, documents, BEGIN + 7_300 * NANOS_PER_SECOND)
    connection.execute("COMMIT")
