"""What the kernel tells of followed files: which were written to, and whether names changed.

In: a `Watcher`, the scanners that know which paths matter, and the files that are open. Out: the
sources to look at, and whether only a rescan finds the rest. Without a `Watcher` it tells nothing,
and files are looked at by time. It must never call a file watched whose writes are not told.
"""

from __future__ import annotations

from collections.abc import Sequence

from shipper.sources.notify import NOTHING, Watcher
from shipper.sources.patterns import Scanner
from shipper.sources.registry import Registry
from shipper.sources.source import Source


class Watching:
    """The kernel's watches on folders and open files. One thread's."""

    def __init__(
        self, registry: Registry, scanners: Sequence[Scanner], watcher: Watcher | None
    ) -> None:
        self._registry = registry
        self._scanners = scanners
        self._watcher = watcher
        self.wants_rescan = False
        """Whether the kernel told of something that only a rescan finds."""

    def take_changes(self) -> frozenset[int]:
        """The files that were written to; notes whether a rescan is wanted."""
        changes = NOTHING if self._watcher is None else self._watcher.drain()
        self.wants_rescan |= (
            changes.overflowed or changes.has_folders or any(map(self._concerns, changes.paths))
        )
        return changes.files

    def _concerns(self, path: str) -> bool:
        return path in self._registry.last_at_path or any(
            scanner.leads_through(path) for scanner in self._scanners
        )

    @property
    def is_complete(self) -> bool:
        """Whether every new file, and every write to one that may be written to, is told.

        What was renamed long ago may be closed: it is not written to.
        """
        return (
            self._watcher is not None
            and self._watcher.is_complete
            and all(
                source.is_watched or source.missing_at is not None
                for source in self._registry.by_file.values()
            )
        )

    def watch_folders(self) -> None:
        """Watch the folders of the last scan."""
        if self._watcher is None:
            return
        folders = set().union(*(scanner.folders for scanner in self._scanners))
        # what came into a new one before it was watched is found by the next rescan
        self.wants_rescan |= self._watcher.watch_folders(folders)

    def watch_file(self, source: Source) -> None:
        """Watch a file that was just opened."""
        if self._watcher is not None and source.file is not None:
            source.is_watched = self._watcher.watch_file(source.number, source.file)

    def close_file(self, source: Source) -> None:
        """Let go of its descriptor, and of its watch."""
        if self._watcher is not None and source.is_watched:
            self._watcher.forget_file(source.number)
            source.is_watched = False
        source.close()
