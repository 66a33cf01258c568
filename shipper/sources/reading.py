"""An open file's next records: of the right day, looked at by the rules, under the right moment.

In: a source whose file is open. Out: a part to be shipped. A record's moment is when its first
byte was seen, also where it waited for its end since. It must never give out a record before the
row that it rests on is durable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from shipper.sources.part import LogPart
from shipper.sources.ports import SourcePorts
from shipper.sources.rows import build_day_row
from shipper.sources.source import Source
from shipper.wire.framing import Framed
from shipper.wire.mask_edges import EDGE_BYTES
from shipper.wire.records import Records
from shipper.wire.state import fingerprint
from shipper.wire.times import NANOS_PER_SECOND, format_time
from shipper.wire.transforms import Drop

_SAME_MOMENT_NANOS: Final = NANOS_PER_SECOND
"""What waited no longer is one part with what came after it: a busy file's records are many."""


class Reading:
    """Makes parts of sources. One thread's."""

    def __init__(self, ports: SourcePorts) -> None:
        self._ports = ports

    def read(self, source: Source) -> Framed | None:
        """The records to `take`; None: there is no whole one.

        Raises:
            ReplacedError: the file is not what it was.
            OSError: it can't be read.
            StateError: a new day's row can't be made durable.
        """
        self._renew_day(source)
        framed = source.read()
        now_nanos = self._ports.clock.now_nanos()
        if framed is None:
            source.note_waiting(now_nanos)
            return None
        waiting = source.waiting
        if waiting is not None and now_nanos - waiting.seen_at_nanos >= _SAME_MOMENT_NANOS:
            size = waiting.end - source.offset
            if size < len(framed.data):  # what came later is another moment's
                return framed.starting_before(size)
        return framed

    def take(self, source: Source, framed: Framed) -> LogPart:
        """A part of what was read, once the rules have looked at it."""
        waiting = source.waiting
        read_at_nanos = waiting.seen_at_nanos if waiting else self._ports.clock.now_nanos()
        start = source.offset
        row, _ = source.row_at(start)
        records = Records(data=framed.data, start=start, lengths=framed.lengths)
        drops: Sequence[Drop] = ()
        transform = source.transform
        if transform is not None:
            now = self._ports.clock.monotonic()
            before = source.read_before(EDGE_BYTES)
            kept = transform.apply(records.split(), start, now, before)
            drops = kept.drops
            records = Records.of(kept.records, start, offsets=kept.offsets, masked=kept.masked)
        builder = source.builder(row, self._ports.make_builder)
        drop_vitals = [self._ports.make_drop(row, drop) for drop in drops]
        start, end, tail = source.take(framed)  # last: what fails above is read again
        return LogPart(
            source=source.number,
            start=start,
            end=end,
            tail=tail,
            records=records,
            read_at_nanos=read_at_nanos,
            builder=builder,
            drops=drop_vitals,
            dropped_bytes=sum(drop.end - drop.start for drop in drops),
        )

    def _renew_day(self, source: Source) -> None:
        """From midnight on records go to the new day's index; what may have been sent stays.

        A clock that goes back gives no new day, and two days that begin at one place are one: a
        row's place is its name at the centre.
        """
        now_nanos = self._ports.clock.now_nanos()
        last = source.rows[-1]
        from_offset = max(source.offset, source.adopted_size)
        latest = max(source.rows, key=lambda row: row.from_offset)
        if format_time(now_nanos)[:10] <= latest.day or from_offset <= latest.from_offset:
            return
        head = source.read_head()
        row = build_day_row(last, from_offset, head=head, now_nanos=now_nanos)
        if fingerprint(head[: last.fingerprint_bytes]) != last.fingerprint:
            # a truncated file's successor, or an unpacked rest: not this source's first bytes
            row = dataclasses.replace(
                row, fingerprint=last.fingerprint, fingerprint_bytes=last.fingerprint_bytes
            )
        self._ports.journal.append([row])
        source.rows.append(row)
        self._ports.on_row(row)
