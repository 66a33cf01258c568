"""Which chunks of Forward clients a spool holds or has held, so that none is stored twice.

In: the key of a chunk and where its lines are about to stand. Out: which keys are known, also after
a restart. An entry is durable before its lines are written, and says how they must look: after a
crash the lines tell whether they are all there. Of all entries only the last can be in doubt. It
must never call a chunk known whose lines are not durable.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from shipper.durable import (
    FILE_MODE,
    put_in_place,
    sync_data,
    sync_folder,
    write_all,
    writing_beside,
)
from shipper.narration import narrate
from shipper.wire.state import format_line, parse_line

KNOWN_CHUNKS: Final = 16_384
"""How many are remembered: hours of a busy client; one key takes about 150 bytes."""

_KEYS_A_LINE: Final = 64


class ChunkRange(NamedTuple):
    """Where a chunk's lines stand in a segment, and their CRC-32."""

    key: bytes
    start: int
    end: int
    crc: int


_NOTHING: Final[tuple[int, Sequence[ChunkRange]]] = (-1, ())


class ChunkJournal:
    """The file `chunks` of a spool; used by one thread."""

    def __init__(self, path: Path, *, known_limit: int = KNOWN_CHUNKS) -> None:
        """Read it; OSError: it can't be used."""
        self.known: dict[bytes, None] = {}
        """The keys of stored chunks, oldest first."""
        self._path = path
        self._known_limit = known_limit
        self._file = -1
        self._size = 0
        """Where the next entry goes; what stands beyond was withdrawn."""
        self._is_dirty = False
        self._written_keys = 0
        self._last = _NOTHING
        self._last_size = 0
        self.ends: dict[int, int] = {}
        """Of each segment that was found, the end of what was said of it."""
        self._load()

    def doubtful(self, segment: int) -> Sequence[ChunkRange]:
        """What the last entry says of a segment: its lines have to be looked at."""
        found, chunks = self._last
        return chunks if found == segment else ()

    def forget(self, keys: Iterable[bytes]) -> None:
        """These chunks' lines are not there: after a crash, or cut off."""
        for key in keys:
            self.known.pop(key, None)
        self._rewrite()

    def append(self, segment: int, chunks: Sequence[ChunkRange]) -> None:
        """Say what is about to be written; durable when this returns.

        `confirm` or `withdraw` must follow. OSError: nothing was said.
        """
        self._settle()
        data = _format_entry(segment, chunks)
        if self._file < 0:
            self._open()
        self._is_dirty = True
        write_all(self._file, data, self._size)
        sync_data(self._file)
        self._last = (segment, chunks)
        self._last_size = len(data)

    def confirm(self) -> None:
        """The lines of what was said last are durable."""
        self._size += self._last_size
        self._is_dirty = False
        chunks = self._last[1]
        self._written_keys += len(chunks)
        self._learn(chunk.key for chunk in chunks)
        if self._written_keys >= 2 * self._known_limit:
            try:
                self._rewrite()
            except OSError as error:  # the old file holds; it is only long
                narrate("warning", f"{self._path} could not be made smaller: {error}")

    def withdraw(self) -> None:
        """The lines of what was said last are not there. OSError: the next `append` tries again."""
        self._settle()

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path, flags, FILE_MODE)
        try:
            sync_folder(self._path.parent)  # else a power cut may leave no file, or the one before
        except OSError:
            self.close()
            raise

    def _settle(self) -> None:
        """Nothing that was withdrawn may stand before what is said next."""
        if self._is_dirty and self._file >= 0:
            os.ftruncate(self._file, self._size)
            sync_data(self._file)
        self._is_dirty = False

    def _learn(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self.known[key] = None
        while len(self.known) > self._known_limit:
            del self.known[next(iter(self.known))]

    def _load(self) -> None:
        damaged = 0
        try:
            with self._path.open("rb") as file:
                for line in file:
                    try:
                        self._last = _parse_entry(line)
                    except ValueError:
                        damaged += 1  # torn: its lines were never written; altered: forgotten
                        continue
                    segment, chunks = self._last
                    self._learn(chunk.key for chunk in chunks)
                    for chunk in chunks:
                        self.ends[segment] = max(chunk.end, self.ends.get(segment, 0))
                    self._written_keys += len(chunks)
                    self._size += len(line)
        except FileNotFoundError:
            return
        if damaged:
            narrate("warning", f"{self._path}: {damaged} entries are torn or damaged: left out")
        if damaged or self._written_keys >= 2 * self._known_limit:
            self._rewrite(doubtful=self._last)

    def _rewrite(self, *, doubtful: tuple[int, Sequence[ChunkRange]] = _NOTHING) -> None:
        """Only the keys, without places, but for the entry whose lines nobody has looked at yet.

        That one stays as it is, and last: another crash must not make its chunks known.
        """
        unseen = {chunk.key for chunk in doubtful[1]}
        keys = [key for key in self.known if key not in unseen]
        size = 0
        with writing_beside(self._path, sync=True) as file:
            for start in range(0, len(keys), _KEYS_A_LINE):
                ranges = [
                    ChunkRange(key=key, start=0, end=0, crc=0)
                    for key in keys[start : start + _KEYS_A_LINE]
                ]
                entry = _format_entry(-1, ranges)
                write_all(file, entry, None)
                size += len(entry)
            if doubtful[1]:
                entry = _format_entry(*doubtful)
                write_all(file, entry, None)
                size += len(entry)
        put_in_place(self._path)
        self.close()
        self._size = size
        self._written_keys = len(keys) + len(unseen)
        self._is_dirty = False
        self._last = doubtful
        sync_folder(self._path.parent)  # after all that tells the next entry where to go


def _format_entry(segment: int, chunks: Sequence[ChunkRange]) -> bytes:
    ranges = [[chunk.key.hex(), chunk.start, chunk.end, chunk.crc] for chunk in chunks]
    return format_line({"segment": segment, "chunks": ranges})


def _parse_entry(line: bytes) -> tuple[int, Sequence[ChunkRange]]:
    """One entry; ValueError: torn or altered."""
    if not line.endswith(b"\n"):
        raise ValueError("an entry without its line feed was torn")
    value: dict[str, Any] = parse_line(line)
    try:
        chunks = [
            ChunkRange(key=bytes.fromhex(key), start=int(start), end=int(end), crc=int(crc))
            for key, start, end, crc in value["chunks"]
        ]
        return int(value["segment"]), chunks
    except (KeyError, TypeError) as error:
        raise ValueError(f"an entry lacks {error}") from error
