"""Following files: finding them, knowing them again after rotation and restart, reading them.

In: glob patterns, and what the state folder knows. Out: parts of records, to be acknowledged. Each
(device, inode) is one source, under the first path it was seen as, until it is deleted, truncated
or replaced. Here is the order in which things are looked at; how a file is opened, read, left or
closed stands beside. It must never forget a file that still has unread bytes without declaring a
gap.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from shipper.errors import StateError
from shipper.narration import narrate
from shipper.sources import closing
from shipper.sources.held import Held
from shipper.sources.leaving import Leaving
from shipper.sources.notify import Watcher
from shipper.sources.open_files import HELD_PERCENT, OPEN_FILES_LIMIT, OpenFiles
from shipper.sources.opening import NewFile, Opening
from shipper.sources.part import LogPart
from shipper.sources.partials import Partials
from shipper.sources.patterns import Scanner
from shipper.sources.ports import Gap, SourcePorts
from shipper.sources.reading import Reading
from shipper.sources.registry import Registry
from shipper.sources.rotation import FileId, Found, find_path
from shipper.sources.source import ReplacedError, Source
from shipper.sources.watch import Watch
from shipper.sources.watching import Watching
from shipper.wire.state import Checkpoint, Journal, Progress
from shipper.wire.times import NANOS_PER_SECOND, parse_time

_HOT_SECONDS: Final = 10.0
"""A file that changed this lately is looked at with every poll, others with every rescan."""


class Tail:
    """All files of one configuration. One thread's."""

    def __init__(
        self,
        watches: Sequence[Watch],
        ports: SourcePorts,
        *,
        excluded: frozenset[FileId] = frozenset(),
        unpack_folder: str,
        since: str,
        watcher: Watcher | None = None,
        held_percent: int = HELD_PERCENT,
        open_files_limit: int = OPEN_FILES_LIMIT,
    ) -> None:
        """`excluded`: folders that hold no logs, such as the shipper's own state.

        `since`: when the stream began. `unpack_folder`: where the rest of a compressed file is kept
        until it is shipped. `watcher` is told what to watch, and asked by `poll`.
        """
        self._ports = ports
        self._clock = ports.clock
        self._scanners = [
            (
                watch,
                Scanner(
                    watch.patterns,
                    excluded=frozenset() if watch.segments else excluded,
                    on_error=self._note_unreadable,
                ),
            )
            for watch in watches
        ]
        self._has_spools = any(watch.segments is not None for watch in watches)
        self._unreadable: dict[str, str] = {}
        self.is_watched = False
        """Whether, at the last rescan, the kernel told of every new file and every write."""
        self._registry = registry = Registry(ports.clock)
        self._watching = watching = Watching(
            registry, [scanner for _, scanner in self._scanners], watcher
        )
        self._leaving = Leaving(registry, watching, ports, unpack_folder=unpack_folder)
        self._open_files = OpenFiles(
            registry,
            watching,
            self._leaving,
            ports.clock,
            limit=open_files_limit,
            held_percent=held_percent,
        )
        self._opening = Opening(
            registry,
            watching,
            self._open_files,
            ports,
            since_nanos=parse_time(since) - NANOS_PER_SECOND,
            on_unreadable=self._note_unreadable,
        )
        self._reading = Reading(ports)
        self._partials = Partials(registry, ports)

    @property
    def sources(self) -> Iterable[Source]:
        """Every source that is not closed."""
        return self._registry.by_number.values()

    def find(self, number: int) -> Source | None:
        """The source of that number, if it is a file and not closed."""
        return self._registry.by_number.get(number)

    @property
    def unreadable(self) -> dict[str, str]:
        """Paths that can't be read, and why."""
        return dict(self._unreadable)

    @property
    def held(self) -> Sequence[Held]:
        """Deleted files that were open at the last rescan."""
        return self._open_files.held

    @property
    def wants_rescan(self) -> bool:
        """Whether the kernel told of something that only a rescan finds."""
        return self._watching.wants_rescan

    def load(self, journal: Journal, checkpoint: Checkpoint) -> None:
        """Know again what earlier runs followed."""
        by_place = sorted(journal.rows.items(), key=lambda item: journal.placed[item[0]])
        for number, rows in by_place:
            if number in journal.closed or rows[0].kind == "journald":
                continue
            progress = checkpoint.sources.get(number) or Progress(acked=0, size=0)
            source = Source(rows, cuts=journal.cuts.get(number, ()), progress=progress)
            source.watch = self._watch_of(source)
            before = self._registry.by_file.get(source.file_id)
            if before is not None:  # an earlier run saw it truncated, and died before all was said
                why = "truncated or replaced, and the shipper ended before it was stored"
                self._leaving.leave(before, "replaced", why)
            self._registry.add(source)

    def _watch_of(self, source: Source) -> Watch | None:
        """What a source of an earlier run is followed for now."""
        alike = [watch for watch, _ in self._scanners if watch.kind == source.kind]
        for watch, scanner in self._scanners:
            if watch in alike and scanner.matches(source.first_path):
                return watch
        return alike[0] if alike else None

    # ---- looking

    def rescan(self) -> None:
        """Look for new, moved and vanished files; StateError: new ones have to wait."""
        self._leaving.leave_again()
        known_unreadable, self._unreadable = self._unreadable, {}
        self._open_files.has_left_out = False
        self._watching.take_changes()  # all of it is looked at now
        self._watching.wants_rescan = False
        seen: set[FileId] = set()
        new = self._scan(seen)
        for source in [s for s in self._registry.by_file.values() if s.file_id not in seen]:
            self._look_for(source)
        self._registry.queue_seen()
        new = [one for one in new if not self._opening.is_copy_of_followed(one[1])]
        self._opening.start(new, seen)
        self._open_files.close_quiet()
        self._open_files.bound_held()
        self._watching.watch_folders()
        self.is_watched = not self._open_files.has_left_out and self._watching.is_complete
        for path, why in self._unreadable.items():
            if path not in known_unreadable:
                gap = Gap(source=None, path=path, start=0, end=0, cause="unreadable", reason=why)
                self._ports.on_gap(gap)

    def _scan(self, seen: set[FileId]) -> list[NewFile]:
        """What the patterns name and nothing follows; adds to `seen` whatever they name."""
        new: list[NewFile] = []
        for watch, scanner in self._scanners:
            for path, stat in scanner.scan():
                file_id = (stat.st_dev, stat.st_ino)
                if file_id in seen:
                    continue
                seen.add(file_id)
                source = self._registry.by_file.get(file_id)
                if source is None:
                    new.append((watch, Found(path, stat, path)))
                else:
                    source.path = path
                    source.missing_at = None
                    self._registry.note_stat(source, stat)
        return new

    def _look_for(self, source: Source) -> None:
        """No pattern names it now: it was renamed, or is gone."""
        if source.missing_at is None:
            source.missing_at = self._clock.monotonic()
        if source.file is not None:
            self._registry.note_stat(source, os.fstat(source.file))
            return
        path = find_path((source.path, source.first_path), source.file_id)
        if path is None:
            try:
                self._leaving.end_vanished(source)
            except OSError as error:  # no room to unpack it: the next rescan tries again
                source.error = str(error)
            return
        source.path = path
        try:
            stat = os.stat(path)  # noqa: PTH116 - as in rotation.py
        except OSError:
            return  # moved again: the next rescan looks again
        self._registry.note_stat(source, stat)

    def poll(self) -> None:
        """Look at the open files that changed, or may have: lately changed, and not watched."""
        for number in self._watching.take_changes():
            changed = self.find(number)
            if changed is not None and changed.file is not None:
                self._registry.note_stat(changed, os.fstat(changed.file))
        if not self.is_watched or self._has_spools:
            self._poll_hot()
        self._registry.queue_seen()

    def _poll_hot(self) -> None:
        now = self._clock.monotonic()
        for source in self._registry.by_file.values():
            # what a spool has written may be read once it is durable, which no watch tells
            is_told = source.is_watched and (source.watch is None or source.watch.segments is None)
            if source.file is not None and not is_told and now - source.grown_at < _HOT_SECONDS:
                self._registry.note_stat(source, os.fstat(source.file))

    def _note_unreadable(self, path: str, error: OSError) -> None:
        self._unreadable[path] = error.strerror or str(error)

    # ---- reading

    def read_parts(self, budget_bytes: int) -> Iterator[LogPart]:
        """Parts of about `budget_bytes` together, in turn from every source that has some."""
        while budget_bytes > 0 and self._registry.has_ready:
            source = self._registry.take_ready()
            try:
                part = self._read(source)
            except StateError:
                raise
            except Exception as error:  # noqa: BLE001 - a bug in one format must not stop the others
                self._note_bug(source, error)
                continue
            if part is not None:
                self._registry.note_ready(source)
                budget_bytes -= part.end - part.start
                yield part

    def _note_bug(self, source: Source, error: Exception) -> None:
        """Nothing of it was given out: it is read again when it changes, or by the next run."""
        text = f"a bug in reading it: {error!r}"
        if source.error != text:
            narrate("error", f"{source.name or source.path}: {text}; please report it")
            traceback.print_exc(file=sys.stderr)
        source.error = text

    def _read(self, source: Source) -> LogPart | None:
        try:
            if source.file is None:
                if not self._open_files.make_room(1):
                    return None  # the next rescan tries again
                source.open()
                self._watching.watch_file(source)
            framed = self._reading.read(source)
        except ReplacedError as error:
            self._end_replaced(source, str(error))
            return None
        except FileNotFoundError:
            self._look_for(source)
            return None
        except OSError as error:
            source.error = str(error)
            return None
        source.error = ""
        if framed is None:
            self._partials.note_barren(source)
            return None
        return self._reading.take(source, framed)

    def _end_replaced(self, source: Source, why: str) -> None:
        """Truncated or overwritten: the same file id is another source from here on."""
        path, file_id, is_named = source.path, source.file_id, source.missing_at is None
        if source.file is not None:  # no other file can have got its inode
            self._leaving.leave(source, "truncated", f"truncated: {why}")
        else:
            self._leaving.leave(source, "replaced", f"truncated or replaced: {why}")
        self._opening.start_missed()
        try:
            found = Found(path, os.stat(path), path if is_named else source.first_path)  # noqa: PTH116 - as in rotation.py
        except OSError:
            return
        if found.file_id != file_id or file_id in self._registry.by_file:
            return
        # a name that no pattern has: the inode was used again, and its new file rotated away, too
        if is_named or self._opening.is_missed(found):
            self._opening.start([(source.watch or self._scanners[0][0], found)], set())

    def cut_partials(self) -> None:
        """Make records of last lines without newline that nobody finishes."""
        self._partials.cut()

    # ---- ending

    def begin_drain(self) -> None:
        """From now on read to the ends that files have at this moment; call `rescan` first."""
        self._registry.begin_drain()

    @property
    def is_drained(self) -> bool:
        """Whether every source was read to its end at the drain's begin, or can't be read."""
        return not (
            self._registry.has_ready or self._open_files.has_left_out or self._partials.has_readable
        )

    def close_settled(self) -> list[Source]:
        """Forget the sources that ended and are acknowledged whole; which they were."""
        return closing.close_settled(self._registry, self._ports.journal)

    def end_sealed(self) -> bool:
        """Read no more of spool segments that were shipped whole; whether there were some."""
        return closing.end_sealed(self._registry, self._leaving)

    def remove_ended(self) -> None:
        """Remove the segments that ended: call it once a checkpoint that says so is on the disk.

        Raises:
            StateError: the folder refuses it; they are asked for again.
        """
        closing.remove_ended(self._registry)

    def close(self) -> None:
        """Let go of every descriptor."""
        for source in self.sources:
            source.close()
