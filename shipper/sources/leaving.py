"""A source whose file is gone or has other bytes: it goes on in a copy, unpacked, or ends.

In: a source, and why its file is not its own any more. Out: the source with another file to read
the rest from, or ended, with its unread bytes declared as a gap. Where a compressed form holds them
and there is no room to unpack it, the source waits for room. It must never end one that has unread
bytes without declaring them, nor declare what can still be read.
"""

from __future__ import annotations

from typing import Final

from shipper.sources.ports import Gap, GapCause, SourcePorts
from shipper.sources.registry import Registry
from shipper.sources.rotation import Found
from shipper.sources.rows import build_copy_row
from shipper.sources.source import Source
from shipper.sources.successors import find_copies, holds_at, unpack
from shipper.sources.watching import Watching

_NO_ROOM: Final = "the rest of its old bytes waits to be unpacked"


class Leaving:
    """What becomes of sources that lose their file. One thread's."""

    def __init__(
        self, registry: Registry, watching: Watching, ports: SourcePorts, *, unpack_folder: str
    ) -> None:
        """`unpack_folder`: where the rest of a compressed file is kept until it is shipped."""
        self._registry = registry
        self._watching = watching
        self._ports = ports
        self._unpack_folder = unpack_folder
        self._waiting: dict[int, tuple[GapCause, str]] = {}
        """Sources that have no file until there is room to unpack one, and why they left theirs."""
        self._leaving: set[int] = set()
        """Those that look for a copy now."""

    def end_vanished(self, source: Source) -> None:
        """It was deleted while no descriptor held it; OSError: no room to unpack its rest."""
        if source.watch is not None and source.watch.segments is not None:
            source.is_removed = True  # by us, who died before that was written down
            if source.size <= source.offset:
                self.end(source)
                return
        elif source.has_unknown_rest and self._go_on_unpacked(source):
            return
        if not source.is_verified:
            why = "removed while the shipper was not running"
            self.declare_lost(source, source.size, "vanished", why)
        elif source.size > source.offset:
            self.declare_lost(source, source.size, "vanished", "removed before it was read")
        self.end(source)

    def leave(self, source: Source, cause: GapCause, why: str) -> None:
        """Its file has other bytes now: go on elsewhere, or end it; its file id is free then."""
        try:
            is_going_on = self._go_on_in_copy(source) or self._go_on_unpacked(source)
        except OSError as error:
            source.error = f"{_NO_ROOM}: {error}"
            self._waiting[source.number] = (cause, why)
            self._give_up_file(source)
            return
        self._waiting.pop(source.number, None)
        if not is_going_on:
            source.error = ""
            self.declare_lost(source, source.known_end, cause, why)
            self._give_up_file(source)
            self.end(source)

    def leave_again(self) -> None:
        """Try once more what there was no room for."""
        for number, (cause, why) in list(self._waiting.items()):
            self.leave(self._registry.by_number[number], cause, why)

    def end(self, source: Source) -> None:
        """Nothing more is read from it."""
        self._watching.close_file(source)
        self._registry.end(source)

    def finish(self, source: Source) -> None:
        """Nothing more is read from it; its file is its own until it is removed."""
        self._watching.close_file(source)
        self._registry.finish(source)

    def declare_lost(self, source: Source, end: int, cause: GapCause, reason: str) -> None:
        """What was not read up to `end` will not be."""
        self._declare(source, (source.offset, max(end, source.offset)), cause, reason)

    def _give_up_file(self, source: Source) -> None:
        """What is in it now is its successor's."""
        self._watching.close_file(source)
        self._registry.leave_file(source)
        source.size = max(source.known_end, source.offset)
        source.barren_size = -1

    def _go_on_in_copy(self, source: Source) -> bool:
        """Read the rest from the copy that was made before truncating, if there is one."""
        copy = self._find_copy(source)
        if copy is None:
            return False
        now_nanos = self._ports.clock.now_nanos()
        row = build_copy_row(
            source.rows[-1],
            source.offset,
            copy.file_id,
            day=source.row_at(source.offset)[0].day,  # what was sent under it stays in its index
            now_nanos=now_nanos,
        )
        self._ports.journal.append([row])
        self._registry.leave_file(source)
        source.go_on_in(copy.path, row, copy.stat.st_size)
        source.missing_at = self._ports.clock.monotonic()  # until a pattern names the copy
        self._registry.take_file(source)
        self._ports.on_row(row)
        self._declare_race(source, copy)
        source.known_end = max(source.offset, min(source.known_end, copy.stat.st_size))
        self._registry.note_stat(source, copy.stat)
        self._registry.queue_seen()
        return True

    def _find_copy(self, source: Source) -> Found | None:
        """A copy that no other source reads; one whose file was copied over leaves it first."""
        self._leaving.add(source.number)
        try:
            for copy in find_copies(source.first_path, source.known):
                other = self._registry.by_file.get(copy.file_id)
                if other is None:
                    return copy
                if other.number in self._leaving or holds_at(copy.path, other.known):
                    continue
                self.leave(other, "replaced", "another copy was made over it")
                if copy.file_id not in self._registry.by_file:
                    return copy
        finally:
            self._leaving.discard(source.number)
        return None

    def _go_on_unpacked(self, source: Source) -> bool:
        """Read the rest of a file from its compressed form, if there is one."""
        file = unpack(source.first_path, source.known, self._unpack_folder)
        if file is None:
            return False
        self._registry.leave_file(source)
        source.go_on_unpacked(file)
        self._registry.take_file(source)
        source.missing_at = source.missing_at or self._ports.clock.monotonic()
        self._registry.note_ready(source)
        return True

    def _declare_race(self, source: Source, copy: Found) -> None:
        """What was written between copying and truncating is in neither file."""
        copied = max(copy.stat.st_size, source.offset)
        reason = "truncated: what was written after it was copied is not known"
        self._declare(source, (copied, max(copied, source.known_end)), "truncated", reason)

    def _declare(self, source: Source, lost: tuple[int, int], cause: GapCause, reason: str) -> None:
        source.unpublished_gaps += 1
        start, end = lost
        gap = Gap(
            source=source.number,
            path=source.first_path,
            start=start,
            end=end,
            cause=cause,
            reason=reason,
        )
        self._ports.on_gap(gap)
