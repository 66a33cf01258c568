"""The rows that say which file, and which day's index, a source's records belong to.

In: a file's first bytes, and the moment. Out: rows, to be made durable before a record rests on
them. Pure. It must never give a row the fingerprint of bytes that are not the source's.
"""

from __future__ import annotations

import dataclasses

from shipper.sources.rotation import FileId
from shipper.sources.watch import Watch
from shipper.wire.state import SourceRow, fingerprint
from shipper.wire.times import format_time


def build_first_row(
    number: int, path: str, file_id: FileId, watch: Watch, *, head: bytes, now_nanos: int
) -> SourceRow:
    """The row of a file that begins with `head`."""
    now = format_time(now_nanos)
    return SourceRow(
        source=number,
        path=path,
        device=file_id[0],
        inode=file_id[1],
        fingerprint=fingerprint(head),
        fingerprint_bytes=len(head),
        day=now[:10],
        from_offset=0,
        at=now,
        kind=watch.kind,
        name=watch.name,
    )


def build_day_row(last: SourceRow, from_offset: int, *, head: bytes, now_nanos: int) -> SourceRow:
    """The same file from a new day on."""
    now = format_time(now_nanos)
    return dataclasses.replace(
        last,
        fingerprint=fingerprint(head),
        fingerprint_bytes=len(head),
        day=now[:10],
        from_offset=from_offset,
        at=now,
    )


def build_copy_row(
    last: SourceRow, from_offset: int, file_id: FileId, *, day: str, now_nanos: int
) -> SourceRow:
    """The same bytes, which stand in a copy from `from_offset` on."""
    return dataclasses.replace(
        last,
        device=file_id[0],
        inode=file_id[1],
        day=day,
        from_offset=from_offset,
        at=format_time(now_nanos),
        is_copy=True,
    )
