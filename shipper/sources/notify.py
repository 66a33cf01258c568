"""What changed, told by the kernel: inotify by ctypes, so that a write is read at once.

In: the folders that are looked through, and files that are open. Out: which of them changed, since
last asked. Where the kernel tells nothing (no inotify, no more watches, a network's file system)
the caller has to look by itself: `is_complete` says so. It must never be the only way to notice:
events overflow, and writes to mapped memory have none.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_MODIFY: Final = 0x2
_ENTRIES: Final = 0x40 | 0x80 | 0x100 | 0x200  # moved from, moved to, created, deleted
_OVERFLOW: Final = 0x4000
_IGNORED: Final = 0x8000
_IS_FOLDER: Final = 0x40000000
_ONLY_FOLDERS: Final = 0x01000000

_EVENT: Final = struct.Struct("iIII")
_READ_BYTES: Final = 64 << 10
_READS_LIMIT: Final = 8
"""Of a storm of events the rest is read the next time."""
_LIMITS: Final = Path("/proc/sys/fs/inotify")

_FILE_SYSTEM_BYTES: Final = 256
"""More than any machine's `struct statfs`."""
_REMOTE: Final = frozenset(
    (
        0x6969,  # NFS
        0xFF534D42, 0xFE534D42, 0x517B,  # CIFS, SMB2, SMB
        0x65735546,  # FUSE, virtiofs
        0x01021997,  # 9P
        0x00C36400,  # Ceph
        0x5346414F, 0x6B414653,  # AFS
        0x0BD00BD0,  # Lustre
        0x01161970,  # GFS2
        0x7461636F,  # OCFS2
    )
)  # fmt: skip
"""File systems that others may write to without this kernel's knowing: their `f_type`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What happened since it was last asked."""

    files: frozenset[int] = frozenset()
    """Keys of watched files that were written to, or truncated."""
    paths: frozenset[str] = frozenset()
    """What was created, renamed or deleted in a watched folder."""
    has_folders: bool = False
    """Whether some of those are folders: who knows what is in them."""
    overflowed: bool = False
    """More happened than the kernel keeps: everything has to be looked at."""


NOTHING: Final = Changes()


