"""What a file's reading gives, piece by piece: bytes, and what stands where there are none.

Pure values. A range that is missing is a hole; one that a rule left out and declared is no hole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["bytes", "entries"]
"""What a range counts: bytes of a file, or entries of a journal by their numbers."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes that follow the piece before."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Hole:
    """`[start, end)` of a file is not stored; `start` = `end`: how much is unknown."""

    source: str
    """`stream-n`; empty where no single source can be named."""
    start: int
    end: int
    reason: str
    unit: Unit = "bytes"


@dataclass(frozen=True, slots=True)
class Dropped:
    """`[start, end)` of a file, which a rule of the shipper's left out and declared."""

    source: str
    start: int
    end: int
    count: int
    """Records; counted where the first of the tile's bytes is."""
    reason: str
    unit: Unit = "bytes"


@dataclass(frozen=True, slots=True)
class Masked:
    """How much of a file's bytes a mask overwrote before they were shipped."""

    records: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Numbered:
    """The entries of a journal: how many, and the first and last number."""

    count: int
    first: int
    last: int


Piece = Bytes | Hole | Dropped | Masked | Numbered
