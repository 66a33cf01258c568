"""Following files: finding them, knowing them again after rotation and restart, reading them.

In: glob patterns, and what the state folder knows. Out: parts of records, to be acknowledged. Each
(device, inode) is one source, under the first path it was seen as, until it is deleted, truncated
or replaced. A source's row, and a cut in a line, are on disk before a record that rests on them is
given out. It must never forget a file that still has unread bytes without declaring a gap.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from shipper.ports import Clock
from shipper.sources.followed import SourceNumbers
from shipper.sources.held import Held, find_excess, find_held
from shipper.sources.notify import NOTHING, Watcher
from shipper.sources.part import LogPart
from shipper.sources.patterns import Scanner
from shipper.sources.rotation import FileId, Found, find_path, list_rotated, rotated_from
from shipper.sources.source import ReplacedError, Source, open_file
from shipper.sources.successors import find_copy, have_same_start, holds, unpack
from shipper.sources.watch import PARTIAL_IDLE_SECONDS, Watch
from shipper.wire.builder import RecordBuilder
from shipper.wire.framing import Framed
from shipper.wire.records import Records
from shipper.wire.state import (
    FINGERPRINT_BYTES,
    Checkpoint,
    Closed,
    Cut,
    Entry,
    Journal,
    Progress,
    SourceRow,
    fingerprint,
)
from shipper.wire.times import NANOS_PER_SECOND, format_time, parse_time
from shipper.wire.transforms import Drop
from shipper.wire.vitals import Vital

_ROTATED_PARTIAL_IDLE_SECONDS: Final = 1.0
DELETED_QUIET_SECONDS: Final = 60.0
RENAMED_QUIET_SECONDS: Final = 300.0
OPEN_FILES_LIMIT: Final = 512
HELD_PERCENT: Final = 10
_HOT_SECONDS: Final = 10.0
"""A file that changed this lately is looked at with every poll, others with every rescan."""


class JournalWriter(Protocol):
    """Where entries become durable."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Return once they are; StateError: none is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Bytes that were not read, or may not have been (`end` equal to `start`: not known)."""

    source: int | None
    path: str
    start: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TailPorts:
    """What the tail asks of the rest of the agent."""

    journal: JournalWriter
    clock: Clock
    make_builder: Callable[[SourceRow], RecordBuilder]
    on_row: Callable[[SourceRow], None]
    """A row is durable: tell the centre."""
    on_gap: Callable[[Gap], None]
    make_drop: Callable[[SourceRow, Drop], Vital]
    numbers: SourceNumbers


