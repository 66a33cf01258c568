"""Where a followed file went: renamed, rotated while nobody looked, or gone.

In: paths and (device, inode) pairs. Out: paths and stats of files beside them. It must never take
a file for another because of its name.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass
from typing import Final

FileId = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is not followed yet."""

    path: str
    stat: os.stat_result
    first_path: str
    """The path that it had at first, as far as one can tell."""

    @property
    def file_id(self) -> FileId:
        """Device and inode."""
        return self.stat.st_dev, self.stat.st_ino


def find_path(paths: tuple[str, ...], file_id: FileId) -> str | None:
    """Where a file is now: at one of `paths`, or beside them under another name; None: gone.

    A folder that is read while files are renamed in it may not show one of them: as long as it
    changes, it is read again.
    """
    for _ in range(_LOOKS):
        path = _find_once(paths, file_id)
        if path is not None or not _is_changing(paths):
            return path
        time.sleep(_LOOK_SECONDS)
    return _find_once(paths, file_id)


def _is_changing(paths: tuple[str, ...]) -> bool:
    for folder in {os.path.dirname(path) for path in paths}:  # noqa: PTH120
        with contextlib.suppress(OSError):
            if time.time_ns() - os.stat(folder).st_mtime_ns < _JUST_NOW_NANOS:  # noqa: PTH116
                return True
    return False


def _find_once(paths: tuple[str, ...], file_id: FileId) -> str | None:
    for path in paths:
        try:
            found = os.stat(path)  # noqa: PTH116 - paths may hold bytes that are no UTF-8
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == file_id:
            return path
    for folder in {os.path.dirname(path) for path in paths}:  # noqa: PTH120
        path_now = _find_in_folder(folder, file_id)
        if path_now is not None:
            return path_now
    return None


_LOOKS: Final = 10
_LOOK_SECONDS: Final = 0.002
_JUST_NOW_NANOS: Final = 50_000_000
"""A chain of renames takes less, and clocks of file systems tick every few milliseconds."""
_ROTATED: Final = re.compile(r"(.+?)[.-]\d[\dT_.:-]*", re.DOTALL)


def rotated_from(path: str) -> str:
    """The path that rotation may have named `path` after; empty: it has no such name."""
    match = _ROTATED.fullmatch(path)
    return match[1] if match else ""


def list_rotated(folder: str) -> dict[str, list[Found]]:
    """The files in `folder` that rotation may have named so (`app.log.1`, `app.log-20260103`).

    By the path that each had before, oldest first.
    """
    found: dict[str, list[Found]] = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            before = rotated_from(entry.path)
            if before and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    found.setdefault(before, []).append(Found(entry.path, entry.stat(), before))
    for files in found.values():
        files.sort(key=lambda file: file.stat.st_mtime_ns)
    return found


def _find_in_folder(folder: str, file_id: FileId) -> str | None:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.inode() != file_id[1] or not entry.is_file(follow_symlinks=False):
                    continue
                found = entry.stat(follow_symlinks=False)
                if (found.st_dev, found.st_ino) == file_id:
                    return entry.path
    except OSError:
        return None
    return None
