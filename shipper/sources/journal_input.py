"""The journal as one of the agent's inputs: its numberings are sources, its entries records.

In: a reader, and what an earlier run knew. Out: parts, each of which ends where the next begins, in
sequence numbers; numbers that are missing are declared as gaps. It must never give out an entry
before the row of its numbering is on the disk, nor one entry to two indices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from shipper.errors import ShipperError
from shipper.sources.followed import Followed
from shipper.sources.journald import Batch, Entry, JournalGap, JournalReader, find_earliest
from shipper.sources.part import LogPart
from shipper.sources.ports import Gap, SourcePorts
from shipper.wire.records import Records
from shipper.wire.state import Checkpoint, Journal, Progress, SourceRow
from shipper.wire.times import format_time
from shipper.wire.transforms import Drop, Transform, Transformed

KIND: Final = "journald"
_RETRY_SECONDS: Final = 30.0


class JournalSource(Followed):
    """One numbering of the journal. Its offsets are sequence numbers; bytes are counted apart."""

    def __init__(self, rows: Sequence[SourceRow], progress: Progress) -> None:
        super().__init__(rows, progress)
        self.size = self.offset
        self.sequence_id = rows[0].fingerprint
        self.acked_cursor = self.read_cursor = progress.cursor or rows[0].cursor
        """At first the earlier run's."""
        self.switched_at = self.offset
        """The first entry that was read of it since another one was."""
        self.adopted_end: int | None = 0
        """An earlier run may have sent entries up to there; None: all that there are."""
        self._read_bytes = self._settled_bytes = self._prefix_bytes = progress.size
        self._given_out: deque[tuple[int, int]] = deque()
        """(end, bytes) of parts that the acknowledged prefix has not passed, in their order."""

    @property
    def read_bytes(self) -> int:
        """Bytes of entries that were read, over all runs."""
        return self._read_bytes

    @property
    def settled_bytes(self) -> int:
        """Those that are stored, or dead letters."""
        return self._settled_bytes

    def take(self, entries: Sequence[Entry], end: int, cursor: str) -> int:
        """Move past entries, to `end`, where `cursor` stands; where their part starts."""
        start, self.offset = self.offset, end
        self.size = end
        self.read_cursor = cursor
        size_bytes = sum(len(entry.data) for entry in entries)
        self._read_bytes += size_bytes
        self._given_out.append((end, size_bytes))
        return start

    def acknowledge(self, part: LogPart, dead_bytes: int) -> None:
        """The centre has `part`."""
        super().acknowledge(part, dead_bytes)
        self._settled_bytes += part.raw_bytes_total
        while self._given_out and self._given_out[0][0] <= self.acks.position:
            self._prefix_bytes += self._given_out.popleft()[1]

    def progress(self) -> Progress:
        """What a checkpoint keeps."""
        return Progress(
            acked=self.acks.position,
            size=self._prefix_bytes,
            dead_lettered=self.acks.dead_lettered,
            published_rows=self.published_rows,
            cursor=self.acks.tail.decode() or self.acked_cursor,
        )