class Watcher:
    """One inotify instance. One thread's."""

    def __init__(self, on_trouble: Callable[[str], None]) -> None:
        """`on_trouble` is told once what can't be watched, why, and what helps."""
        self._on_trouble = on_trouble
        self._is_told = False
        self._folders: dict[int, set[str]] = {}
        """Paths by watch: two may be one folder."""
        self._polled: set[str] = set()
        """Folders that can't be watched."""
        self._keys: dict[int, int] = {}
        self._watches: dict[int, int] = {}
        """Files: keys by watch, and watches by key."""
        self._file: int | None = None
        try:
            self._functions: Any = ctypes.CDLL(None, use_errno=True)
            self._file = self._check(self._functions.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        except AttributeError:
            self._tell("this system has no inotify")
        except OSError as error:
            self._tell_limit(error)

    def fileno(self) -> int | None:
        """Readable when something changed; None: there is nothing to wait for."""
        return self._file

    @property
    def is_complete(self) -> bool:
        """Whether every folder of the last `watch_folders` is watched."""
        return self._file is not None and not self._polled

    def watch_folders(self, paths: Iterable[str]) -> bool:
        """Watch these folders and no others; whether some are new: what came before is unknown."""
        if self._file is None:
            return False
        found: dict[int, set[str]] = {}
        self._polled = set()
        for path in paths:
            watch = self._add(path, _ENTRIES | _ONLY_FOLDERS)
            if watch is not None:
                found.setdefault(watch, set()).add(path)
        for watch in self._folders.keys() - found.keys():
            self._functions.inotify_rm_watch(self._file, watch)
        is_new = not found.keys() <= self._folders.keys()
        self._folders = found
        return is_new

    def watch_file(self, key: int, descriptor: int) -> bool:
        """Watch an open file, whatever its name becomes; False: it has to be looked at."""
        if self._file is None:
            return False
        watch = self._add(f"/proc/self/fd/{descriptor}", _MODIFY)
        if watch is None:
            return False
        self._keys[watch] = key
        self._watches[key] = watch
        return True

    def forget_file(self, key: int) -> None:
        """It is closed."""
        watch = self._watches.pop(key, None)
        # one inode has one watch: that of a truncated file is its successor's by now
        if watch is not None and self._keys.get(watch) == key:
            del self._keys[watch]
            self._functions.inotify_rm_watch(self._file, watch)

    def drain(self) -> Changes:
        """What changed since the last time."""
        if self._file is None:
            return NOTHING
        files: set[int] = set()
        paths: set[str] = set()
        overflowed = has_folders = False
        for watch, mask, name in self._read_events(self._file):
            overflowed |= bool(mask & _OVERFLOW)
            if watch in self._keys:
                if mask & _IGNORED:  # the file system was unmounted
                    self._watches.pop(self._keys.pop(watch), None)
                else:
                    files.add(self._keys[watch])
            elif mask & _IGNORED:  # the folder is gone
                gone = self._folders.pop(watch, set())
                has_folders |= bool(gone)
                paths |= gone
            elif mask & _ENTRIES:
                has_folders |= bool(mask & _IS_FOLDER)
                paths |= {os.path.join(folder, name) for folder in self._folders.get(watch, ())}  # noqa: PTH118 - hot, and text
        if not (files or paths or overflowed):
            return NOTHING
        return Changes(
            files=frozenset(files),
            paths=frozenset(paths),
            has_folders=has_folders,
            overflowed=overflowed,
        )

    def close(self) -> None:
        """Let go of everything."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._folders, self._keys, self._watches = {}, {}, {}

    def _read_events(self, file: int) -> Iterator[tuple[int, int, str]]:
        for _ in range(_READS_LIMIT):
            try:
                data = os.read(file, _READ_BYTES)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                watch, mask, _, size = _EVENT.unpack_from(data, at)
                at += _EVENT.size + size
                yield watch, mask, os.fsdecode(data[at - size : at].rstrip(b"\0"))

    def _add(self, path: str, mask: int) -> int | None:
        """The watch on what is at `path`; None: there is none, or it can't be watched."""
        name = os.fsencode(path)
        if self._is_remote(name):
            self._polled.add(path)
            return None
        try:
            watch = self._check(self._functions.inotify_add_watch(self._file, name, mask))
        except OSError as error:
            if error.errno not in _NOT_THERE:
                self._polled.add(path)
                self._tell_limit(error)
            return None
        return watch

    def _is_remote(self, path: bytes) -> bool:
        found = ctypes.create_string_buffer(_FILE_SYSTEM_BYTES)
        if self._functions.statfs(path, found) != 0:
            return False
        return ctypes.c_long.from_buffer(found).value & 0xFFFFFFFF in _REMOTE

    def _check(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result

    def _tell_limit(self, error: OSError) -> None:
        limit = _LIMIT_OF_ERROR.get(error.errno or 0)
        if limit is None:
            self._tell(f"inotify: {error.strerror}")
            return
        try:
            value = (_LIMITS / limit).read_text(encoding="ascii").strip()
        except OSError:
            value = "not known"
        self._tell(f"fs.inotify.{limit} is {value}, too few for this machine; raise it with sysctl")

    def _tell(self, why: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._on_trouble(f"{why}. Meanwhile files are looked at every second: nothing is lost")


_NOT_THERE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP))
"""A folder that comes later, or is closed to the shipper, which the scan says."""
_LIMIT_OF_ERROR: Final[Mapping[int, str]] = {
    errno.ENOSPC: "max_user_watches",
    errno.EMFILE: "max_user_instances",
}
