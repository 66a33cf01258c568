"""What is done to records between reading and building: masks, and what is not shipped.

In: framed records and where they stand. Out: those that are shipped, masked, each with its place,
and tiles for those that are not. It must never move a byte, nor leave out one without a tile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Records that follow each other and are not shipped, for one reason."""

    start: int
    end: int
    count: int
    reason: str


class Transformed(NamedTuple):
    """What became of some records of one source."""

    records: Sequence[bytes]
    """Those that are shipped, secrets overwritten."""
    offsets: Sequence[int]
    """Where each of them stands."""
    masked: Mapping[int, Sequence[tuple[int, int]]]
    """By place in `records`: (start, length) of what was overwritten, in bytes of the record."""
    drops: Sequence[Drop]
    """Ascending; together with the records they tile what came in."""


class Transform(Protocol):
    """The rules that apply to one source; it may keep what a rate needs to know."""

    def apply(
        self, records: Sequence[bytes], offset: int, now_seconds: float, before: bytes = b""
    ) -> Transformed:
        """`records` follow each other from `offset` on; `now_seconds` is monotonic.

        `before`: what stands before the first one, where it is not its line's beginning.
        """
