"""The followed files by what they are looked up by: number, file id, path, and who is read next.

In: sources, and what was just seen of their files. Out: the same sources, found again. A source
has its file id until the file is another's; who has none is not read. It must never hold two
sources for one file id, nor queue one that ended.
"""

from __future__ import annotations

import os

from shipper.ports import Clock
from shipper.sources.rotation import FileId
from shipper.sources.source import Source


class Registry:
    """Every source that is not closed. One thread's."""

    def __init__(self, clock: Clock) -> None:
        self.by_number: dict[int, Source] = {}
        self.by_file: dict[FileId, Source] = {}
        """Those that have their file, by its device and inode."""
        self.last_at_path: dict[str, Source] = {}
        """The one that was found last under each path."""
        self.is_draining = False
        """Whether files are read only to the ends that they had when the drain began."""
        self._clock = clock
        self._ready: dict[int, Source] = {}
        """Sources that may have something to read, the one that waited longest first."""
        self._seen: list[Source] = []
        """Looked at since the last `queue_seen`."""

    def add(self, source: Source) -> None:
        """From now on it is followed; a source that had its file before must have left it."""
        self.by_number[source.number] = source
        self.by_file[source.file_id] = source
        self.last_at_path[source.first_path] = source
        source.grown_at = self._clock.monotonic()

    def leave_file(self, source: Source) -> None:
        """Its file is not its own any more: it is not read."""
        if self.by_file.get(source.file_id) is source:
            del self.by_file[source.file_id]
        self._ready.pop(source.number, None)

    def take_file(self, source: Source) -> None:
        """It has the file that its file id names now."""
        self.by_file[source.file_id] = source

    def end(self, source: Source) -> None:
        """Nothing more is read from it; it stays until all of it is acknowledged."""
        source.ended = True
        self.leave_file(source)

    def finish(self, source: Source) -> None:
        """Nothing more is read from it, and its file, which is still there, is no new one."""
        source.ended = True
        self._ready.pop(source.number, None)

    def forget(self, source: Source) -> None:
        """It is closed."""
        del self.by_number[source.number]
        if self.last_at_path.get(source.first_path) is source:
            del self.last_at_path[source.first_path]

    def begin_drain(self) -> None:
        """From now on files end where they end at this moment."""
        self.is_draining = True
        for source in self.by_file.values():
            if source.file is not None:
                source.note_stat(os.fstat(source.file))
            source.until = max(source.size, source.offset)
            self._seen.append(source)
        self.queue_seen()

    # ---- who is read next

    def note_stat(self, source: Source, stat: os.stat_result) -> None:
        """It was looked at; `queue_seen` must follow."""
        if source.note_stat(stat):
            source.grown_at = self._clock.monotonic()
        self._seen.append(source)

    def queue_seen(self) -> None:
        """Read what was written to last, last: `event.created` then tells the last word."""
        self._seen.sort(key=lambda source: source.mtime_ns)
        for source in self._seen:
            self.note_ready(source)
        self._seen.clear()

    def note_ready(self, source: Source) -> None:
        """Queue it, if it may have something to read."""
        if source.ended or self.by_file.get(source.file_id) is not source:
            return
        if source.has_unread or not source.is_verified:
            self._ready.setdefault(source.number, source)

    @property
    def has_ready(self) -> bool:
        """Whether a source is queued."""
        return bool(self._ready)

    def take_ready(self) -> Source:
        """The one that waited longest, from the queue."""
        return self._ready.pop(next(iter(self._ready)))
