"""Which files the configured patterns name: a cheap scan, done about once a second.

In: glob patterns (`*`, `?`, `[…]`, and `**` for any depth). Out: the regular files there are, each
with its stat. Names that start with a dot are met only by a pattern that says the dot. It must
never fail because a folder vanishes or is closed to it, nor follow a link while descending `**`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

from shipper.sources.rotation import FileId
from shipper.wire.globs import ANY_DEPTH, Segment, compile_glob


class Scanner:
    """The patterns of one configuration, compiled."""

    def __init__(
        self,
        patterns: Sequence[str],
        *,
        excluded: frozenset[FileId] = frozenset(),
        on_error: Callable[[str, OSError], None],
    ) -> None:
        """`excluded` folders are never entered: the shipper's own state is not a log."""
        self._patterns = [compile_glob(pattern) for pattern in patterns]
        self._excluded = excluded
        self._on_error = on_error
        self.folders: set[str] = set()
        """Where the last scan looked."""

    def scan(self) -> Iterator[tuple[str, os.stat_result]]:
        """Every regular file that a pattern names; one that several name comes several times."""
        self.folders = set()
        for segments in self._patterns:
            yield from self._walk("/", segments)

    def matches(self, path: str) -> bool:
        """Whether a pattern names `path`, whatever is there now."""
        names = path.split("/")[1:]
        return any(_matches(segments, names) for segments in self._patterns)

    def leads_through(self, path: str) -> bool:
        """Whether a pattern names `path` or something in it, were it a folder or a link to one.

        Not below `**`, which follows no link.
        """
        names = path.split("/")[1:]
        return any(_leads(segments, names) for segments in self._patterns)

    def _walk(
        self, folder: str, segments: Sequence[Segment]
    ) -> Iterator[tuple[str, os.stat_result]]:
        first, rest = segments[0], segments[1:]
        if first == ANY_DEPTH:
            yield from self._walk(folder, rest)
            for entry in self._entries(folder):
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    yield from self._walk(entry.path, segments)
        elif isinstance(first, str):
            if not rest and self._is_excluded(folder):
                return
            self.folders.add(folder)
            yield from self._step(os.path.join(folder, first), rest)  # noqa: PTH118 - hot, and text
        else:
            for entry in self._entries(folder):
                if first.fullmatch(entry.name) is not None:
                    yield from self._step(entry.path, rest)

    def _step(self, path: str, rest: Sequence[Segment]) -> Iterator[tuple[str, os.stat_result]]:
        if rest:
            yield from self._walk(path, rest)
            return
        try:
            found = os.stat(path)  # noqa: PTH116 - hot, and text
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._on_error(path, error)
            return
        if stat.S_ISREG(found.st_mode):
            yield path, found

    def _is_excluded(self, folder: str) -> bool:
        try:
            return bool(self._excluded) and _file_id(os.stat(folder)) in self._excluded  # noqa: PTH116
        except OSError:
            return False

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                if self._is_excluded(folder):
                    return []
                self.folders.add(folder)
                return sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._on_error(folder, error)
            return []


def _matches(segments: Sequence[Segment], names: Sequence[str]) -> bool:
    if not segments or not names:
        return not segments and not names
    first = segments[0]
    if first == ANY_DEPTH:
        deeper = not names[0].startswith(".") and len(names) > 1
        return _matches(segments[1:], names) or (deeper and _matches(segments, names[1:]))
    if isinstance(first, str):
        is_named = first == names[0]
    else:
        is_named = first.fullmatch(names[0]) is not None
    return is_named and _matches(segments[1:], names[1:])


def _leads(segments: Sequence[Segment], names: Sequence[str]) -> bool:
    if len(segments) < len(names) or ANY_DEPTH in segments[: len(names)]:
        return _matches(segments, names)
    return _matches(segments[: len(names)], names)


def _file_id(found: os.stat_result) -> FileId:
    return found.st_dev, found.st_ino
