"""The journal as one of the agent's inputs: its numberings are sources, its entries records.

In: a reader, and what an earlier run knew. Out: parts, each of which ends where the next begins, in
sequence numbers; numbers that are missing are declared as gaps. It must never give out an entry
before the row of its numbering is on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from shipper.errors import ShipperError
from shipper.sources.followed import Followed
from shipper.sources.journald import Batch, JournalReader
from shipper.sources.part import LogPart
from shipper.sources.tail import Gap, TailPorts
from shipper.wire.records import Records
from shipper.wire.state import Checkpoint, Journal, Progress, SourceRow
from shipper.wire.times import format_time

KIND: Final = "journald"
_RETRY_SECONDS: Final = 30.0


class JournalSource(Followed):
    """One numbering of the journal. Its offsets are sequence numbers; bytes are counted apart."""

    def __init__(self, rows: Sequence[SourceRow], progress: Progress) -> None:
        super().__init__(rows, progress)
        self.size = self.offset
        self.sequence_id = rows[0].fingerprint
        self.cursor = progress.cursor
        self._read_bytes = self._settled_bytes = progress.size

    @property
    def read_bytes(self) -> int:
        """Bytes of entries that were read, over all runs."""
        return self._read_bytes

    @property
    def settled_bytes(self) -> int:
        """Those that are stored, or dead letters."""
        return self._settled_bytes

    def take(self, batch: Batch) -> tuple[int, int]:
        """Move past a batch; where its part starts and ends."""
        start, self.offset = self.offset, batch.end
        self.size = self.offset
        self._read_bytes += sum(len(entry.data) for entry in batch.entries)
        return start, self.offset

    def acknowledge(self, part: LogPart, dead_bytes: int) -> None:
        """The centre has `part`."""
        super().acknowledge(part, dead_bytes)
        self._settled_bytes += part.raw_bytes_total

    def progress(self) -> Progress:
        """What a checkpoint keeps."""
        return Progress(
            acked=self.acks.position,
            size=self._settled_bytes,
            dead_lettered=self.acks.dead_lettered,
            published_rows=self.published_rows,
            cursor=self.acks.tail.decode() or self.cursor,
        )


class JournalInput:
    """The journal. One thread's."""

    def __init__(self, reader: JournalReader, ports: TailPorts) -> None:
        self._reader = reader
        self._ports = ports
        self._sources: dict[int, JournalSource] = {}
        self._current: JournalSource | None = None
        self._is_open = False
        self._open_at = 0.0
        self._has_more = False
        self._draining = False
        self.error = ""
        """Why it can't be read; empty: it can."""

    @property
    def sources(self) -> Sequence[JournalSource]:
        """Every numbering that is not closed."""
        return list(self._sources.values())

    def load(self, journal: Journal, checkpoint: Checkpoint) -> None:
        """Know again what earlier runs read."""
        for number, rows in sorted(journal.rows.items()):
            if number in journal.closed or rows[0].kind != KIND:
                continue
            progress = checkpoint.sources.get(number) or Progress(acked=rows[0].from_offset, size=0)
            self._sources[number] = self._current = JournalSource(rows, progress)

    def look(self) -> None:
        """Open the journal if need be, and see whether something came."""
        now = self._ports.clock.monotonic()
        if not self._is_open:
            if now < self._open_at:
                return
            self._open_at = now + _RETRY_SECONDS
            try:
                self._reader.open(self._current.progress().cursor if self._current else "")
            except (OSError, ShipperError) as error:
                self._fail(str(error))
                return
            self._is_open = True
            self.error = ""
        try:
            self._reader.process()
        except OSError as error:
            self._fail(str(error))
        else:
            self._has_more = True

    def read_parts(self, budget_bytes: int) -> Iterator[LogPart]:
        """Parts of about `budget_bytes` together."""
        while budget_bytes > 0 and self._has_more and self._is_open:
            try:
                batch = self._reader.read(budget_bytes)
            except OSError as error:
                self._fail(str(error))
                return
            if batch is None:
                self._has_more = False
                return
            part = self._take(batch)
            budget_bytes -= max(1, part.raw_bytes_total)
            yield part

    def find(self, number: int) -> JournalSource | None:
        """The source of that number, if it is the journal's and not closed."""
        return self._sources.get(number)

    @property
    def is_drained(self) -> bool:
        """Whether all entries that came were given out, or can't be."""
        return not (self._is_open and self._has_more)

    def forget(self, number: int) -> None:
        """A numbering is closed."""
        del self._sources[number]

    def close(self) -> None:
        """Let go of the journal."""
        self._reader.close()

    def _take(self, batch: Batch) -> LogPart:
        source = self._current
        if source is None or source.sequence_id != batch.sequence_id:
            source = self._begin(batch)
        now_nanos = self._ports.clock.now_nanos()
        self._renew_day(source, format_time(now_nanos)[:10])
        start, end = source.take(batch)
        for gap in batch.gaps:
            source.unpublished_gaps += 1
            self._ports.on_gap(
                Gap(
                    source=source.number, path=KIND, start=gap.start, end=gap.end, reason=gap.reason
                )
            )
        row, _ = source.row_at(start)
        lines = [entry.data for entry in batch.entries]
        return LogPart(
            source=source.number,
            start=start,
            end=end,
            tail=batch.cursor.encode(),
            records=Records(
                data=b"".join(lines),
                start=start,
                lengths=list(map(len, lines)),
                offsets=[entry.sequence for entry in batch.entries],
            ),
            read_at_nanos=now_nanos,
            builder=source.builder(row, self._ports.make_builder),
            drops=[self._ports.make_drop(row, drop) for drop in batch.drops],
            raw_size=sum(map(len, lines)),
        )

    def _begin(self, batch: Batch) -> JournalSource:
        """A source for a numbering that was not met before; its row is durable on return."""
        at = format_time(self._ports.clock.now_nanos())
        row = SourceRow(
            source=self._ports.numbers.following,
            path=KIND,
            device=0,
            inode=0,
            fingerprint=batch.sequence_id,
            fingerprint_bytes=0,
            day=at[:10],
            from_offset=batch.start,
            at=at,
            kind=KIND,
            name=KIND,
        )
        self._ports.journal.append([row])
        self._ports.numbers.following += 1
        source = JournalSource([row], Progress(acked=batch.start, size=0))
        self._sources[source.number] = self._current = source
        self._ports.on_row(row)
        for other in self._sources.values():
            other.ended = other is not source
        return source

    def _renew_day(self, source: JournalSource, today: str) -> None:
        if source.rows[-1].day >= today:
            return
        at = format_time(self._ports.clock.now_nanos())
        row = replace(source.rows[-1], day=today, from_offset=source.offset, at=at)
        self._ports.journal.append([row])
        source.rows.append(row)
        self._ports.on_row(row)

    def _fail(self, error: str) -> None:
        self.error = error
        self._is_open = self._has_more = False
        self._reader.close()
        if self._current is not None:
            self._current.error = error
