"""Sources that are done: closed in the journal, and a spool's segments removed from the disk.

In: the followed files, and what became of their bytes. Out: which sources are closed. A segment is
read to its end, then a checkpoint says so, then it is removed, then its source is closed. It must
never remove a segment, nor close a source, while something of it may have to be read again.
"""

from __future__ import annotations

from pathlib import Path

from shipper.sources.leaving import Leaving
from shipper.sources.ports import JournalWriter
from shipper.sources.registry import Registry
from shipper.sources.source import Source
from shipper.wire.state import Closed


def close_settled(registry: Registry, journal: JournalWriter) -> list[Source]:
    """Forget the sources that ended and are acknowledged whole; which they were."""
    settled = [
        source
        for source in registry.by_number.values()
        if source.is_closable
        and (source.is_removed or source.watch is None or source.watch.segments is None)
    ]
    journal.append([Closed(source=source.number, end=source.offset) for source in settled])
    for source in settled:
        registry.forget(source)
    return settled


def end_sealed(registry: Registry, leaving: Leaving) -> bool:
    """Read no more of spool segments that were shipped whole; whether there were some."""
    found = False
    for source in list(registry.by_number.values()):
        segments = None if source.watch is None else source.watch.segments
        if segments is None or source.ended or not source.is_verified:
            continue
        if source.has_unread or source.has_partial or not source.is_settled:
            continue
        path = Path(source.path)
        if segments.is_sealed(path) and source.offset >= segments.committed_bytes(path):
            leaving.finish(source)
            found = True
    return found


def remove_ended(registry: Registry) -> None:
    """Remove the segments that ended; StateError: the folder refuses it, they are asked again."""
    for source in registry.by_number.values():
        segments = None if source.watch is None else source.watch.segments
        if segments is None or source.is_removed or not (source.ended and source.is_settled):
            continue
        segments.remove(Path(source.path))
        source.is_removed = True
        registry.leave_file(source)  # another segment may have its inode now
