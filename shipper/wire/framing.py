"""Bytes of a file into records that tile it: where each record starts and how long it is.

In: a chunk that starts at a record's start. Out: the records, each a slice of the chunk with its
line terminator, in order and without a gap, so that joining them gives the chunk's framed part.
Framing depends on the bytes alone, never on how they were cut into reads: a line read again after a
crash is the same record. It must never decode, and never look at a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple, Protocol

RECORD_LIMIT_BYTES: Final = 1 << 20
"""A longer line is sliced: OpenSearch takes it, but one line must not be a whole bulk body."""

_UTF8_SEQUENCE_LIMIT: Final = 4


class Framer(Protocol):
    """Cuts a chunk into records, as `frame` does."""

    def __call__(self, chunk: bytes, /, *, final: bool = False) -> list[bytes]:
        """The records from the first byte on; `final`: nothing follows the chunk."""


class Framed(NamedTuple):
    """The framed part of a chunk."""

    data: bytes
    lengths: Sequence[int] | None
    """Of each record; None: each is a line with its line feed."""

    def starting_before(self, limit: int) -> Framed:
        """The records that start less than `limit` (≥ 1) bytes after the first one's start."""
        if self.lengths is None:
            return Framed(self.data[: self.data.index(b"\n", limit - 1) + 1], None)
        ends = accumulate(self.lengths)
        count = sum(
            1 for end, length in zip(ends, self.lengths, strict=True) if end - length < limit
        )
        lengths = self.lengths[:count]
        return Framed(self.data[: sum(lengths)], lengths)


def frame(chunk: bytes, *, final: bool = False, limit: int = RECORD_LIMIT_BYTES) -> list[bytes]:
    r"""The records of `chunk`, from its first byte on; the rest is an unfinished line.

    A record is a line with its `\n`, or a slice of at most `limit` bytes of a longer line (cut
    before a UTF-8 sequence, not inside one), or, where `final` says that nothing follows, the last
    bytes without a terminator. `sum(map(len, records))` tells how much of the chunk is framed.
    """
    end = chunk.rfind(b"\n") + 1
    if not end:
        records = []
    elif b"\r" in chunk:  # splitlines would cut at it
        records = [line + b"\n" for line in chunk[: end - 1].split(b"\n")]
    else:
        records = chunk[:end].splitlines(keepends=True)
    if records and max(map(len, records)) > limit:
        records = [piece for record in records for piece in slice_line(record, limit)]
    rest = chunk[end:]
    if rest:
        pieces = slice_line(rest, limit)
        records += pieces if final else pieces[:-1]
    return records


def frame_chunk(
    chunk: bytes, offset: int, cuts: Sequence[int] = (), framer: Framer | None = None
) -> Framed | None:
    """What is framed of a chunk that stands at `offset` of a file; None: not one record.

    `framer` is `frame` unless a source has another. Records end at `cuts` too, which ascend: there
    one was sent before it was known to have ended.
    """
    cuts = [cut for cut in cuts if offset < cut <= offset + len(chunk)]
    if framer is None and not cuts and len(chunk) <= RECORD_LIMIT_BYTES:
        end = chunk.rfind(b"\n") + 1
        return Framed(chunk[:end], None) if end else None
    framer = framer or frame
    records: list[bytes] = []
    start = 0
    for cut in cuts:
        records += framer(chunk[start : cut - offset], final=True)
        start = cut - offset
    records += framer(chunk[start:])
    if not records:
        return None
    lengths = list(map(len, records))
    return Framed(chunk[: sum(lengths)], lengths)


def slice_line(line: bytes, limit: int) -> list[bytes]:
    """`line` in pieces of at most `limit` bytes, none of them starting inside a UTF-8 sequence.

    Bytes that are no UTF-8 are cut at `limit` exactly. The last piece is never empty.
    """
    pieces = []
    start = 0
    while len(line) - start > limit:
        end = start + limit
        for back in range(_UTF8_SEQUENCE_LIMIT):
            if (line[end - back] & 0xC0) != 0x80:  # noqa: PLR2004 - 10xxxxxx continues a sequence
                end -= back
                break
        pieces.append(line[start:end])
        start = end
    pieces.append(line[start:])
    return pieces
