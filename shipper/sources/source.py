"""One file that is followed: where it is, how far it was read, and reading on from there.

In: a source's rows, and what an earlier run knew. Out: whole records, each known by its place.
Every read compares the bytes before its offset, so that a truncated or replaced file is seen. It
must never give out a byte twice, nor one whose record could be framed otherwise later.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shipper.ports import CHUNK_BYTES, LONG_CHUNK_BYTES
from shipper.sources.acks import AckedPrefix
from shipper.sources.rotation import FileId
from shipper.wire.framing import frame_with_cuts
from shipper.wire.record import RecordBuilder
from shipper.wire.state import (
    FINGERPRINT_BYTES,
    TAIL_BYTES,
    Progress,
    SourceRow,
    fingerprint,
    tail_digest,
)

_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class ReplacedError(Exception):
    """The bytes that were read before are not there any more: truncated, or another file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Records of one source that follow each other and go to one index."""

    source: int
    start: int
    end: int
    tail: bytes
    """The last bytes before `end`."""
    records: Sequence[bytes]
    read_at_nanos: int
    builder: RecordBuilder

    def build(self) -> Sequence[bytes]:
        """One `_bulk` item per record."""
        return self.builder.build(self.records, self.start, self.read_at_nanos)

    def build_plain(self, item: int) -> bytes:
        """One record as base64 and read time alone."""
        offset = self.start + sum(map(len, self.records[:item]))
        return self.builder.build_plain(self.records[item], offset, self.read_at_nanos)

    def raw_bytes(self, item: int) -> int:
        """The record's length."""
        return len(self.records[item])

    @property
    def body_bytes(self) -> int:
        """About how large its items are."""
        return self.end - self.start + len(self.records) * self.builder.item_bytes


