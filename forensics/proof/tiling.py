"""Completeness is tiling: records of one file laid side by side, overlaps folded, holes named.

In: records (offset, bytes) ordered by offset, then length. Out: the file's bytes once each, in
order, with every hole and every contradiction between two records at its place. Pure; it keeps no
more than the longest record's bytes, and it must never choose between two that contradict.
"""

from __future__ import annotations

from dataclasses import dataclass


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

    def add(self, offset: int, data: bytes) -> list[Part]:
        """What the record at `offset` adds: nothing, where all of it was there.

        Raises:
            ValueError: `offset` is below the one before: the records are not in order.
        """
        if offset < self._kept_from:
            raise ValueError(f"offset {offset} comes after {self._kept_from}: not in order")
        if offset > self.position:
            missing = Missing(self.position, offset)
            self.position = offset + len(data)
            self._kept_from, self._kept = offset, data
            return [missing, Tile(offset, data)] if data else [missing]
        there = self._kept[offset - self._kept_from :]
        self._kept_from, self._kept = offset, there
        overlap = min(len(there), len(data))
        if there[:overlap] != data[:overlap]:
            return [Contradiction(offset + _first_difference(there, data))]
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
        self._kept = b""
        return [missing]


def _first_difference(one: bytes, other: bytes) -> int:
    return next(at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
