"""Parts that travel in one request, and the request's body.

In: parts, in order. Out: gzip bodies of all their items or of some, and which part an item is of.
Items are built when they are sent and not kept: what waits in memory are raw bytes. It must never
give an item another id, or an item's second form to the centre beside its first.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from shipper.ports import Part

_GZIP: Final = 16 + zlib.MAX_WBITS
_LEVEL: Final = 1


class Batch:
    """The items of some parts, numbered through. One sender's."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self.item_count = 0
        """Known once the body was built."""
        self._starts: list[int] = []
        self._plain: dict[int, bytes] = {}

    def build_body(self) -> bytes:
        """The body of all items, one part at a time."""
        squeeze = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        pieces: list[bytes] = []
        counts: list[int] = []
        for part in self.parts:
            items = part.build()
            counts.append(len(items))
            pieces.append(squeeze.compress(b"".join(items)))
        *self._starts, self.item_count = accumulate(counts, initial=0)
        pieces.append(squeeze.flush())
        return b"".join(pieces)

    def build_subset_body(self, numbers: Sequence[int]) -> bytes:
        """The body of the items with these numbers, ascending."""
        squeeze = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        pieces = [squeeze.compress(item) for item in self._items(numbers)]
        return b"".join((*pieces, squeeze.flush()))

    def build_item(self, number: int) -> bytes:
        """One item as it was first sent."""
        place = self.part_of(number)
        return self.parts[place].build()[number - self._starts[place]]

    def _items(self, numbers: Sequence[int]) -> Iterator[bytes]:
        place = -1
        built: Sequence[bytes] = ()
        for number in numbers:
            if number in self._plain:
                yield self._plain[number]
                continue
            if self.part_of(number) != place:
                place = self.part_of(number)
                built = self.parts[place].build()
            yield built[number - self._starts[place]]

    def part_of(self, number: int) -> int:
        """The place of the part that an item is of."""
        return bisect_right(self._starts, number) - 1

    def raw_bytes(self, number: int) -> int:
        """How many bytes of a source an item stands for."""
        place = self.part_of(number)
        return self.parts[place].raw_bytes(number - self._starts[place])

    def make_plain(self, number: int) -> bool:
        """Have an item sent in its plain form from now on; False: it is, or has none."""
        if number in self._plain:
            return False
        place = self.part_of(number)
        plain = self.parts[place].build_plain(number - self._starts[place])
        if plain is None:
            return False
        self._plain[number] = plain
        return True
