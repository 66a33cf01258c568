"""The disk of the state folder: how much is free, whether it is full, and since when.

In: the folder, and what went wrong when something was written there. Out: one finding, for status
and health. One thread's. It must never call a disk full because something else can't be done.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

FULL_SECONDS: Final = 60.0
"""Housekeeping makes room sooner than that, or somebody has to."""
FULL_BELOW_BYTES: Final = 64 << 10
"""With less, a checkpoint or a status does not fit."""
_REMEMBERED_SECONDS: Final = 6.0
"""Whoever meets a full disk tries again within seconds."""
_WORDS: Final = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))


class StateDisk:
    """What is known of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.free_bytes: int | None = None
        """None: it can't be known."""
        self.full_since = ""
        """30 characters; empty: it is not full."""
        self._full_from = 0.0
        self._met_at = float("-inf")

    def note_error(self, error: str, now: float) -> None:
        """Something could not be written; `now` is monotonic."""
        if says_full(error):
            self._met_at = now

    def look(self, errors: Iterable[str], *, at: str, now: float) -> None:
        """See how it is; `errors`: what inputs say of their spools."""
        self.free_bytes = measure_free(self.directory)
        for error in errors:
            self.note_error(error, now)
        is_met = now - self._met_at < _REMEMBERED_SECONDS
        if not (is_met or is_full(self.free_bytes)):
            self.full_since = ""
        elif not self.full_since:
            self.full_since, self._full_from = at, now

    def health_problem(self, now: float) -> str:
        """Why the shipper is not healthy; empty: it is, or it is for a moment."""
        if not self.full_since or now - self._full_from < FULL_SECONDS:
            return ""
        return describe_full(self.directory, self.free_bytes)


def is_full(free_bytes: int | None) -> bool:
    """Whether so little is left that nothing can be written."""
    return free_bytes is not None and free_bytes < FULL_BELOW_BYTES


def describe_full(directory: Path, free_bytes: int | None) -> str:
    """The finding."""
    free = "" if free_bytes is None else f"; free {free_bytes:,} bytes"
    return f"the disk of {directory} is full: senders wait, new files wait{free}"


def says_full(error: str) -> bool:
    """Whether an error that came as text is a full disk's, or a used up quota's."""
    return any(word in error for word in _WORDS)


def measure_free(directory: Path) -> int | None:
    """How many bytes this user may still write there; None: it can't be known."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return None
    blocks = disk.f_bavail if os.geteuid() else disk.f_bfree  # some are kept for root
    return blocks * disk.f_frsize
