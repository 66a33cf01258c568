"""Deleted files that are held open until they are shipped: how much of the disk they may keep.

In: open files that have no name any more. Out: what they occupy, and which of them have to go. Pure
but for asking the file system. It must never let go of a newer file before an older one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_BLOCK_BYTES: Final = 512
"""The unit of `st_blocks`, whatever the file system's own is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One deleted file that is still open."""

    source: int
    device: int
    size_bytes: int
    """What it occupies."""
    limit_bytes: int
    """What all such files of its file system may occupy together."""
    since: float
    """When it was missed (monotonic seconds)."""


def find_held(source: int, file: int, since: float, percent: int) -> Held | None:
    """What an open file occupies without having a name; None: it has one. OSError: who knows."""
    found = os.fstat(file)
    if found.st_nlink:
        return None
    room = os.fstatvfs(file)
    return Held(
        source=source,
        device=found.st_dev,
        size_bytes=found.st_blocks * _BLOCK_BYTES,
        limit_bytes=room.f_frsize * room.f_blocks * percent // 100,
        since=since,
    )


def find_excess(held: Sequence[Held]) -> list[Held]:
    """The files that have to go, the oldest of each file system first."""
    used: dict[int, int] = {}
    for one in held:
        used[one.device] = used.get(one.device, 0) + one.size_bytes
    excess = []
    for one in sorted(held, key=lambda one: one.since):
        if used[one.device] > one.limit_bytes:
            used[one.device] -= one.size_bytes
            excess.append(one)
    return excess
