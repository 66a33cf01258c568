"""A store as shippers fill it: real records and vitals, through the collector's own writer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forensics.collect.writer import Writer
from shipper.wire.builder import RecordBuilder, split_items
from shipper.wire.framing import frame
from shipper.wire.record import Identity
from shipper.wire.records import Records
from shipper.wire.state import SourceRow
from shipper.wire.times import NANOS_PER_SECOND, format_time, parse_time
from shipper.wire.vitals import VitalsWriter

DEAD: Final = "i-0dead000000000001"
SILENT: Final = "i-0511e4700000000002"
HOSTILE: Final = "i-0bad0000000000003"
LONG: Final = "i-0c0ffee00000000004"
LONG_LINES: Final = tuple(f"line {number}" for number in range(1_234))
"""Longer than two pages of the store."""
PATH: Final = "/var/log/app.log"
EVIL_PATH: Final = "/var/log/[/red]\x1b[31m$(touch x).log"
DAY: Final = "2026-01-03"

DEAD_LINES: Final = (
    *(f"{DAY}T12:00:{second:02d}Z INFO served order {second}" for second in range(40)),
    f"{DAY}T12:00:41Z ERROR worker failed",
    "Traceback (most recent call last):",
    '  File "/srv/app.py", line 7, in serve',
    "MemoryError",
)
HOSTILE_LINES: Final = (
    b"\x1b[2J\x1b]0;owned\x07 clear\n",
    b"[/red] [bold]markup[/bold] [/\n",
    b"</pre><script>alert(1)</script> | ``` # x\n",
    b"\xff\xfe not UTF-8 \x00 NUL\n",
    "bidi \u202egpj.exe \u009b31m\u200b\n".encode(),
    b"x" * 1_000_000 + b"\n",
    b"last words without a newline",
)


def at(second: int) -> str:
    """A 30-character time: `second` seconds after noon."""
    return format_time(parse_time(f"{DAY}T12:00:00Z") + second * NANOS_PER_SECOND)


class StoreFile:
    """A SQLite store in a file, filled as the collector fills it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = Writer(path, disk_floor_bytes=0)
        self._writer.start()

    def close(self) -> None:
        """End the writer; the file stays."""
        self._writer.stop()

    def load(self, *bodies: bytes) -> None:
        """Store bodies as the collector does."""
        for body in bodies:
            stored = self._writer.submit(body, "").result(10)
            assert [] == [item for item in stored.items if item.error]

    def add_instance(
        self,
        instance_id: str,
        content: bytes,
        *,
        path: str = PATH,
        closed: bool = True,
        left_out: Sequence[int] = (),
        size: int | None = None,
        group: str = "shop",
    ) -> None:
        """A life: birth, source row, the records of `content` but those left out, and its end."""
        identity = Identity(
            instance_id=instance_id, image_id="ami-1", group=group, availability_zone="eu-west-1a"
        )
        stream = hashlib.sha256(instance_id.encode()).hexdigest()[:16]
        vitals = VitalsWriter(identity=identity, stream=stream, run=1)
        row = SourceRow(
            source=1,
            path=path,
            device=1,
            inode=7,
            fingerprint=hashlib.sha256(content[:1024]).hexdigest(),
            fingerprint_bytes=len(content[:1024]),
            day=DAY,
            from_offset=0,
            at=at(0),
        )
        told = [{"source": 1, "read": len(content), "acked": len(content), "size": size or 0}]
        counters = {"pending_bytes": 0, "read_bytes": len(content)}
        builder = RecordBuilder(
            identity=identity,
            stream=stream,
            source=1,
            path=path,
            index="afterimage-logs-2026.01.03",
        )
        items = split_items(
            builder.build(Records.of(frame(content, final=True), 0), parse_time(at(45))).body
        )
        kept = [item for number, item in enumerate(items) if number not in left_out]
        end = (
            vitals.closing(at(60), reason="SIGTERM", counters=counters, sources=told)
            if closed
            else vitals.heartbeat(at(50), counters, told)
        )
        self.load(
            vitals.birth(at(0), {"afterimage.shipper.version": "0.1.0"}).build(),
            vitals.source(row, at(0)).build(),
            b"".join(kept),
            end.build(),
        )


def content_of(lines: Sequence[str]) -> bytes:
    """Lines as a file's bytes."""
    return "".join(f"{line}\n" for line in lines).encode()
