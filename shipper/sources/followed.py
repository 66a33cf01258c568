"""What every source keeps of its way, whatever it is: rows, acknowledgements, what came of it.

In: rows, and what an earlier run knew. Out: the place of each record's row, and the progress that a
checkpoint keeps. It must never count a byte as settled before the centre, or the disk, has it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

from shipper.sources.acks import AckedPrefix
from shipper.sources.part import LogPart
from shipper.statistics import Counters, count_source
from shipper.wire.builder import RecordBuilder
from shipper.wire.state import Progress, SourceRow


class SourceNumbers:
    """The counter that all sources of a stream are numbered by."""

    def __init__(self, following: int) -> None:
        self.following = following
        """The next one to be given; counted on once its row is durable."""


class Followed(abc.ABC):
    """The n-th source of a stream. One thread's."""

    def __init__(self, rows: Sequence[SourceRow], progress: Progress) -> None:
        first = rows[0]
        self.number = first.source
        self.kind = first.kind
        self.first_path = first.path
        self.name = first.name
        self.rows = list(rows)
        self.offset = progress.acked
        """Where the next record starts."""
        self.size = progress.size
        self.acks = AckedPrefix(
            progress.acked, dead_lettered=progress.dead_lettered, dropped=progress.dropped
        )
        self.published_rows = progress.published_rows
        self.unpublished_gaps = 0
        self._under_way: dict[int, int] = {}
        """When each part that is not acknowledged was read, by its start."""
        self.ended = False
        """Nothing more will be read from it."""
        self.error = ""
        self._builder: tuple[SourceRow, RecordBuilder] | None = None

    @property
    def told_size(self) -> int:
        """How large it is, as far as that is known for sure."""
        return self.size

    @property
    def read_bytes(self) -> int:
        """Bytes that were read, over all runs."""
        return self.offset

    @property
    def settled_bytes(self) -> int:
        """Those that are stored, dead letters or dropped."""
        return self.acks.position + self.acks.beyond_bytes

    @property
    def counters(self) -> Counters:
        """What became of its bytes."""
        acks = self.acks
        return count_source(
            read_bytes=self.read_bytes,
            settled_bytes=self.settled_bytes,
            dropped_bytes=acks.dropped + acks.beyond_dropped,
            dead_lettered_bytes=acks.dead_lettered + acks.beyond_dead_lettered,
        )

    @property
    def is_settled(self) -> bool:
        """Whether all that was read is acknowledged."""
        return self.acks.position >= self.offset

    @property
    def is_closable(self) -> bool:
        """Whether nothing of it is still to be done or said."""
        return (
            self.ended
            and self.is_settled
            and self.published_rows >= len(self.rows)
            and not self.unpublished_gaps
        )

    @property
    def pending_since_nanos(self) -> int:
        """When the oldest of what is on its way was read; 0: nothing is."""
        return next(iter(self._under_way.values()), 0)

    def note_read(self, part: LogPart) -> None:
        """A part goes on its way; parts of one source are read in their order."""
        self._under_way[part.start] = part.read_at_nanos

    def acknowledge(self, part: LogPart, dead_bytes: int) -> None:
        """The centre has `part`, `dead_bytes` of it as dead letters."""
        self._under_way.pop(part.start, None)
        self.acks.add(
            part.start,
            part.end,
            part.tail,
            dead_lettered=dead_bytes,
            dropped=part.dropped_bytes,
        )

    @abc.abstractmethod
    def progress(self) -> Progress:
        """What a checkpoint keeps."""

    def row_at(self, offset: int) -> tuple[SourceRow, int | None]:
        """The row of a record that starts at `offset`, and where the next row begins."""
        begun = [row for row in self.rows if row.from_offset <= offset]
        later = [row.from_offset for row in self.rows if row.from_offset > offset]
        # of two rows at one place the second one counts; a copy's row may come after later ones
        row = max(reversed(begun), key=lambda row: row.from_offset, default=self.rows[0])
        return row, min(later, default=None)

    def builder(self, row: SourceRow, make: Callable[[SourceRow], RecordBuilder]) -> RecordBuilder:
        """The builder of a row's records; kept, since the next record is of the same row."""
        if self._builder is None or self._builder[0] is not row:
            self._builder = (row, make(row))
        return self._builder[1]
