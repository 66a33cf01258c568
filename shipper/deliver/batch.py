"""Parts that travel in one request, and the request's body.

In: parts, in order. Out: the pieces of a body of all their items or of some, gzip or plain, and
which part an item is of. Items are built when they are sent and not kept: what waits in memory are
raw bytes. It must never give an item another id, or an item's second form to the centre beside its
first.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from shipper.ports import Part
from shipper.wire.builder import split_items

_GZIP: Final = 16 + zlib.MAX_WBITS
_LEVEL: Final = 1


class Batch:
    """The items of some parts, numbered through. One sender's."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self.item_count = 0
        """Known once the body was built."""
        self.built_bytes = 0
        """How large the body was that was built last, before compression."""
        self._starts: list[int] = []
        self._plain: dict[int, bytes] = {}

    def build_body(self, numbers: Sequence[int] | None, *, gzip: bool) -> list[bytes]:
        """The body of the items with these numbers, ascending; None: of all."""
        pieces = self._build_all() if numbers is None else self._items(numbers, self._plain)
        return self._squeeze(pieces) if gzip else list(self._count(pieces))

    def _build_all(self) -> Iterator[bytes]:
        """One part at a time."""
        counts: list[int] = []
        for part in self.parts:
            built = part.build()
            counts.append(built.item_count)
            yield built.body
        *self._starts, self.item_count = accumulate(counts, initial=0)

    def _squeeze(self, pieces: Iterable[bytes]) -> list[bytes]:
        squeeze = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        squeezed = [squeeze.compress(piece) for piece in self._count(pieces)]
        return [piece for piece in (*squeezed, squeeze.flush()) if piece]

    def _count(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        self.built_bytes = 0
        for piece in pieces:
            self.built_bytes += len(piece)
            yield piece

    def build_originals(self, numbers: Sequence[int]) -> Iterator[bytes]:
        """Each of these items, ascending, as it was first sent."""
        return self._items(numbers, {})

    def _items(self, numbers: Sequence[int], plain: Mapping[int, bytes]) -> Iterator[bytes]:
        place = -1
        built: Sequence[bytes] = ()
        for number in numbers:
            if number in plain:
                yield plain[number]
                continue
            if self.part_of(number) != place:
                place = self.part_of(number)
                built = split_items(self.parts[place].build().body)
            yield built[number - self._starts[place]]

    def part_of(self, number: int) -> int:
        """The place of the part that an item is of."""
        return bisect_right(self._starts, number) - 1

    def raw_bytes(self, number: int) -> int:
        """How many bytes of a source an item stands for."""
        place = self.part_of(number)
        return self.parts[place].raw_bytes(number - self._starts[place])

    def is_plain(self, number: int) -> bool:
        """Whether an item is sent in its plain form."""
        return number in self._plain

    def has_plain(self, number: int) -> bool:
        """Whether an item has a plain form at all."""
        place = self.part_of(number)
        return self.parts[place].build_plain(number - self._starts[place]) is not None

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
