"""What the C library does with freed memory: kept while there is work, then given back.

Bodies come and go by the megabyte. glibc returns such memory to the kernel at once and asks for it
again, zeroed, for the next: a quarter of the shipper's CPU time. Elsewhere than on glibc nothing is
changed. It must never fail.
"""

from __future__ import annotations

import ctypes
from typing import Final

# malloc.h of glibc
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

_KEPT_BYTES: Final = 64 << 20
"""More than bodies ever take at once."""
_FROM_HEAP_BYTES: Final = 32 << 20
"""glibc's own limit."""


class Memory:
    """The C library's allocator."""

    def __init__(self) -> None:
        self._library: ctypes.CDLL | None = None
        try:
            library = ctypes.CDLL(None)
            mallopt, _ = library.mallopt, library.malloc_trim
        except (OSError, AttributeError):
            return
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _FROM_HEAP_BYTES)
        mallopt(_ARENA_MAX, 1)
        self._library = library

    def give_back(self) -> None:
        """Return what is free to the kernel; takes some milliseconds."""
        if self._library is not None:
            self._library.malloc_trim(0)
