"""Room on the disk that is kept for what makes room: a file that is given up when it is full.

In: a folder. Out: space for one checkpoint and some closed sources, without which a spool that
filled its own disk could never be emptied. It must never be what fills the disk: where there is no
room for it, there is no reserve.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from shipper.durable import FILE_MODE

RESERVE_BYTES: Final = 128 << 10
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_SHARE: Final = 16
"""Of a small file system at most one part in so many is taken."""


class Reserve:
    """The file. One thread's."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "reserve"

    def hold(self) -> None:
        """Take the room, if it is there and not taken yet."""
        if self._path.exists():
            return
        with contextlib.suppress(OSError):
            room = os.statvfs(self._path.parent)
            size = min(RESERVE_BYTES, room.f_frsize * room.f_blocks // _SHARE)
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                os.posix_fallocate(file, 0, size)
            except (OSError, AttributeError):  # no room; macOS has no such call
                self.give_up()
            finally:
                os.close(file)

    def give_up(self) -> bool:
        """Let the room go; whether there was some."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True

    def write(self, attempt: Callable[[], None]) -> None:
        """Do it, and once more without the reserve if the disk is full; OSError: it failed."""
        try:
            attempt()
        except OSError as error:
            if error.errno not in _FULL or not self.give_up():
                raise
            attempt()
