"""Which prefix of a source is shipped for good, when answers come in any order.

In: ranges, as they are acknowledged. Out: the offset below which everything is. Pure. It must
never move past a range that is still on its way.
"""

from __future__ import annotations


class AckedPrefix:
    """The contiguous acknowledged prefix of one source, and what is acknowledged beyond it."""

    def __init__(self, position: int, tail: bytes = b"") -> None:
        self.position = position
        """Every byte below it is acknowledged."""
        self.tail = tail
        """The last bytes before `position`, to know the file again by."""
        self.beyond_bytes = 0
        """Acknowledged, but behind something that is not."""
        self._ranges: dict[int, tuple[int, bytes]] = {}

    def add(self, start: int, end: int, tail: bytes) -> None:
        """`[start, end)` is acknowledged; `tail` are the last bytes before `end`."""
        self._ranges[start] = (end, tail)
        self.beyond_bytes += end - start
        while (found := self._ranges.pop(self.position, None)) is not None:
            self.beyond_bytes -= found[0] - self.position
            self.position, self.tail = found
