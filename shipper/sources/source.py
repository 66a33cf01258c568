"""One file that is followed: where it is, how far it was read, and reading on from there.

In: a source's rows, and what an earlier run knew. Out: whole records, each known by its place.
Every read compares the bytes before its offset, so that a truncated or replaced file is seen. It
must never give out a byte twice, nor one whose record could be framed otherwise later.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from shipper.ports import CHUNK_BYTES, LONG_CHUNK_BYTES
from shipper.sources.followed import Followed
from shipper.sources.rotation import FileId
from shipper.sources.successors import Known, open_file
from shipper.sources.watch import Watch
from shipper.wire.framing import Framed, frame_chunk
from shipper.wire.state import (
    FINGERPRINT_BYTES,
    TAIL_BYTES,
    Progress,
    SourceRow,
    fingerprint,
    tail_digest,
)
from shipper.wire.transforms import Transform


class ReplacedError(Exception):
    """The bytes that were read before are not there any more: truncated, or another file."""


class Waiting(NamedTuple):
    """Bytes that were read and did not make a whole record yet."""

    start: int
    end: int
    seen_at_nanos: int


class Source(Followed):
    """The n-th file of a stream, from its first byte on. One thread's."""

    def __init__(
        self,
        rows: Sequence[SourceRow],
        *,
        cuts: Sequence[int] = (),
        progress: Progress | None = None,
    ) -> None:
        """`progress`: an earlier run's; None: this run found the file."""
        earlier = progress or Progress(acked=0, size=0)
        super().__init__(rows, earlier)
        last = rows[-1]
        self.file_id: FileId = (last.device, last.inode)
        self.path = last.path
        """Where it is now, as far as known."""
        self.watch: Watch | None = None
        """What it is followed for; None: no pattern has named it in this run."""
        self.is_verified = progress is None
        """Whether this run has seen the file and knows it to be the one."""
        self.adopted_size = 0
        """The size when this run found it: an earlier run may have sent up to there."""

        self.cuts = [cut for cut in cuts if cut > earlier.acked]
        self.known_end = earlier.size
        """Up to where the bytes were there when last compared: what is lost if it is truncated."""
        self.until: int | None = None
        """Where reading ends, once the shipper drains."""

        self.file: int | None = None
        self.is_watched = False
        """Whether the kernel tells of writes to it, while it is open."""
        self.grown_at = 0.0
        """When it last changed (monotonic seconds)."""
        self.missing_at: float | None = None
        """Since when no pattern names it: renamed or deleted."""
        self.barren_size = -1
        """At this size no whole record was left: it is not read again until it grows."""
        self._waiting: Waiting | None = None
        self.is_spent = False
        """Whether its file is a copy that has nothing beyond the offset: it only keeps its name."""
        self.is_removed = False
        """Whether its spool segment was removed."""
        self._earlier_tail = earlier.tail
        self._tail: bytes | None = None if earlier.acked else b""
        self.mtime_ns = 0
        self._touched = False
        self._transform: tuple[Watch | None, Transform | None] = (None, None)

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
    def has_unknown_rest(self) -> bool:
        """Whether there may be bytes that were never read."""
        return not self.is_verified or self.size > self.offset

    @property
    def has_partial(self) -> bool:
        """Whether a last line without its newline waits."""
        return self.target > self.offset and self.target == self.barren_size

    @property
    def told_size(self) -> int:
        """Until its bytes are compared, a grown size may be another file's."""
        return self.size if self.is_verified else self.known_end

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
        self.is_spent = self.is_spent and found.st_size < self.offset
        if self.is_spent:
            self.size = self.offset
            return False
        if found.st_size == self.size and found.st_mtime_ns == self.mtime_ns:
            return False
        # written to without growing: only comparing its bytes tells whether it was replaced
        self._touched = found.st_size == self.size and self.mtime_ns != 0
        self.size = found.st_size
        self.mtime_ns = found.st_mtime_ns
        return True

    def read(self) -> Framed | None:
        """Whole records from `offset` on, all of one row; does not move on (see `take`).

        None: there is none. Raises:
            ReplacedError: the file is not what it was.
            OSError: it can't be read.
        """
        if self.is_spent:
            return None
        framer = None if self.watch is None else self.watch.framer
        chunk = self._read_chunk(CHUNK_BYTES)
        framed = frame_chunk(chunk, self.offset, self.cuts, framer)
        if framed is None and len(chunk) == CHUNK_BYTES:
            chunk = self._read_chunk(LONG_CHUNK_BYTES)
            framed = frame_chunk(chunk, self.offset, self.cuts, framer)
        self._touched = False
        self.known_end = max(self.known_end, self.offset + len(chunk))
        if framed is None:
            self.barren_size = self.offset + len(chunk)
            self.size = max(self.size, self.barren_size)
            return None
        _, following = self.row_at(self.offset)
        if following is not None and following < self.offset + len(framed.data):
            framed = framed.starting_before(following - self.offset)
        return framed

    def take(self, framed: Framed) -> tuple[int, int, bytes]:
        """Move past what was read; its start, its end, and the last bytes before the end."""
        start = self.offset
        self.offset += len(framed.data)
        tail = framed.data[-TAIL_BYTES:]
        if len(tail) < TAIL_BYTES:
            tail = ((self._tail or b"") + tail)[-TAIL_BYTES:]
        self._tail = tail
        self.size = max(self.size, self.offset)
        while self.cuts and self.cuts[0] <= self.offset:
            del self.cuts[0]
        return start, self.offset, tail

    def read_before(self, limit_bytes: int) -> bytes:
        """What stands before the offset, where that is in the midst of a line; else nothing."""
        tail = self._tail or b""
        if not tail or tail.endswith(b"\n"):
            return b""
        size = min(limit_bytes, self.offset)
        with suppress(OSError):
            found = b"" if self.file is None else os.pread(self.file, size, self.offset - size)
            if found.endswith(tail):
                return found
        return tail

    def note_waiting(self, now_nanos: int) -> None:
        """The last read found no whole record; who waits already was seen before."""
        if self.barren_size > self.offset and self.waiting is None:
            self._waiting = Waiting(self.offset, self.barren_size, now_nanos)

    @property
    def waiting(self) -> Waiting | None:
        """What was seen of the next record before it was whole; None: nothing."""
        waiting = self._waiting
        return waiting if waiting is not None and waiting.start == self.offset else None

    @property
    def known(self) -> Known:
        """What tells its bytes from another file's."""
        row = self.rows[-1]
        return Known(
            fingerprint=row.fingerprint,
            fingerprint_bytes=row.fingerprint_bytes,
            offset=self.offset,
            tail=self._earlier_tail if self._tail is None else tail_digest(self._tail),
        )

    def go_on_in(self, path: str, row: SourceRow, size_bytes: int) -> None:
        """Read the rest from the copy that `row`, which is durable, names."""
        self.close()
        self.is_spent = size_bytes < self.offset
        self.rows.append(row)
        self.file_id = (row.device, row.inode)
        self.path = path
        self.barren_size = -1
        self.until = None  # where a drain ends was the other file's

    def go_on_unpacked(self, file: int) -> None:
        """Read the rest from `file`, a descriptor without a name."""
        self.close()
        self.file = file
        found = os.fstat(file)
        self.file_id = (found.st_dev, found.st_ino)
        back = min(TAIL_BYTES, self.offset)
        if self._tail is None:
            self._tail = self.acks.tail = os.pread(file, back, self.offset - back)
        self.is_verified = True
        self.adopted_size = found.st_size
        self.until = None  # as above
        self.note_stat(found)

    @property
    def transform(self) -> Transform | None:
        """The rules for its records; kept, since a rate knows what came before."""
        if self.watch is not None and self._transform[0] is not self.watch:
            self._transform = (self.watch, self.watch.make_transform(self.name or self.first_path))
        return self._transform[1]

    def read_head(self) -> bytes:
        """The bytes that a fingerprint is made of."""
        return b"" if self.file is None else os.pread(self.file, FINGERPRINT_BYTES, 0)

    def progress(self) -> Progress:
        """What a checkpoint keeps."""
        tail = self.acks.tail
        return Progress(
            acked=self.acks.position,
            size=max(self.size, self.offset),
            tail=tail_digest(tail) if tail else self._earlier_tail,
            dead_lettered=self.acks.dead_lettered,
            dropped=self.acks.dropped,
            published_rows=self.published_rows,
        )

    def _read_chunk(self, size_bytes: int) -> bytes:
        if self.file is None or self._tail is None:
            raise ReplacedError("it was not opened")
        limit = self._read_limit()
        if limit is not None:
            size_bytes = max(0, min(size_bytes, limit - self.offset))
        back = len(self._tail)
        data = os.pread(self.file, back + size_bytes, self.offset - back)
        if not data.startswith(self._tail):
            raise ReplacedError("the bytes before the offset have changed")
        return data[back:]

    def _read_limit(self) -> int | None:
        """Where reading ends: at a drain's begin, or where a spool's bytes are not durable yet."""
        limit = self.until
        if self.watch is not None and self.watch.segments is not None:
            committed = self.watch.segments.committed_bytes(Path(self.path))
            limit = committed if limit is None else min(limit, committed)
        return limit

    def _check_identity(self, file: int, stat: os.stat_result) -> None:
        """Compare id, start and the bytes before the offset with what is known of them."""
        if (stat.st_dev, stat.st_ino) != self.file_id:
            raise FileNotFoundError(errno.ENOENT, "another file has its path", self.path)
        row = self.rows[-1]
        head = os.pread(file, row.fingerprint_bytes, 0)
        if len(head) < row.fingerprint_bytes or fingerprint(head) != row.fingerprint:
            raise ReplacedError("its first bytes have changed")
        if row.is_copy and stat.st_size < self.offset:
            self.is_spent = True
            return
        back = min(TAIL_BYTES, self.offset) if self._tail is None else len(self._tail)
        found = os.pread(file, back, self.offset - back)
        if len(found) < back or (self._tail is not None and found != self._tail):
            raise ReplacedError("the bytes before the offset have changed")
        if self._tail is None:
            if self._earlier_tail and tail_digest(found) != self._earlier_tail:
                raise ReplacedError("the bytes before the offset have changed")
            self._tail = self.acks.tail = found
