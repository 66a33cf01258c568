"""Which prefix of a source is shipped for good, when answers come in any order.

In: ranges, as they are acknowledged, and how much of them is dropped or a dead letter. Out: the
offset below which everything is. Pure. It must never move past a range that is still on its way.
"""

from __future__ import annotations

from typing import NamedTuple


class _Range(NamedTuple):
    end: int
    tail: bytes
    dead_lettered: int
    dropped: int


class AckedPrefix:
    """The contiguous acknowledged prefix of one source, and what is acknowledged beyond it."""

    def __init__(
        self, position: int, tail: bytes = b"", *, dead_lettered: int = 0, dropped: int = 0
    ) -> None:
        self.position = position
        """Every byte below it is acknowledged."""
        self.tail = tail
        """The last bytes before `position`, to know the file again by."""
        self.dead_lettered = dead_lettered
        """Bytes below `position` that are dead letters: what a checkpoint may say of them, since
        what is beyond is read, and buried, again after a crash."""
        self.dropped = dropped
        """Bytes below `position` that a rule dropped."""
        self.beyond_bytes = 0
        """Acknowledged, but behind something that is not."""
        self.beyond_dead_lettered = 0
        self.beyond_dropped = 0
        self._ranges: dict[int, _Range] = {}

    def add(
        self, start: int, end: int, tail: bytes, *, dead_lettered: int = 0, dropped: int = 0
    ) -> None:
        """`[start, end)` is acknowledged; `tail` are the last bytes before `end`."""
        self._ranges[start] = _Range(end, tail, dead_lettered, dropped)
        self.beyond_bytes += end - start
        self.beyond_dead_lettered += dead_lettered
        self.beyond_dropped += dropped
        while (found := self._ranges.pop(self.position, None)) is not None:
            self.beyond_bytes -= found.end - self.position
            self.beyond_dead_lettered -= found.dead_lettered
            self.beyond_dropped -= found.dropped
            self.dead_lettered += found.dead_lettered
            self.dropped += found.dropped
            self.position, self.tail = found.end, found.tail
