"""How many files are open, and how long those that nobody names any more stay open.

In: the followed files. Out: room for others to be opened, and which deleted files keep the disk
from being freed. A file that is closed here is opened again when there is something to read. It
must never let go of a deleted file that is not shipped without declaring a gap.
"""

from __future__ import annotations

import os
from typing import Final

from shipper.ports import Clock
from shipper.sources.held import Held, find_excess, find_held
from shipper.sources.leaving import Leaving
from shipper.sources.registry import Registry
from shipper.sources.watching import Watching

DELETED_QUIET_SECONDS: Final = 60.0
RENAMED_QUIET_SECONDS: Final = 300.0
OPEN_FILES_LIMIT: Final = 512
HELD_PERCENT: Final = 10


class OpenFiles:
    """The descriptors of followed files. One thread's."""

    def __init__(
        self,
        registry: Registry,
        watching: Watching,
        leaving: Leaving,
        clock: Clock,
        *,
        limit: int,
        held_percent: int,
    ) -> None:
        """`held_percent`: of a file system, which deleted files that are not shipped may keep."""
        self._registry = registry
        self._watching = watching
        self._leaving = leaving
        self._clock = clock
        self._limit = limit
        self._held_percent = held_percent
        self.held: list[Held] = []
        """Deleted files that were open at the last `bound_held`."""
        self.has_left_out = False
        """Whether a file waits because too many others are open."""

    def make_room(self, wanted: int) -> int:
        """How many of `wanted` files may be opened now; lets go of those that were quiet longest.

        The others have to wait for the next rescan.
        """
        opened = [source for source in self._registry.by_file.values() if source.file is not None]
        room = self._limit - len(opened)
        if room < wanted:
            idle = [
                source
                for source in opened
                if source.is_settled and not source.has_unread and not source.has_partial
            ]
            idle.sort(key=lambda source: source.grown_at)
            for source in idle[: wanted - room]:
                self._watching.close_file(source)
                room += 1
        self.has_left_out |= room < wanted
        return min(room, wanted)

    def close_quiet(self) -> None:
        """Let go of renamed and deleted files that are shipped and quiet."""
        now = self._clock.monotonic()
        missing = [s for s in self._registry.by_file.values() if s.missing_at is not None]
        for source in missing:
            if source.file is None or source.has_unread or not source.is_settled:
                continue
            if source.has_partial:
                continue
            quiet = now - max(source.grown_at, source.missing_at or 0.0)
            is_deleted = os.fstat(source.file).st_nlink == 0
            if is_deleted and quiet >= DELETED_QUIET_SECONDS:
                self._leaving.end(source)
            elif not is_deleted and quiet >= RENAMED_QUIET_SECONDS:
                self._watching.close_file(source)

    def bound_held(self) -> None:
        """Let go of the oldest deleted files where all of them keep too much of the disk."""
        percent = self._held_percent
        self.held = [
            held
            for source in self._registry.by_file.values()
            if source.file is not None and source.missing_at is not None
            if (held := find_held(source.number, source.file, source.missing_at, percent))
        ]
        for excess in find_excess(self.held):
            source = self._registry.by_number[excess.source]
            self._leaving.declare_lost(
                source,
                source.size,
                "held",
                f"deleted before it was shipped, and such files took over {percent} %"
                " of their file system",
            )
            self._leaving.end(source)
            self.held.remove(excess)