class JournalInput:
    """The journal. One thread's."""

    def __init__(
        self, reader: JournalReader, ports: SourcePorts, *, transform: Transform | None = None
    ) -> None:
        """`transform`: the rules for its entries; None: there are none."""
        self._reader = reader
        self._ports = ports
        self._transform = transform
        self._sources: dict[int, JournalSource] = {}
        self._cursor = ""
        """Of the last entry that was given out, or that an earlier run knows to be stored."""
        self._first: tuple[str, int] | None = None
        """Without a cursor: the numbering and number that an earlier run began with."""
        self._current: JournalSource | None = None
        """Whose entries are read now."""
        self.closable: Sequence[JournalSource] = ()
        """Those that no restart reads again."""
        self._is_adopted = False
        self._is_open = False
        self._open_at = 0.0
        self._has_more = False
        self._batch: Batch | None = None
        """Read, and not yet made into parts: a full disk does not take its row."""
        self._parts: deque[LogPart] = deque()
        self.error = ""
        """Why it can't be read; empty: it can."""
        self._told: set[str] = set()
        """Which failures are declared: until it can be read again, each is told once."""

    @property
    def sources(self) -> Sequence[JournalSource]:
        """Every numbering that is not closed."""
        return list(self._sources.values())

    @property
    def damaged(self) -> Mapping[str, str]:
        """Files of its folder that are no journal, and why."""
        return self._reader.damaged

    def load(self, journal: Journal, checkpoint: Checkpoint) -> None:
        """Know again what earlier runs read; what is stored least far says from where on."""
        for number, rows in sorted(journal.rows.items()):
            if number in journal.closed or rows[0].kind != KIND:
                continue
            progress = checkpoint.sources.get(number) or Progress(acked=rows[0].from_offset, size=0)
            self._sources[number] = JournalSource(rows, progress)
        self._cursor = find_earliest(source.acked_cursor for source in self.sources)
        self._first = next(
            ((one.sequence_id, one.offset) for one in self.sources if not one.acked_cursor), None
        )

    @property
    def file(self) -> int | None:
        """Readable when something came; None: it can't be read now."""
        return self._reader.fileno() if self._is_open else None

    def look(self) -> None:
        """Open the journal if need be, and see whether something came."""
        if not self._is_open and not self._open():
            return
        try:
            self._reader.process()
        except OSError as error:
            self._fail(str(error))
        else:
            self._has_more = True

    def read_parts(self, budget_bytes: int) -> Iterator[LogPart]:
        """Parts of about `budget_bytes` together; StateError: a new row has to wait."""
        while budget_bytes > 0 and (self._parts or self._read(budget_bytes)):
            if self._parts:
                part = self._parts.popleft()
                budget_bytes -= max(1, part.raw_bytes_total)
                yield part

    def find(self, number: int) -> JournalSource | None:
        """The source of that number, if it is the journal's and not closed."""
        return self._sources.get(number)

    @property
    def is_drained(self) -> bool:
        """Whether all entries that came were given out, or can't be."""
        return not (self._parts or self._batch or (self._is_open and self._has_more))

    def forget(self, number: int) -> None:
        """A numbering is closed."""
        del self._sources[number]
        self.closable = ()

    def note_saved(self) -> None:
        """A checkpoint is on the disk: see whether a restart would read on behind all others.

        Only then may they be closed: entries of a closed source must not be met again.
        """
        current = self._current
        if current is None or current.acks.position <= current.switched_at:
            return
        others = [source for source in self._sources.values() if source is not current]
        if all(source.is_closable for source in others):
            self.closable = others

    def close(self) -> None:
        """Let go of the journal."""
        self._is_open = False
        self._reader.close()

    def _open(self) -> bool:
        now = self._ports.clock.monotonic()
        if now < self._open_at:
            return False
        self._open_at = now + _RETRY_SECONDS
        try:
            self._reader.open(self._cursor, first=self._first)
        except (OSError, ShipperError) as error:
            self._fail(str(error))
            self._tell(KIND, error)
            return False
        self._told &= self._reader.damaged.keys()
        for path, why in self._reader.damaged.items():
            self._tell(path, OSError(why))
        if not self._is_adopted:
            self._adopt()
        self._is_open = True
        self.error = ""
        for source in self._sources.values():
            source.error = ""
        return True

    def _tell(self, path: str, error: OSError | ShipperError) -> None:
        """Declare once that nothing can be read there, nor known of how much that is."""
        if path in self._told:
            return
        self._told.add(path)
        reason, next_step = str(error), ""
        if isinstance(error, ShipperError):
            reason = f"{error.what}: {error.why}"
            next_step = error.next_step
        self._ports.on_gap(
            Gap(
                source=None,
                path=path,
                start=0,
                end=0,
                cause="unreadable",
                reason=reason,
                next_step=next_step,
            )
        )

    def _adopt(self) -> None:
        """An earlier run may have sent what is there by now, under the rows that there are."""
        self._is_adopted = True
        newest = self._reader.newest
        for source in self._sources.values():
            is_newest = newest is not None and newest.sequence_id == source.sequence_id
            source.adopted_end = newest.sequence + 1 if newest and is_newest else None

    def _read(self, budget_bytes: int) -> bool:
        """Make parts of the next batch; False: there is none now."""
        if self._batch is None and self._is_open and self._has_more:
            try:
                self._batch = self._reader.read(budget_bytes)
            except OSError as error:
                self._fail(str(error))
            self._has_more = self._batch is not None
        if self._batch is None:
            return False
        self._take(self._batch)
        self._batch = None
        return True

    def _take(self, batch: Batch) -> None:
        """The batch as parts, each of one row, without what is stored."""
        source = self._find_numbering(batch)
        now_nanos = self._ports.clock.now_nanos()
        self._renew_day(source, format_time(now_nanos)[:10])
        for gap in batch.gaps:
            self._declare(gap, source)
        self._cursor = batch.cursor
        while source.offset < batch.end:
            row, following = source.row_at(source.offset)
            end = batch.end if following is None else min(following, batch.end)
            self._parts.append(self._build_part(source, row, batch, end, now_nanos))

    def _build_part(
        self, source: JournalSource, row: SourceRow, batch: Batch, end: int, now_nanos: int
    ) -> LogPart:
        begin = source.offset
        entries = [entry for entry in batch.entries if begin <= entry.sequence < end]
        drops = [
            replace(drop, start=max(drop.start, begin), end=min(drop.end, end))
            for drop in batch.drops
            if drop.start < end and drop.end > begin
        ]
        cursor = entries[-1].cursor if entries else source.read_cursor
        if end == batch.end:  # behind what is not shipped, too
            cursor = batch.cursor
        start = source.take(entries, end, cursor)
        kept = apply_rules(self._transform, entries, self._ports.clock.monotonic())
        drops = sorted([*drops, *kept.drops], key=lambda drop: drop.start)
        size_bytes = sum(len(entry.data) for entry in entries)
        return LogPart(
            source=source.number,
            start=start,
            end=end,
            tail=cursor.encode(),
            records=Records.of(kept.records, start, offsets=kept.offsets, masked=kept.masked),
            read_at_nanos=now_nanos,
            builder=source.builder(row, self._ports.make_builder),
            drops=[self._ports.make_drop(row, drop) for drop in drops],
            dropped_bytes=size_bytes - sum(map(len, kept.records)),
            raw_size=size_bytes,
        )

    def _declare(self, gap: JournalGap, source: JournalSource) -> None:
        """A gap is of the numbering that it names, or of the present one if that is closed."""
        known = (one for one in self._sources.values() if one.sequence_id == gap.sequence_id)
        source = next(known, source)
        source.unpublished_gaps += 1
        self._ports.on_gap(
            Gap(
                source=source.number,
                path=KIND,
                start=gap.start,
                end=gap.end,
                cause="journal",
                reason=gap.reason,
            )
        )

    def _find_numbering(self, batch: Batch) -> JournalSource:
        """Its source; no other one is read now."""
        if self._current is not None and self._current.sequence_id == batch.sequence_id:
            return self._current
        known = (one for one in self._sources.values() if one.sequence_id == batch.sequence_id)
        source = next(known, None) or self._begin(batch)
        for other in self._sources.values():
            other.ended = other is not source
        source.switched_at = max(source.offset, batch.start)
        self._current = source
        self.closable = ()
        return source

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
            cursor=self._cursor,
        )
        self._ports.journal.append([row])
        self._ports.numbers.following += 1
        source = JournalSource([row], Progress(acked=batch.start, size=0))
        self._sources[source.number] = source
        self._ports.on_row(row)
        return source

    def _renew_day(self, source: JournalSource, today: str) -> None:
        """From midnight on entries go to the new day's index; what may have been sent stays."""
        if source.rows[-1].day >= today or source.adopted_end is None:
            return
        at = format_time(self._ports.clock.now_nanos())
        from_offset = max(source.offset, source.adopted_end)
        row = replace(source.rows[-1], day=today, from_offset=from_offset, at=at)
        self._ports.journal.append([row])
        source.rows.append(row)
        self._ports.on_row(row)

    def _fail(self, error: str) -> None:
        self.error = error
        self._is_open = self._has_more = False
        self._reader.close()
        for source in self._sources.values():
            source.error = error


def apply_rules(
    transform: Transform | None, entries: Sequence[Entry], now_seconds: float
) -> Transformed:
    """What the rules leave of entries; places are sequence numbers, a drop's too."""
    if transform is None:
        return Transformed(
            [entry.data for entry in entries], [entry.sequence for entry in entries], {}, ()
        )
    records: list[bytes] = []
    offsets: list[int] = []
    masked: dict[int, Sequence[tuple[int, int]]] = {}
    drops: list[Drop] = []
    for entry in entries:
        kept = transform.apply([entry.data], 0, now_seconds)
        if kept.masked:
            masked[len(records)] = kept.masked[0]
        records += kept.records
        offsets += [entry.sequence] * len(kept.records)
        for drop in kept.drops:
            last = drops[-1] if drops else None
            start, count = entry.sequence, 1
            if last is not None and (last.end, last.reason) == (start, drop.reason):
                start, count = last.start, last.count + 1
                drops.pop()
            drops.append(Drop(start=start, end=entry.sequence + 1, count=count, reason=drop.reason))
    return Transformed(records, offsets, masked, drops)