class Tail:
    """All files of one configuration. One thread's."""

    def __init__(
        self,
        watches: Sequence[Watch],
        ports: TailPorts,
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
        self._unpack_folder = unpack_folder
        self._since_nanos = parse_time(since) - NANOS_PER_SECOND
        self._open_files_limit = open_files_limit
        self._held_percent = held_percent
        self.held: list[Held] = []
        """Deleted files that were open at the last rescan."""
        self._watcher = watcher
        self.wants_rescan = False
        """Whether the kernel told of something that only a rescan finds."""
        self.is_watched = False
        """Whether, at the last rescan, the kernel told of every new file and every write."""
        self._has_spools = any(watch.segments is not None for watch in watches)
        self._sources: dict[int, Source] = {}
        self._by_file: dict[FileId, Source] = {}
        self._ready: dict[int, Source] = {}
        """Sources that may have something to read, the one that waited longest first."""
        self._seen: list[Source] = []
        """Looked at since the last `_queue_seen`."""
        self._last_at_path: dict[str, Source] = {}
        self._unreadable: dict[str, str] = {}
        self._draining = False
        self._left_out = False
        """Whether a file waits because too many others are open."""

    @property
    def sources(self) -> Iterable[Source]:
        """Every source that is not closed."""
        return self._sources.values()

    @property
    def unreadable(self) -> dict[str, str]:
        """Paths that can't be read, and why."""
        return dict(self._unreadable)

    def load(self, journal: Journal, checkpoint: Checkpoint) -> None:
        """Know again what earlier runs followed."""
        for number, rows in sorted(journal.rows.items()):
            if number in journal.closed or rows[0].kind == "journald":
                continue
            progress = checkpoint.sources.get(number) or Progress(acked=0, size=0)
            source = Source(rows, cuts=journal.cuts.get(number, ()), progress=progress)
            source.watch = self._watch_of(source)
            before = self._by_file.get(source.file_id)
            if before is not None:  # an earlier run saw it truncated, and died before all was said
                self._leave(before, "truncated, and the shipper ended before it was stored")
            self._add(source)

    def rescan(self) -> None:
        """Look for new, moved and vanished files."""
        known_unreadable, self._unreadable = self._unreadable, {}
        self._left_out = False
        self._take_changes()  # all of it is looked at now
        self.wants_rescan = False
        seen: set[FileId] = set()
        new: list[tuple[Watch, Found]] = []
        for watch, scanner in self._scanners:
            for path, stat in scanner.scan():
                file_id = (stat.st_dev, stat.st_ino)
                if file_id in seen:
                    continue
                seen.add(file_id)
                source = self._by_file.get(file_id)
                if source is None:
                    new.append((watch, Found(path, stat, path)))
                else:
                    source.path = path
                    source.missing_at = None
                    self._note_stat(source, stat)
        for source in [s for s in self._by_file.values() if s.file_id not in seen]:
            self._look_for(source)
        self._queue_seen()
        new = [
            (watch, file)
            for watch, file in new
            if (before := self._last_at_path.get(rotated_from(file.path))) is None
            or not self._is_copy(file, before)
        ]
        self._start(self._missed_successors(new, seen) + new)
        self._close_quiet()
        self._bound_held()
        self._watch_folders()
        self.is_watched = self._is_all_watched()
        for path, why in self._unreadable.items():
            if path not in known_unreadable:
                self._ports.on_gap(Gap(source=None, path=path, start=0, end=0, reason=why))

    def poll(self) -> None:
        """Look at the open files that changed, or may have: lately changed, and not watched."""
        for number in self._take_changes():
            changed = self._sources.get(number)
            if changed is not None and changed.file is not None:
                self._note_stat(changed, os.fstat(changed.file))
        if not self.is_watched or self._has_spools:
            self._poll_hot()
        self._queue_seen()

    def _poll_hot(self) -> None:
        now = self._ports.clock.monotonic()
        for source in self._by_file.values():
            # what a spool has written may be read once it is durable, which no watch tells
            is_told = source.is_watched and (source.watch is None or source.watch.segments is None)
            if source.file is not None and not is_told and now - source.grown_at < _HOT_SECONDS:
                self._note_stat(source, os.fstat(source.file))

    def read_parts(self, budget_bytes: int) -> Iterator[LogPart]:
        """Parts of about `budget_bytes` together, in turn from every source that has some."""
        while budget_bytes > 0 and self._ready:
            source = self._ready.pop(next(iter(self._ready)))
            part = self._read(source)
            if part is not None:
                self._note_ready(source)
                budget_bytes -= part.end - part.start
                yield part

    def cut_partials(self) -> None:
        """Make records of last lines without newline that nobody finishes."""
        now = self._ports.clock.monotonic()
        due = [source for source in self._sources.values() if self._is_partial_due(source, now)]
        cuts = [Cut(source=source.number, offset=source.target) for source in due]
        self._ports.journal.append(cuts)
        for source, cut in zip(due, cuts, strict=True):
            source.cuts.append(cut.offset)
            source.barren_size = -1
            self._note_ready(source)

    def begin_drain(self) -> None:
        """From now on read to the ends that files have at this moment; call `rescan` first."""
        self._draining = True
        for source in self._by_file.values():
            if source.file is not None:
                source.note_stat(os.fstat(source.file))
            source.until = max(source.size, source.offset)
            self._seen.append(source)
        self._queue_seen()

    @property
    def is_drained(self) -> bool:
        """Whether every source was read to its end at the drain's begin, or can't be read."""
        return (
            not self._ready
            and not self._left_out
            and not any(
                source.has_partial and not source.ended and not source.error
                for source in self._sources.values()
            )
        )

    def find(self, number: int) -> Source | None:
        """The source of that number, if it is a file and not closed."""
        return self._sources.get(number)

    def close_settled(self) -> list[Source]:
        """Forget the sources that ended and are acknowledged whole; which they were."""
        settled = [
            source
            for source in self._sources.values()
            if source.is_closable
            and (source.is_removed or source.watch is None or source.watch.segments is None)
        ]
        self._ports.journal.append(
            [Closed(source=source.number, end=source.offset) for source in settled]
        )
        for source in settled:
            del self._sources[source.number]
            if self._last_at_path.get(source.first_path) is source:
                del self._last_at_path[source.first_path]
        return settled

    def end_sealed(self) -> bool:
        """Read no more of spool segments that were shipped whole; whether there were some."""
        found = False
        for source in list(self._sources.values()):
            segments = None if source.watch is None else source.watch.segments
            if segments is None or source.ended or not source.is_verified:
                continue
            if source.has_unread or source.has_partial or not source.is_settled:
                continue
            path = Path(source.path)
            if segments.is_sealed(path) and source.offset >= segments.committed_bytes(path):
                self._end(source)
                found = True
        return found

    def remove_ended(self) -> None:
        """Remove the segments that ended: call it once a checkpoint that says so is on the disk.

        Raises:
            StateError: the folder refuses it; they are asked for again.
        """
        for source in self._sources.values():
            segments = None if source.watch is None else source.watch.segments
            if segments is None or source.is_removed or not (source.ended and source.is_settled):
                continue
            segments.remove(Path(source.path))
            source.is_removed = True

    def close(self) -> None:
        """Let go of every descriptor."""
        for source in self._sources.values():
            source.close()

    # ---- being told

    def _take_changes(self) -> frozenset[int]:
        """The files that were written to; notes whether a rescan is wanted."""
        changes = NOTHING if self._watcher is None else self._watcher.drain()
        self.wants_rescan |= (
            changes.overflowed or changes.has_folders or any(map(self._concerns, changes.paths))
        )
        return changes.files

    def _concerns(self, path: str) -> bool:
        return path in self._last_at_path or any(
            scanner.leads_through(path) for _, scanner in self._scanners
        )

    def _is_all_watched(self) -> bool:
        """What was renamed long ago may be closed: it is not written to."""
        return (
            self._watcher is not None
            and self._watcher.is_complete
            and not self._left_out
            and all(
                source.is_watched or source.missing_at is not None
                for source in self._by_file.values()
            )
        )

    def _watch_folders(self) -> None:
        if self._watcher is None:
            return
        folders = set().union(*(scanner.folders for _, scanner in self._scanners))
        # what came into a new one before it was watched is found by the next rescan
        self.wants_rescan |= self._watcher.watch_folders(folders)

    def _watch_file(self, source: Source) -> None:
        if self._watcher is not None and source.file is not None:
            source.is_watched = self._watcher.watch_file(source.number, source.file)

    def _close_file(self, source: Source) -> None:
        if self._watcher is not None and source.is_watched:
            self._watcher.forget_file(source.number)
            source.is_watched = False
        source.close()

    # ---- finding

    def _add(self, source: Source) -> None:
        self._sources[source.number] = source
        self._by_file[source.file_id] = source
        self._last_at_path[source.first_path] = source
        source.grown_at = self._ports.clock.monotonic()

    def _note_stat(self, source: Source, stat: os.stat_result) -> None:
        if source.note_stat(stat):
            source.grown_at = self._ports.clock.monotonic()
        self._seen.append(source)

    def _queue_seen(self) -> None:
        """Read what was written to last, last: `event.created` then tells the last word."""
        self._seen.sort(key=lambda source: source.mtime_ns)
        for source in self._seen:
            self._note_ready(source)
        self._seen.clear()

    def _note_ready(self, source: Source) -> None:
        if not source.ended and (source.has_unread or not source.is_verified):
            self._ready.setdefault(source.number, source)

    def _look_for(self, source: Source) -> None:
        """No pattern names it now: it was renamed, or is gone."""
        if source.missing_at is None:
            source.missing_at = self._ports.clock.monotonic()
        if source.file is not None:
            self._note_stat(source, os.fstat(source.file))
            return
        path = find_path((source.path, source.first_path), source.file_id)
        if path is None:
            try:
                self._end_vanished(source)
            except OSError as error:  # no room to unpack it: the next rescan tries again
                source.error = str(error)
            return
        source.path = path
        try:
            stat = os.stat(path)  # noqa: PTH116 - as in rotation.py
        except OSError:
            return  # moved again: the next rescan looks again
        self._note_stat(source, stat)

    def _missed_successors(
        self, new: Sequence[tuple[Watch, Found]], seen: set[FileId]
    ) -> list[tuple[Watch, Found]]:
        """Files that had a path that is followed, and were rotated away between two looks at it."""
        missed: list[tuple[Watch, Found]] = []
        folders: dict[str, dict[str, list[Found]]] = {}
        for watch, file in new:
            folder = os.path.dirname(file.path)  # noqa: PTH120 - as in rotation.py
            if folder not in folders:
                folders[folder] = list_rotated(folder)
            before = self._last_at_path.get(file.path)
            for rotated in folders[folder].get(file.path, ()):
                # what was not written to since the stream began is older than the watch
                if rotated.stat.st_mtime_ns < self._since_nanos:
                    continue
                if rotated.file_id in self._by_file or rotated.file_id in seen:
                    continue
                if before is None or not self._is_copy(rotated, before):
                    seen.add(rotated.file_id)
                    missed.append((watch, rotated))
        return missed

    def _is_copy(self, file: Found, source: Source) -> bool:
        """Whether it is a copy of what `source` follows, in whose place it may come yet."""
        if source.ended or source.file is None:
            return False
        try:
            copied = open_file(file.path)
        except OSError:
            return False
        try:
            # what is there of a truncated file is its successor's
            is_alike = source.offset > 0 or have_same_start(copied, source.file)
            return is_alike and holds(copied, source.known)
        except OSError:
            return False
        finally:
            os.close(copied)

    def _start(self, files: Sequence[tuple[Watch, Found]]) -> None:
        """Follow new files; their rows are durable when this returns."""
        opened: list[tuple[Source, Found, int]] = []
        files = sorted(
            ((watch, file) for watch, file in files if file.stat.st_size),
            key=lambda watched: watched[1].stat.st_mtime_ns,
        )
        try:
            for watch, file in files[: self._make_room(len(files))]:
                started = self._open_new(watch, file, self._ports.numbers.following + len(opened))
                if started is not None:
                    opened.append(started)
            self._ports.journal.append([source.rows[0] for source, _, _ in opened])
        except BaseException:
            for _, _, descriptor in opened:
                os.close(descriptor)
            raise
        self._ports.numbers.following += len(opened)
        for source, file, descriptor in opened:
            self._add(source)
            source.path = file.path
            source.file = descriptor
            self._watch_file(source)
            source.note_stat(file.stat)
            if self._draining:
                source.until = source.size
            self._note_ready(source)
            self._ports.on_row(source.rows[0])

    def _open_new(self, watch: Watch, file: Found, number: int) -> tuple[Source, Found, int] | None:
        """A source for a file that has a first byte to know it by; None: not now."""
        try:
            descriptor = open_file(file.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._note_unreadable(file.path, error)
            return None
        try:
            stat = os.fstat(descriptor)
            head = os.pread(descriptor, FINGERPRINT_BYTES, 0)
            if watch.segments is not None:
                head = head[: watch.segments.committed_bytes(Path(file.path))]
        except OSError as error:
            os.close(descriptor)
            self._note_unreadable(file.path, error)
            return None
        if (stat.st_dev, stat.st_ino) != file.file_id or not head:
            os.close(descriptor)  # replaced since: the next rescan sees what it is now
            return None
        row = self._make_row(
            SourceRow(
                source=number,
                path=file.first_path,
                device=file.file_id[0],
                inode=file.file_id[1],
                fingerprint="",
                fingerprint_bytes=0,
                day="",
                from_offset=0,
                at="",
                kind=watch.kind,
                name=watch.name,
            ),
            head,
            0,
        )
        source = Source([row])
        source.watch = watch
        return source, Found(file.path, stat, file.first_path), descriptor

    def _make_row(self, like: SourceRow, head: bytes, from_offset: int) -> SourceRow:
        now = format_time(self._ports.clock.now_nanos())
        return dataclasses.replace(
            like,
            fingerprint=fingerprint(head),
            fingerprint_bytes=len(head),
            day=now[:10],
            from_offset=from_offset,
            at=now,
        )

    def _watch_of(self, source: Source) -> Watch | None:
        """What a source of an earlier run is followed for now."""
        alike = [watch for watch, _ in self._scanners if watch.kind == source.kind]
        for watch, scanner in self._scanners:
            if watch in alike and scanner.matches(source.first_path):
                return watch
        return alike[0] if alike else None

    def _note_unreadable(self, path: str, error: OSError) -> None:
        self._unreadable[path] = error.strerror or str(error)

    # ---- reading

    def _read(self, source: Source) -> LogPart | None:
        try:
            if source.file is None:
                if not self._make_room(1):
                    return None  # the next rescan tries again
                source.open()
                self._watch_file(source)
            self._renew_day(source)
            framed = source.read()
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
        return None if framed is None else self._take(source, framed)

    def _take(self, source: Source, framed: Framed) -> LogPart:
        """A part of what was read, once the rules have looked at it."""
        start, end, tail = source.take(framed)
        row, _ = source.row_at(start)
        records = Records(data=framed.data, start=start, lengths=framed.lengths)
        drops: Sequence[Drop] = ()
        transform = source.transform
        if transform is not None:
            now = self._ports.clock.monotonic()
            kept = transform.apply(records.split(), start, now)
            drops = kept.drops
            records = Records(
                data=b"".join(kept.records),
                start=start,
                lengths=list(map(len, kept.records)),
                offsets=kept.offsets,
                masked=kept.masked,
            )
        return LogPart(
            source=source.number,
            start=start,
            end=end,
            tail=tail,
            records=records,
            read_at_nanos=self._ports.clock.now_nanos(),
            builder=source.builder(row, self._ports.make_builder),
            drops=[self._ports.make_drop(row, drop) for drop in drops],
            dropped_bytes=sum(drop.end - drop.start for drop in drops),
        )

    def _renew_day(self, source: Source) -> None:
        """From midnight on records go to the new day's index; what may have been sent stays.

        A clock that goes back gives no new day, and two days that begin at one place are one: a
        row's place is its name at the centre.
        """
        today = format_time(self._ports.clock.now_nanos())[:10]
        last = source.rows[-1]
        from_offset = max(source.offset, source.adopted_size)
        if today <= last.day or from_offset <= last.from_offset:
            return
        head = source.read_head()
        if fingerprint(head[: last.fingerprint_bytes]) != last.fingerprint:
            # a row must never hold the fingerprint of a truncated file's successor
            raise ReplacedError("its first bytes have changed")
        row = self._make_row(last, head, from_offset)
        self._ports.journal.append([row])
        source.rows.append(row)
        self._ports.on_row(row)

    def _is_partial_due(self, source: Source, now: float) -> bool:
        if source.ended or not source.has_partial:
            return False
        quiet = now - source.grown_at
        if source.missing_at is not None and quiet >= _ROTATED_PARTIAL_IDLE_SECONDS:
            return True
        if self._draining or source.watch is None:
            return self._draining or quiet >= PARTIAL_IDLE_SECONDS
        if source.watch.segments is not None and source.watch.segments.is_sealed(Path(source.path)):
            return True  # standard input ended without a line feed
        return quiet >= source.watch.partial_seconds

    # ---- letting go

    def _make_room(self, wanted: int) -> int:
        """How many of `wanted` files may be opened now; lets go of those that were quiet longest.

        The others have to wait for the next rescan.
        """
        opened = [source for source in self._by_file.values() if source.file is not None]
        room = self._open_files_limit - len(opened)
        if room < wanted:
            idle = [
                source
                for source in opened
                if source.is_settled and not source.has_unread and not source.has_partial
            ]
            idle.sort(key=lambda source: source.grown_at)
            for source in idle[: wanted - room]:
                self._close_file(source)
                room += 1
        self._left_out |= room < wanted
        return min(room, wanted)

    def _close_quiet(self) -> None:
        """Let go of renamed and deleted files that are shipped and quiet."""
        now = self._ports.clock.monotonic()
        for source in [s for s in self._by_file.values() if s.missing_at is not None]:
            if source.file is None or source.has_unread or not source.is_settled:
                continue
            if source.has_partial:
                continue
            quiet = now - max(source.grown_at, source.missing_at or 0.0)
            is_deleted = os.fstat(source.file).st_nlink == 0
            if is_deleted and quiet >= DELETED_QUIET_SECONDS:
                self._end(source)
            elif not is_deleted and quiet >= RENAMED_QUIET_SECONDS:
                self._close_file(source)

    def _bound_held(self) -> None:
        """Let go of the oldest deleted files where all of them keep too much of the disk."""
        self.held = [
            held
            for source in self._by_file.values()
            if source.file is not None and source.missing_at is not None
            if (
                held := find_held(source.number, source.file, source.missing_at, self._held_percent)
            )
        ]
        for excess in find_excess(self.held):
            source = self._sources[excess.source]
            self._declare_lost(
                source,
                source.size,
                f"deleted before it was shipped, and such files took over {self._held_percent} %"
                " of their file system",
            )
            self._end(source)
            self.held.remove(excess)

    def _end_vanished(self, source: Source) -> None:
        """It was deleted while no descriptor held it."""
        if source.watch is not None and source.watch.segments is not None:
            source.is_removed = True  # by us, who died before that was written down
            if source.size <= source.offset:
                self._end(source)
                return
        elif source.has_unknown_rest and self._go_on_unpacked(source):
            return
        if not source.is_verified:
            self._declare_lost(source, source.size, "removed while the shipper was not running")
        elif source.size > source.offset:
            self._declare_lost(source, source.size, "removed before it was read")
        self._end(source)

    def _end_replaced(self, source: Source, why: str) -> None:
        """Truncated or overwritten: the same file id is another source from here on."""
        path, file_id = source.path, source.file_id
        self._leave(source, f"truncated or replaced: {why}")
        try:
            stat = os.stat(path)  # noqa: PTH116 - as in rotation.py
        except OSError:
            return
        if source.missing_at is None and (stat.st_dev, stat.st_ino) == file_id:
            successor = (source.watch or self._scanners[0][0], Found(path, stat, path))
            self._start([*self._missed_successors([successor], set()), successor])

    def _leave(self, source: Source, why: str) -> None:
        """Its file has other bytes now: go on in a copy of the old ones, or end it."""
        copy = find_copy(source.first_path, source.known, self._by_file.__contains__)
        if copy is None:
            if self._go_on_unpacked(source):
                return
            self._declare_lost(source, source.known_end, why)
            source.size = max(source.known_end, source.offset)  # the rest is the successor's
            self._end(source)
            return
        row = dataclasses.replace(
            source.rows[-1],
            device=copy.stat.st_dev,
            inode=copy.stat.st_ino,
            from_offset=source.offset,
            at=format_time(self._ports.clock.now_nanos()),
            is_copy=True,
        )
        self._ports.journal.append([row])
        del self._by_file[source.file_id]
        self._ready.pop(source.number, None)
        source.go_on_in(copy.path, row)
        self._by_file[source.file_id] = source
        self._ports.on_row(row)
        self._declare_race(source, copy.stat.st_size)
        source.known_end = min(source.known_end, copy.stat.st_size)
        self._note_stat(source, copy.stat)
        self._queue_seen()

    def _go_on_unpacked(self, source: Source) -> bool:
        """Read the rest of a file from its compressed form, if there is one."""
        file = unpack(source.first_path, source.known, self._unpack_folder)
        if file is None:
            return False
        self._by_file.pop(source.file_id, None)
        source.go_on_unpacked(file)
        self._by_file[source.file_id] = source
        source.missing_at = source.missing_at or self._ports.clock.monotonic()
        self._note_ready(source)
        return True

    def _declare_race(self, source: Source, copied: int) -> None:
        """What was written between copying and truncating is in neither file."""
        source.unpublished_gaps += 1
        self._ports.on_gap(
            Gap(
                source=source.number,
                path=source.first_path,
                start=copied,
                end=max(copied, source.known_end),
                reason="truncated: what was written after it was copied is not known",
            )
        )

    def _declare_lost(self, source: Source, end: int, reason: str) -> None:
        source.unpublished_gaps += 1
        self._ports.on_gap(
            Gap(
                source=source.number,
                path=source.first_path,
                start=source.offset,
                end=max(end, source.offset),
                reason=reason,
            )
        )

    def _end(self, source: Source) -> None:
        source.ended = True
        self._close_file(source)
        self._by_file.pop(source.file_id, None)
        self._ready.pop(source.number, None)
