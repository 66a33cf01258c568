"""New files become sources: each is opened, gets a number, and a row that is durable first.

In: files that nothing follows yet. Out: sources, and files that were rotated away before anybody
saw them. It must never give a number to a file without a first byte to know it again by, nor follow
a copy beside what it is a copy of.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from shipper.sources.open_files import OpenFiles
from shipper.sources.ports import SourcePorts
from shipper.sources.registry import Registry
from shipper.sources.rotation import FileId, Found, list_rotated, rotated_from
from shipper.sources.rows import build_first_row
from shipper.sources.source import Source
from shipper.sources.successors import is_copy, open_file
from shipper.sources.watch import Watch
from shipper.sources.watching import Watching
from shipper.wire.state import FINGERPRINT_BYTES

NewFile = tuple[Watch, Found]
"""A file that is not followed yet, and what it would be followed for."""


class _Opened(NamedTuple):
    source: Source
    file: Found
    descriptor: int


class Opening:
    """Begins to follow files. One thread's."""

    def __init__(
        self,
        registry: Registry,
        watching: Watching,
        open_files: OpenFiles,
        ports: SourcePorts,
        *,
        since_nanos: int,
        on_unreadable: Callable[[str, OSError], None],
    ) -> None:
        """`since_nanos`: what was not written to since then is older than the stream."""
        self._registry = registry
        self._watching = watching
        self._open_files = open_files
        self._ports = ports
        self._since_nanos = since_nanos
        self._on_unreadable = on_unreadable

    def start(self, new: Sequence[NewFile], seen: set[FileId]) -> None:
        """Follow new files, and those that their paths had before; their rows are durable then.

        `seen`: files that this rescan has met.
        """
        paths = [(watch, file.path) for watch, file in new]
        self._start([*self._find_missed(paths, seen), *new])

    def start_missed(self) -> None:
        """Follow what had a followed path, and an inode that an older file was known by.

        Call it when a source has left its inode: until then the file seemed to be followed.
        """
        paths = [
            (source.watch, source.path)
            for source in self._registry.by_file.values()
            if source.missing_at is None and source.watch and source.watch.segments is None
        ]
        self._start(self._find_missed(paths, set()))

    def is_copy_of_followed(self, file: Found) -> bool:
        """Whether it is a copy, beside it, of a file that is followed."""
        before = self._registry.last_at_path.get(rotated_from(file.path))
        return before is not None and _is_copy(file, before)

    def is_missed(self, file: Found) -> bool:
        """Whether its first path was its own, since the stream began, and rotation took it away."""
        return (
            rotated_from(file.path) == file.first_path
            and file.stat.st_mtime_ns >= self._since_nanos
            and not self.is_copy_of_followed(file)
        )

    def _find_missed(self, paths: Sequence[tuple[Watch, str]], seen: set[FileId]) -> list[NewFile]:
        """Files that had a path that is followed, and were rotated away between two looks at it."""
        missed: list[NewFile] = []
        folders: dict[str, dict[str, list[Found]]] = {}
        for watch, path in paths:
            folder = os.path.dirname(path)  # noqa: PTH120 - as in rotation.py
            if folder not in folders:
                folders[folder] = list_rotated(folder)
            before = self._registry.last_at_path.get(path)
            for rotated in folders[folder].get(path, ()):
                # what was not written to since the stream began is older than the watch
                if rotated.stat.st_mtime_ns < self._since_nanos:
                    continue
                if rotated.file_id in self._registry.by_file or rotated.file_id in seen:
                    continue
                if before is None or not _is_copy(rotated, before):
                    seen.add(rotated.file_id)
                    missed.append((watch, rotated))
        return missed

    def _start(self, files: Sequence[NewFile]) -> None:
        opened: list[_Opened] = []
        files = sorted(
            ((watch, file) for watch, file in files if file.stat.st_size),
            key=lambda watched: watched[1].stat.st_mtime_ns,
        )
        try:
            for watch, file in files[: self._open_files.make_room(len(files))]:
                started = self._open(watch, file, self._ports.numbers.following + len(opened))
                if started is not None:
                    opened.append(started)
            self._ports.journal.append([source.rows[0] for source, _, _ in opened])
        except BaseException:
            for _, _, descriptor in opened:
                os.close(descriptor)
            raise
        self._ports.numbers.following += len(opened)
        for source, file, descriptor in opened:
            self._registry.add(source)
            source.path = file.path
            source.file = descriptor
            self._watching.watch_file(source)
            source.note_stat(file.stat)
            if self._registry.is_draining:
                source.until = source.size
            self._registry.note_ready(source)
            self._ports.on_row(source.rows[0])

    def _open(self, watch: Watch, file: Found, number: int) -> _Opened | None:
        """A source for a file that has a first byte to know it by; None: not now."""
        try:
            descriptor = open_file(file.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._on_unreadable(file.path, error)
            return None
        try:
            stat = os.fstat(descriptor)
            head = os.pread(descriptor, FINGERPRINT_BYTES, 0)
            if watch.segments is not None:
                head = head[: watch.segments.committed_bytes(Path(file.path))]
        except OSError as error:
            os.close(descriptor)
            self._on_unreadable(file.path, error)
            return None
        if (stat.st_dev, stat.st_ino) != file.file_id or not head:
            os.close(descriptor)  # replaced since: the next rescan sees what it is now
            return None
        now_nanos = self._ports.clock.now_nanos()
        row = build_first_row(
            number, file.first_path, file.file_id, watch, head=head, now_nanos=now_nanos
        )
        source = Source([row])
        source.watch = watch
        return _Opened(source, Found(file.path, stat, file.first_path), descriptor)


def _is_copy(file: Found, source: Source) -> bool:
    """Whether it is a copy of what `source` follows, in whose place it may come yet."""
    if source.ended:
        return False
    with ExitStack() as opened:
        try:
            copied = open_file(file.path)
            opened.callback(os.close, copied)
            original = source.file
            if original is None:
                original = _open_again(source)
                if original is not None:
                    opened.callback(os.close, original)
            return is_copy(copied, original, source.known)
        except OSError:
            return False


def _open_again(source: Source) -> int | None:
    """The file of a source that has not been opened, or was let go; None: it is elsewhere."""
    try:
        file = open_file(source.path)
    except OSError:
        return None
    found = os.fstat(file)
    if (found.st_dev, found.st_ino) == source.file_id:
        return file
    os.close(file)
    return None