class Source:
    """The n-th file of a stream, from its first byte on. One thread's."""

    def __init__(
        self,
        rows: Sequence[SourceRow],
        *,
        cuts: Sequence[int] = (),
        progress: Progress | None = None,
    ) -> None:
        """`progress`: an earlier run's; None: this run found the file."""
        first = rows[0]
        self.number = first.source
        self.file_id: FileId = (first.device, first.inode)
        self.first_path = first.path
        self.path = first.path
        """Where it is now, as far as known."""
        self.rows = list(rows)
        self.is_verified = progress is None
        """Whether this run has seen the file and knows it to be the one."""
        self.adopted_size = 0
        """The size when this run found it: an earlier run may have sent up to there."""

        progress = progress or Progress(acked=0, size=0)
        self.cuts = [cut for cut in cuts if cut > progress.acked]
        self.offset = progress.acked
        """Where the next record starts."""
        self.size = progress.size
        self.known_end = progress.size
        """Up to where the bytes were there when last compared: what is lost if it is truncated."""
        self.until: int | None = None
        """Where reading ends, once the shipper drains."""
        self.acks = AckedPrefix(progress.acked)
        self.dead_lettered = progress.dead_lettered
        self.published_rows = progress.published_rows
        self.unpublished_gaps = 0

        self.file: int | None = None
        self.grown_at = 0.0
        """When it last changed (monotonic seconds)."""
        self.missing_at: float | None = None
        """Since when no pattern names it: renamed or deleted."""
        self.barren_size = -1
        """At this size no whole record was left: it is not read again until it grows."""
        self.ended = False
        """Nothing more will be read from it."""
        self.error = ""
        self._earlier_tail = progress.tail
        self._tail: bytes | None = None if progress.acked else b""
        self.mtime_ns = 0
        self._touched = False
        self._builder: tuple[SourceRow, RecordBuilder] | None = None

    @property
    def target(self) -> int:
        """How far there is something to read now."""
        return self.size if self.until is None else min(self.size, self.until)

    @property
    def has_unread(self) -> bool:
        """Whether a read may find records, or find the file replaced."""
        if self.size < self.offset or self._touched:
            return True
        return self.target > self.offset and self.target != self.barren_size

    @property
    def has_partial(self) -> bool:
        """Whether a last line without its newline waits."""
        return self.target > self.offset and self.target == self.barren_size

    @property
    def is_settled(self) -> bool:
        """Whether all that was read is acknowledged."""
        return self.acks.position >= self.offset

    def open(self) -> None:
        """Open the file where it was last seen, and check that it is as it was.

        Raises:
            FileNotFoundError: it is somewhere else now.
            ReplacedError: it was truncated or overwritten.
            OSError: it can't be opened.
        """
        file = open_file(self.path)
        try:
            found = os.fstat(file)
            self._check_identity(file, found)
        except BaseException:
            os.close(file)
            raise
        self.file = file
        self.note_stat(found)
        if not self.is_verified:
            self.is_verified = True
            self.adopted_size = found.st_size

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.file is not None:
            os.close(self.file)
            self.file = None

    def note_stat(self, found: os.stat_result) -> bool:
        """Take over size and time; whether the file changed."""
        if found.st_size == self.size and found.st_mtime_ns == self.mtime_ns:
            return False
        # written to without growing: only comparing its bytes tells whether it was replaced
        self._touched = found.st_size == self.size and self.mtime_ns != 0
        self.size = found.st_size
        self.mtime_ns = found.st_mtime_ns
        return True

    def read(self) -> Sequence[bytes]:
        """Whole records from `offset` on, all of one row; does not move on (see `take`).

        Raises:
            ReplacedError: the file is not what it was.
            OSError: it can't be read.
        """
        chunk = self._read_chunk(CHUNK_BYTES)
        records = frame_with_cuts(chunk, self.offset, self.cuts)
        if not records and len(chunk) == CHUNK_BYTES:
            chunk = self._read_chunk(LONG_CHUNK_BYTES)
            records = frame_with_cuts(chunk, self.offset, self.cuts)
        self._touched = False
        self.known_end = max(self.known_end, self.offset + len(chunk))
        if not records:
            self.barren_size = self.offset + len(chunk)
            self.size = max(self.size, self.barren_size)
        _, following = self.row_at(self.offset)
        if following is not None and following < self.offset + len(chunk):
            records = _starting_before(following - self.offset, records)
        return records

    def take(self, records: Sequence[bytes]) -> tuple[int, int, bytes]:
        """Move past `records`; their start, their end, and the last bytes before the end."""
        start = self.offset
        self.offset += sum(map(len, records))
        tail = records[-1][-TAIL_BYTES:]
        if len(tail) < TAIL_BYTES:
            tail = b"".join((self._tail or b"", *records[-TAIL_BYTES:]))[-TAIL_BYTES:]
        self._tail = tail
        self.size = max(self.size, self.offset)
        while self.cuts and self.cuts[0] <= self.offset:
            del self.cuts[0]
        return start, self.offset, tail

    def read_head(self) -> bytes:
        """The bytes that a fingerprint is made of."""
        return b"" if self.file is None else os.pread(self.file, FINGERPRINT_BYTES, 0)

    def row_at(self, offset: int) -> tuple[SourceRow, int | None]:
        """The row of a record that starts at `offset`, and where the next row begins."""
        following: int | None = None
        for row in reversed(self.rows):
            if row.from_offset <= offset:
                return row, following
            following = row.from_offset
        return self.rows[0], following

    def builder(self, row: SourceRow, make: Callable[[SourceRow], RecordBuilder]) -> RecordBuilder:
        """The builder of a row's records; kept, since the next record is of the same row."""
        if self._builder is None or self._builder[0] is not row:
            self._builder = (row, make(row))
        return self._builder[1]

    def progress(self) -> Progress:
        """What a checkpoint keeps."""
        tail = self.acks.tail
        return Progress(
            acked=self.acks.position,
            size=max(self.size, self.offset),
            tail=tail_digest(tail) if tail else self._earlier_tail,
            dead_lettered=self.dead_lettered,
            published_rows=self.published_rows,
        )

    def _read_chunk(self, size_bytes: int) -> bytes:
        if self.file is None or self._tail is None:
            raise ReplacedError("it was not opened")
        if self.until is not None:
            size_bytes = max(0, min(size_bytes, self.until - self.offset))
        back = len(self._tail)
        data = os.pread(self.file, back + size_bytes, self.offset - back)
        if not data.startswith(self._tail):
            raise ReplacedError("the bytes before the offset have changed")
        return data[back:]

    def _check_identity(self, file: int, stat: os.stat_result) -> None:
        """Compare id, start and the bytes before the offset with what is known of them."""
        if (stat.st_dev, stat.st_ino) != self.file_id:
            raise FileNotFoundError(errno.ENOENT, "another file has its path", self.path)
        row = self.rows[-1]
        head = os.pread(file, row.fingerprint_bytes, 0)
        if len(head) < row.fingerprint_bytes or fingerprint(head) != row.fingerprint:
            raise ReplacedError("its first bytes have changed")
        back = min(TAIL_BYTES, self.offset) if self._tail is None else len(self._tail)
        found = os.pread(file, back, self.offset - back)
        if len(found) < back or (self._tail is not None and found != self._tail):
            raise ReplacedError("the bytes before the offset have changed")
        if self._tail is None:
            if self._earlier_tail and tail_digest(found) != self._earlier_tail:
                raise ReplacedError("the bytes before the offset have changed")
            self._tail = self.acks.tail = found


def open_file(path: str) -> int:
    """A descriptor to read `path` by, never waiting for a pipe's other end."""
    return os.open(path, _OPEN_FLAGS)


def _starting_before(limit: int, records: list[bytes]) -> list[bytes]:
    """The first records, those that start less than `limit` bytes after the first one's start."""
    at = 0
    for count, record in enumerate(records):
        if at >= limit:
            return records[:count]
        at += len(record)
    return records
