"""Drop tiles: the bytes that a rule left out, as the shipper declared them.

In: the tiles of one file's sources. Out: which part of a missing range they declare, and which part
nothing explains. Pure. It must never take a byte for dropped that no tile names.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class DropTile(NamedTuple):
    """Records that follow each other and were not shipped; of journald, sequence numbers."""

    start: int
    end: int
    records: int
    reason: str
    source: str
    """`stream-n`."""


class Drops:
    """The tiles of one file, whichever of its sources declared them."""

    def __init__(self, tiles: Iterable[DropTile]) -> None:
        self.tiles = sorted(tile for tile in tiles if tile.end > tile.start >= 0)
        self._furthest: list[int] = []
        """The largest end up to each tile: two streams' tiles may overlap."""
        end = 0
        for tile in self.tiles:
            end = max(end, tile.end)
            self._furthest.append(end)

    @property
    def end(self) -> int:
        """The byte after the last one that was dropped."""
        return self._furthest[-1] if self._furthest else 0

    def split(self, start: int, end: int) -> Iterator[tuple[int, int, DropTile | None]]:
        """`[start, end)` in parts, each with the tile that declares it, or None."""
        at = start
        for tile in self.tiles[bisect.bisect_right(self._furthest, start) :]:
            if tile.start >= end or at >= end:
                break
            if tile.end <= at:
                continue
            if tile.start > at:
                yield at, tile.start, None
                at = tile.start
            upto = min(tile.end, end)
            yield at, upto, tile
            at = upto
        if at < end:
            yield at, end, None
