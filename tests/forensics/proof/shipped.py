"""What a shipper sends of its sources, of every kind, and a store that takes it in."""

from __future__ import annotations

import hashlib
from pathlib import Path

from forensics.collect.writer import Writer
from forensics.proof.pieces import Bytes, Hole, Piece
from forensics.proof.raw import read_path
from forensics.store.sqlite import SqliteStore
from shipper.wire.builder import RecordBuilder
from shipper.wire.framing import frame
from shipper.wire.record import Identity
from shipper.wire.records import Records
from shipper.wire.shapes import Shape
from shipper.wire.state import SourceRow
from shipper.wire.times import parse_time
from shipper.wire.transforms import Drop
from shipper.wire.vitals import VitalsWriter

INSTANCE = "i-0a"
PATH = "/var/log/app.log"
NOON = "2026-01-03T12:00:00.000000000Z"
IDENTITY = Identity(instance_id=INSTANCE)


class Stream:
    """What one shipper sends, as `_bulk` bodies."""

    def __init__(self, name: str, run: int = 1) -> None:
        self.name = name * 16
        self._vitals = VitalsWriter(identity=IDENTITY, stream=self.name, run=run)

    def row(
        self,
        source: int,
        content: bytes,
        *,
        at: str = NOON,
        inode: int = 7,
        from_offset: int = 0,
        kind: str = "file",
        name: str = "",
    ) -> bytes:
        """The source document of a file whose first bytes are `content`."""
        row = SourceRow(
            source=source,
            path=PATH,
            device=1,
            inode=inode,
            fingerprint=hashlib.sha256(content[:1024]).hexdigest(),
            fingerprint_bytes=len(content[:1024]),
            day=at[:10],
            from_offset=from_offset,
            at=at,
            kind=kind,
            name=name,
        )
        return self._vitals.source(row, at).build()

    def lines(
        self,
        source: int,
        content: bytes,
        *,
        start: int = 0,
        end: int | None = None,
        day: int = 3,
        name: str = "",
    ) -> bytes:
        """The records of `content[start:end]`."""
        records = Records.of(frame(content[start:end], final=True), start)
        return self.records(source, records, day=day, name=name)

    def records(
        self,
        source: int,
        records: Records,
        *,
        day: int = 3,
        name: str = "",
        shape: Shape | None = None,
    ) -> bytes:
        """Those records."""
        builder = RecordBuilder(
            identity=IDENTITY,
            stream=self.name,
            source=source,
            path=name or PATH,
            index=f"afterimage-logs-2026.01.{day:02}",
            shape=shape,
        )
        return builder.build(records, parse_time(NOON)).body

    def drop(
        self, source: int, start: int, end: int, count: int, reason: str, *, name: str = ""
    ) -> bytes:
        """A tile for records that a rule left out."""
        drop = Drop(start=start, end=end, count=count, reason=reason)
        return self._vitals.drop(NOON, source=source, path=name or PATH, drop=drop).build()

    def heartbeat(self, source: int, *, read: int, acked: int, size: int, dead: int = 0) -> bytes:
        """How far that source is."""
        told = [{"source": source, "read": read, "acked": acked, "size": size}]
        return self._vitals.heartbeat(NOON, {"dead_lettered_bytes": dead}, told).build()

    def gap(self, source: int, start: int, end: int, reason: str) -> bytes:
        """A gap that the shipper declares."""
        return self._vitals.gap(
            NOON,
            source=source,
            path=PATH,
            start=start,
            end=end,
            cause="vanished",
            reason=reason,
        ).build()


class Loaded:
    """A store, and the collector's writer in front of it."""

    def __init__(self, path: Path, writer: Writer, store: SqliteStore) -> None:
        self.path = path
        self.store = store
        self._writer = writer

    def load(self, *bodies: bytes) -> None:
        """Store bodies as the collector does."""
        for body in bodies:
            stored = self._writer.submit(body, "").result(10)
            assert [] == [item for item in stored.items if item.error]

    async def pieces(self, path: str = PATH) -> list[Piece]:
        """All pieces."""
        return [piece async for piece in read_path(self.store, INSTANCE, path)]

    async def read(self, path: str = PATH) -> tuple[bytes, list[Hole]]:
        """All bytes, and all holes."""
        pieces = await self.pieces(path)
        data = b"".join(piece.data for piece in pieces if isinstance(piece, Bytes))
        return data, [piece for piece in pieces if isinstance(piece, Hole)]
