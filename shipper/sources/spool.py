"""Segment files for input that can't be read twice: durable first, followed like any file after.

In: lines. Out: files `<number>.seg` that only ever grow, of which all but the last are sealed, and
whose numbers are never used twice. One thread appends, any other may look and remove. It must never
return from `append` before the disk has the lines, and never hold more than the budget allows.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from shipper.durable import FILE_MODE, replace, sync_data, sync_folder, write_all
from shipper.errors import StateError
from shipper.narration import narrate
from shipper.sources.chunk_journal import ChunkJournal, ChunkRange
from shipper.wire.state import format_line, parse_line

SEGMENT_BYTES: Final = 8 << 20
IDLE_SECONDS: Final = 30.0
"""A segment that nobody wrote to for so long is sealed, so that it can go when it is shipped."""

_SUFFIX: Final = ".seg"
_READ_BYTES: Final = 64 << 10
_LINES_A_WRITE: Final = 4096


class SpoolFullError(Exception):
    """The budget has no room: ask again when segments were shipped and removed."""


class Chunk(NamedTuple):
    """Lines that a client wants acknowledged together."""

    key: bytes
    """Names the client's chunk and its content."""
    first_line: int
    line_count: int
    """`lines[first_line:first_line + line_count]` of one `append`."""


class SpoolBudget:
    """How many bytes all spools of a shipper may occupy together. Any thread may call it."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._used = 0
        self._lock = threading.Lock()
        self._is_pressed = False

    @property
    def used_bytes(self) -> int:
        """How many are taken."""
        return self._used

    @property
    def is_pressed(self) -> bool:
        """Whether somebody waits for room."""
        return self._is_pressed

    def take(self, size_bytes: int) -> bool:
        """Take room; False: there is none. Empty spools take anything, else it would never go."""
        with self._lock:
            if self._used and self._used + size_bytes > self.limit_bytes:
                self._is_pressed = True
                return False
            self._used += size_bytes
            self._is_pressed = False
            return True

    def note_found(self, size_bytes: int) -> None:
        """Count what an earlier run left, whether there is room or not."""
        with self._lock:
            self._used += size_bytes

    def give(self, size_bytes: int) -> None:
        """Give room back."""
        with self._lock:
            self._used -= size_bytes


class Spool:
    """One source's segments."""

    def __init__(
        self,
        directory: Path,
        *,
        budget: SpoolBudget,
        segment_bytes: int = SEGMENT_BYTES,
        keeps_torn: bool = False,
    ) -> None:
        """Open it, creating what is missing; all that is there is sealed.

        `keeps_torn`: a last line without a line feed is data (standard input); else it is what a
        crash left of something that was never acknowledged, and is cut off.

        Raises:
            StateError: the folder can't be used.
        """
        self.directory = directory
        self._budget = budget
        # several of them have to fit, else nothing is ever sealed before the budget is full
        self._segment_bytes = max(1, min(segment_bytes, budget.limit_bytes // 4))
        self._lock = threading.Lock()
        self._sizes: dict[int, int] = {}
        self._current: int | None = None
        self._file = -1
        self._ends_line = True
        self._written_at = 0.0
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._chunks = ChunkJournal(directory / "chunks")
            for number in self._listed():
                self._sizes[number] = self._path(number).stat().st_size
            if self._sizes and not keeps_torn:
                self._cut_unfinished(max(self._sizes))
            self._tell_missing()
            self._next = self._load_next()
        except OSError as error:
            raise self._unusable(error) from error
        budget.note_found(sum(self._sizes.values()))

    def append(self, lines: Sequence[bytes], *, chunks: Sequence[Chunk] = ()) -> None:
        """Write lines, in one segment; when this returns they survive a power cut.

        Raises:
            SpoolFullError: the budget has no room.
            StateError: the disk did not take them (full, read-only); none of them is there.
        """
        size = sum(map(len, lines))
        if not size:
            return
        if not self._budget.take(size):
            self.seal()  # what is full can only be removed once it is sealed
            raise SpoolFullError
        try:
            self._write(size, lines, chunks)
        except OSError as error:
            self._budget.give(size)
            self.seal()  # where the disk is full, too: what is shipped makes room
            raise self._unusable(error) from error

    def is_known(self, key: bytes) -> bool:
        """Whether a chunk of this key is stored. The latest `KNOWN_CHUNKS` are remembered."""
        return key in self._chunks.known

    def segments(self) -> list[Path]:
        """Every segment, oldest first."""
        with self._lock:
            return [self._path(number) for number in sorted(self._sizes)]

    def is_sealed(self, path: Path) -> bool:
        """Whether nothing will be written to this segment any more."""
        with self._lock:
            return _number(path) != self._current

    def committed_bytes(self, path: Path) -> int:
        """How many bytes of the segment are durable: what stands beyond may be cut off again."""
        with self._lock:
            return self._sizes.get(_number(path), 0)

    def remove(self, path: Path) -> None:
        """Delete a sealed segment that was shipped whole.

        Raises:
            ValueError: it is still written to.
            StateError: the folder refuses it.
        """
        number = _number(path)
        if not self.is_sealed(path):
            raise ValueError(f"{path} is still written to")
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        with self._lock:
            size = self._sizes.pop(number, 0)
        self._budget.give(size)

    def seal(self) -> None:
        """Write no more to the present segment; the next lines begin another."""
        if self._current is None:
            return
        os.close(self._file)
        with self._lock:
            number, self._current = self._current, None
            is_empty = not self._sizes[number]
        if is_empty:
            with contextlib.suppress(StateError):
                self.remove(self._path(number))

    def tend(self) -> None:
        """Seal a segment that is idle, or that keeps others from room; call it now and then."""
        if self._current is not None and (
            self._budget.is_pressed or time.monotonic() - self._written_at >= IDLE_SECONDS
        ):
            self.seal()

    def close(self) -> None:
        """Let go of every descriptor."""
        self.seal()
        self._chunks.close()

    # ---- writing

    def _write(self, size: int, lines: Sequence[bytes], chunks: Sequence[Chunk]) -> None:
        number = self._writable()
        start = self._sizes[number]
        if chunks:
            self._chunks.append(number, _ranges(start, lines, chunks))
        try:
            _write_lines(self._file, lines, start)
            sync_data(self._file)
        except OSError:
            # nothing of it may stay: half a line, or a chunk that its client sends again
            with contextlib.suppress(OSError):
                self._chunks.withdraw()
            try:
                os.ftruncate(self._file, start)
            except OSError:
                self.seal()
            raise
        with self._lock:
            self._sizes[number] = start + size
        self._ends_line = next(line for line in reversed(lines) if line).endswith(b"\n")
        self._written_at = time.monotonic()
        if chunks:
            self._chunks.confirm()

    def _writable(self) -> int:
        """The segment to write to, begun if need be. A line stays in one, unless it is endless."""
        if self._current is not None:
            size = self._sizes[self._current]
            is_full = size >= self._segment_bytes and self._ends_line
            if not is_full and size < 2 * self._segment_bytes:
                return self._current
            self.seal()
        number = self._next
        replace(self.directory / "next", format_line({"next": number + 1}), sync=True)
        self._next = number + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.open(self._path(number), flags, FILE_MODE)
        sync_folder(self.directory)
        self._ends_line = True
        with self._lock:
            self._current = number
            self._sizes[number] = 0
        return number

    # ---- opening

    def _listed(self) -> list[int]:
        return [
            int(path.stem)
            for path in self.directory.iterdir()
            if path.suffix == _SUFFIX and path.stem.isdecimal()
        ]

    def _load_next(self) -> int:
        """A number above all that were ever used."""
        above = max(self._sizes, default=0) + 1
        path = self.directory / "next"
        try:
            found = parse_line(path.read_bytes())["next"]
            if isinstance(found, int):
                return max(found, above)
        except FileNotFoundError:
            return above
        except (ValueError, KeyError):
            pass
        # one segment a second since 1970 would be needed to have used as many
        narrate("warning", f"{path} is damaged: segments are numbered by the clock from here on")
        return max(int(time.time()), above)

    def _tell_missing(self) -> None:
        """Say which segments are shorter than what was acknowledged: the disk lost it, not we."""
        for number, size in self._sizes.items():
            if (end := self._chunks.ends.get(number, 0)) > size:
                narrate(
                    "warning", f"{self._path(number)}: {end - size} acknowledged bytes are gone"
                )

    def _cut_unfinished(self, number: int) -> None:
        """Take off what a crash left half written; none of it was acknowledged.

        A chunk that is there to its end was written: where its bytes are others, the disk altered
        them since, and they are shipped as they are. Only what a power cut left out reads as zeros.
        """
        path = self._path(number)
        size = self._sizes[number]
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            end = _last_line_end(file, size)
            missing: list[bytes] = []
            for chunk in self._chunks.doubtful(number):
                crc, has_zeros = _look(file, chunk.start, chunk.end)
                if missing or chunk.end > size or (crc != chunk.crc and has_zeros):
                    end = min(end, chunk.start)
                    self._chunks.ends[number] = min(chunk.start, self._chunks.ends[number])
                    missing.append(chunk.key)
                elif crc != chunk.crc:
                    end = max(end, chunk.end)
                    narrate(
                        "warning", f"{path}: bytes of a chunk were altered; shipped as they are"
                    )
            if end < size:
                os.ftruncate(file, end)
                sync_data(file)
                narrate("info", f"{path}: {size - end} bytes that a crash left unfinished cut off")
        finally:
            os.close(file)
        self._sizes[number] = end
        if missing:
            self._chunks.forget(missing)

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:016d}{_SUFFIX}"

    def _unusable(self, error: OSError) -> StateError:
        return StateError(
            f"the spool {self.directory} can't be used",
            why=str(error),
            next_step="give its file system space and write permission; senders wait meanwhile",
        )


def _number(path: Path) -> int:
    return int(path.stem)


def _ranges(start: int, lines: Sequence[bytes], chunks: Sequence[Chunk]) -> list[ChunkRange]:
    """Where each chunk's lines come to stand; chunks ascend and do not overlap."""
    ranges = []
    line = 0
    for chunk in chunks:
        start += sum(map(len, lines[line : chunk.first_line]))
        line = chunk.first_line + chunk.line_count
        end, crc = start, 0
        for one in lines[chunk.first_line : line]:
            end += len(one)
            crc = zlib.crc32(one, crc)
        ranges.append(ChunkRange(key=chunk.key, start=start, end=end, crc=crc))
        start = end
    return ranges


def _write_lines(file: int, lines: Sequence[bytes], offset: int) -> None:
    """In pieces, so that a large chunk is not in memory twice."""
    for first in range(0, len(lines), _LINES_A_WRITE):
        data = b"".join(lines[first : first + _LINES_A_WRITE])
        write_all(file, data, offset)
        offset += len(data)


def _last_line_end(file: int, size: int) -> int:
    """Where the last whole line of a file ends."""
    end = size
    while end:
        start = max(0, end - _READ_BYTES)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _look(file: int, start: int, end: int) -> tuple[int, bool]:
    """The CRC-32 of a range, and whether it has zeros, which no line that we write has."""
    crc, has_zeros = 0, False
    while start < end:
        data = os.pread(file, min(_READ_BYTES, end - start), start)
        if not data:
            break
        crc = zlib.crc32(data, crc)
        has_zeros = has_zeros or b"\0" in data
        start += len(data)
    return crc, has_zeros
