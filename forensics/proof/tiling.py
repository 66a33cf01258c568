"""Completeness is tiling: records of one file laid side by side, overlaps folded, holes named.

In: records (offset, bytes, masked ranges) ordered by offset, then length. Out: the file's bytes
once each, in order, with every hole and every contradiction between two records at its place. A
mask in one of two records contradicts nothing. Pure; it keeps no more than the longest record's
bytes, and it must never choose between two that contradict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MASK: Final = ord("*")
"""What masks write (shipper/wire/masks.py): whoever claims a mask without it contradicts."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Bytes that follow the ones before."""

    start: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """No record covers `[start, end)`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two records hold different bytes at `offset`."""

    offset: int


Part = Tile | Missing | Contradiction
"""What is at one place of the file."""


class Tiling:
    """Takes records one by one, and tells what each adds."""

    def __init__(self, start: int = 0) -> None:
        self.position = start
        """Up to here everything was told: as a tile or as missing."""
        self._kept_from = start
        self._kept = b""
        """The bytes from `_kept_from` to `position`: those that a record can still overlap."""
        self._masked: list[tuple[int, int]] = []
        """(start, end) of what is masked in them."""

    def add(self, offset: int, data: bytes, masked: Sequence[tuple[int, int]] = ()) -> list[Part]:
        """What the record at `offset` adds: nothing, where all of it was there.

        Args:
            offset: where the record stands.
            data: its bytes.
            masked: (start, length) within it of what a mask overwrote.

        Raises:
            ValueError: `offset` is below the one before: the records are not in order.
        """
        if offset < self._kept_from:
            raise ValueError(f"offset {offset} comes after {self._kept_from}: not in order")
        if offset > self.position:
            missing = Missing(self.position, offset)
            self.position = offset + len(data)
            self._kept_from, self._kept, self._masked = offset, data, []
            self._note_masked(offset, masked)
            return [missing, Tile(offset, data)] if data else [missing]
        there = self._kept[offset - self._kept_from :]
        self._kept_from, self._kept = offset, there
        self._note_masked(offset, masked)
        overlap = min(len(there), len(data))
        if there[:overlap] != data[:overlap]:
            difference = self._first_difference(there, data)
            if difference is not None:
                return [Contradiction(offset + difference)]
        new = data[overlap:]
        if not new:
            return []
        self._kept += new
        tile = Tile(self.position, new)
        self.position += len(new)
        return [tile]

    def finish(self, end: int) -> list[Part]:
        """What is missing where the file is known to reach to `end`."""
        if end <= self.position:
            return []
        missing = Missing(self.position, end)
        self.position = self._kept_from = end
        self._kept, self._masked = b"", []
        return [missing]

    def _note_masked(self, offset: int, masked: Sequence[tuple[int, int]]) -> None:
        if masked or self._masked:
            self._masked = [span for span in self._masked if span[1] > offset]
            self._masked += ((offset + at, offset + at + length) for at, length in masked)

    def _first_difference(self, one: bytes, other: bytes) -> int | None:
        """Where two records that start at `_kept_from` differ; None: only in what was masked."""
        for at, (a, b) in enumerate(zip(one, other, strict=False)):
            place = self._kept_from + at
            if a != b and not (
                MASK in (a, b) and any(start <= place < end for start, end in self._masked)
            ):
                return at
        return None
