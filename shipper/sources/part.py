"""A range of a source on its way: what is sent together and acknowledged together.

In: records that were read, and what a rule dropped among them. Out: `_bulk` items, built when they
are sent. It must never build one record to two different ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shipper.wire.builder import Built, RecordBuilder
from shipper.wire.records import Records
from shipper.wire.vitals import Vital


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Records of one source, all of one index, and tiles for what lies between them."""

    source: int
    start: int
    end: int
    tail: bytes
    """The last bytes before `end`; of a journal: its cursor there."""
    records: Records
    read_at_nanos: int
    builder: RecordBuilder
    drops: Sequence[Vital] = ()
    """Documents that stand for what was dropped."""
    dropped_bytes: int = 0
    raw_size: int | None = None
    """Bytes that it stands for, where they are not `end - start`."""

    def build(self) -> Built:
        """One item per record, then one per drop."""
        built = self.builder.build(self.records, self.read_at_nanos)
        if not self.drops:
            return built
        drops = b"".join([drop.build() for drop in self.drops])
        return Built(built.body + drops, built.item_count + len(self.drops))

    def build_plain(self, item: int) -> bytes | None:
        """One record as base64 and read time alone; None: a drop, which has no plainer form."""
        records = self.records.split()
        if item >= len(records):
            return None
        offset = self.records.places(records)[item]
        masked = self.records.masked.get(item, ())
        return self.builder.build_plain(records[item], offset, self.read_at_nanos, masked)

    def raw_bytes(self, item: int) -> int:
        """The record's length; 0 for a drop, whose bytes are counted as dropped."""
        records = self.records.split()
        return len(records[item]) if item < len(records) else 0

    @property
    def raw_bytes_total(self) -> int:
        """How many bytes of the source it stands for."""
        return self.end - self.start if self.raw_size is None else self.raw_size

    @property
    def body_bytes(self) -> int:
        """About how large its items are."""
        count = self.records.count + len(self.drops)
        return len(self.records.data) + count * self.builder.item_bytes
