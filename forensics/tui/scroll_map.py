"""Where a time stands among all rows, and which time stands at a row: estimated from a histogram.

A server can't seek to row N, but it counts bars cheaply. In: bars. Out: estimates, exact at the
bars' edges; between them events count as evenly spread. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from forensics.moments import nanos_or_none, seconds_between
from forensics.store.protocol import Bucket
from shipper.wire.times import EARLIEST, NANOS_PER_SECOND, format_time

MIN_GAP_SECONDS: Final = 10.0
"""A shorter silence is no gap, however fine the bars are."""


class ScrollMap:
    """A histogram as a map between rows and times."""

    def __init__(self, buckets: Sequence[Bucket] = ()) -> None:
        self.buckets = tuple(buckets)
        self._starts = [nanos_or_none(bucket.start) or 0 for bucket in self.buckets]
        self._sums = [0, *accumulate(bucket.count for bucket in self.buckets)]
        self.width_seconds = (
            seconds_between(self.buckets[0].start, self.buckets[1].start)
            if len(self.buckets) > 1
            else 1.0
        )
        self._width = max(1, int(self.width_seconds * NANOS_PER_SECOND))

    @property
    def total(self) -> int:
        """How many events there are."""
        return self._sums[-1]

    def index_at(self, at: str) -> int:
        """Which bar holds that time; the nearest one where it is outside. -1: there is no bar."""
        nanos = nanos_or_none(at) or 0
        return min(max(0, bisect_right(self._starts, nanos) - 1), len(self.buckets) - 1)

    def row_at(self, at: str) -> int:
        """About how many events come before that time."""
        index = self.index_at(at)
        if index < 0:
            return 0
        inside = ((nanos_or_none(at) or 0) - self._starts[index]) / self._width
        return self._sums[index] + int(self.buckets[index].count * min(max(inside, 0.0), 1.0))

    def time_at(self, row: int) -> str:
        """About the time of the event that has that many before it."""
        if not self.buckets:
            return EARLIEST
        index = min(bisect_right(self._sums, max(0, row)) - 1, len(self.buckets) - 1)
        count = self.buckets[index].count
        inside = (row - self._sums[index]) / count if count else 0.0
        return format_time(self._starts[index] + int(self._width * min(max(inside, 0.0), 1.0)))

    def fraction_at(self, at: str) -> float:
        """How far down that time is, 0 to 1, counted in events."""
        return self.row_at(at) / self.total if self.total else 0.0

    def next_filled(self, at: str, step: int) -> Bucket | None:
        """The next (`step` 1) or previous (-1) bar with events beside the one of that time."""
        index = self.index_at(at) + step
        while 0 <= index < len(self.buckets):
            if self.buckets[index].count:
                return self.buckets[index]
            index += step
        return None

    @property
    def gap_seconds(self) -> float:
        """The shortest silence that the bars are asked for."""
        return max(MIN_GAP_SECONDS, self.width_seconds)

    def next_after_gap(self, at: str, step: int) -> Bucket | None:
        """The next or previous bar with events before which bars of a whole gap have none."""
        index = self.index_at(at) + step
        while 0 < index < len(self.buckets):
            if self.buckets[index].count and self._empty_seconds(index) >= self.gap_seconds:
                return self.buckets[index]
            index += step
        return None

    def _empty_seconds(self, index: int) -> float:
        """How long the bars directly before that one are empty."""
        first = index
        while first > 0 and not self.buckets[first - 1].count:
            first -= 1
        return (index - first) * self.width_seconds
