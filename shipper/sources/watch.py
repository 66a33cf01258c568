"""Which files are followed, and how their bytes are taken: one `[[sources.tail]]`, or one spool.

In: patterns, a kind, and what frames, shapes and transforms its records. Out: the same, in one
value. It must never change while the shipper runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from shipper.wire.framing import Framer
from shipper.wire.transforms import Transform

PARTIAL_IDLE_SECONDS: Final = 5.0
"""A last record that may yet go on is sent once its file was quiet for so long."""


class Segments(Protocol):
    """A spool's files, as the tail sees them."""

    def is_sealed(self, path: Path) -> bool:
        """Whether nothing more will be written to it."""

    def committed_bytes(self, path: Path) -> int:
        """How many of its bytes are durable: only those may be read."""

    def remove(self, path: Path) -> None:
        """Every byte of it is shipped, and the disk knows; StateError: the folder refuses it."""


def _no_transform(_path: str) -> Transform | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Files that are followed alike."""

    patterns: Sequence[str]
    kind: str = "file"
    name: str = ""
    """What people call its files' bytes, where that is not the path."""
    framer: Framer | None = None
    """None: each line is a record."""
    make_transform: Callable[[str], Transform | None] = _no_transform
    """The rules for a source of that name or path."""
    partial_seconds: float = PARTIAL_IDLE_SECONDS
    segments: Segments | None = None
    """The spool that writes these files and wants them removed."""
