"""The demo's count: what the services wrote, byte by byte, against what the store gives back.

In: a machine's log files, and what its service says it logged to the socket, from its disk; and the
store. Out: bytes written, stored and missing, and records stored twice. Both are counted here, not
by the shipper, and compared with the bytes that `forensics raw` prints.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forensics.demo.machine import Machine
from forensics.proof.pieces import Bytes, Dropped, Hole
from forensics.proof.raw import read_path
from forensics.store.protocol import Query, Store
from shipper.wire.record import RecordKey, parse_record_id

_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAudit:
    """One path of one instance."""

    instance_id: str
    path: str
    files: tuple[str, ...]
    """The files on the instance's disk that make it up, oldest first."""
    written_bytes: int
    stored_bytes: int
    """How many of the written bytes came back, at their place and unaltered."""
    repeated_records: int

    @property
    def missing_bytes(self) -> int:
        """Written, and not given back as written."""
        return self.written_bytes - self.stored_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EventAudit:
    """What one instance's service logged to its shipper's socket."""

    instance_id: str
    name: str
    """Of the source."""
    events: int
    written_bytes: int
    """Of the messages, in UTF-8."""
    stored_bytes: int
    """How many of them came back, in their order and unaltered."""
    repeated_records: int

    @property
    def missing_bytes(self) -> int:
        """Logged, and not given back as it was."""
        return self.written_bytes - self.stored_bytes


async def audit_events(store: Store, machine: Machine) -> list[EventAudit]:
    """Compare what a machine's service handed to the shipper with the store; none: empty."""
    if not machine.forwards:
        return []
    name = f"forward:unix://{machine.socket}"
    said = [json.loads(line) for line in machine.said.read_text("utf-8").splitlines()]
    lines = b""
    async for piece in read_path(store, machine.instance_id, name):
        if isinstance(piece, Bytes):
            lines += piece.data
    stored = [json.loads(line)["record"]["message"] for line in lines.splitlines()]
    pairs = zip(said, stored, strict=False)
    return [
        EventAudit(
            instance_id=machine.instance_id,
            name=name,
            events=len(said),
            written_bytes=sum(len(message.encode()) for message in said),
            stored_bytes=sum(len(one.encode()) for one, other in pairs if one == other),
            repeated_records=max(0, len(stored) - len(said)),
        )
    ]


async def audit_machine(store: Store, machine: Machine) -> list[FileAudit]:
    """Compare every log file of a machine with the store."""
    return [
        await _audit_path(store, machine, path, generations)
        for path, generations in sorted(_generations(machine.logs).items())
    ]


def _generations(folder: Path) -> dict[Path, list[Path]]:
    """`app.log` → its files, oldest first: app.log.2, app.log.1, app.log."""
    found: dict[Path, list[tuple[int, Path]]] = {}
    for file in folder.iterdir():
        match = re.fullmatch(r"(.+\.log)(?:\.(\d+))?", file.name)
        if match is not None:
            found.setdefault(folder / match[1], []).append((-int(match[2] or 0), file))
    return {path: [file for _, file in sorted(files)] for path, files in found.items()}


async def _audit_path(
    store: Store, machine: Machine, path: Path, generations: list[Path]
) -> FileAudit:
    written = sum(file.stat().st_size for file in generations)
    wanted = _Reader(generations)
    stored = 0
    async for piece in read_path(store, machine.instance_id, str(path)):
        if isinstance(piece, Bytes):
            stored += _equal_bytes(wanted.take(len(piece.data)), piece.data)
        elif isinstance(piece, Hole | Dropped):
            wanted.take(piece.end - piece.start)
    return FileAudit(
        instance_id=machine.instance_id,
        path=str(path),
        files=tuple(map(str, generations)),
        written_bytes=written,
        stored_bytes=stored,
        repeated_records=await _repeated_records(store, machine, path),
    )


def _equal_bytes(wanted: bytes, got: bytes) -> int:
    if wanted == got:
        return len(got)
    return sum(a == b for a, b in zip(wanted, got, strict=False))


async def _repeated_records(store: Store, machine: Machine, path: Path) -> int:
    """Records that start below the end of the one before them, over all sources of the path."""
    query = Query(instance_ids=frozenset((machine.instance_id,)), paths=frozenset((str(path),)))
    places: list[RecordKey] = []
    after = None
    while True:
        page = await store.page(query, after=after)
        places += (parse_record_id(document.id) for document in page.documents)
        if not page.more:
            break
        after = page.documents[-1].cursor
    repeated = 0
    ends: dict[tuple[str, int], int] = {}
    for place in sorted(places):
        end = ends.get((place.stream, place.source), 0)
        repeated += place.offset < end
        ends[place.stream, place.source] = max(end, place.offset + place.length)
    return repeated


class _Reader:
    """The bytes of several files as one, taken from the front."""

    def __init__(self, files: list[Path]) -> None:
        self._chunks = _read_chunks(files)
        self._rest = b""

    def take(self, size: int) -> bytes:
        while len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def _read_chunks(files: list[Path]) -> Iterator[bytes]:
    for file in files:
        with file.open("rb") as opened:
            while chunk := opened.read(_CHUNK_BYTES):
                yield chunk
