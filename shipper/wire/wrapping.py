"""Where an application's words stand within a line that something else wrapped around them.

In: a line's time. Out: its nanoseconds; and the value that `docker` and `cri` find in a line. It
must never hold text: only places, so that bytes stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from shipper.wire.times import ISO_TIME, iso_nanos

_SECOND_BYTES: Final = len("2026-01-03T14:05:12")
_FRACTION_DIGITS: Final = 9


class Wrapped(NamedTuple):
    """One wrapped line."""

    start: int
    end: int
    """The application's bytes as they stand in the line, without its line feed."""
    stream: bytes
    """`stdout` or `stderr`."""
    is_partial: bool
    """Whether the application's line goes on in the next line of the same stream."""


Unwrap = Callable[[bytes], Wrapped | None]
"""Finds the words in a line; None: it is not wrapped so."""


def find_nanos(line: bytes, at: int) -> int | None:
    """Nanoseconds since 1970 of the ISO 8601 time that begins at `at`; None: there is none."""
    dot = at + _SECOND_BYTES
    end = line.find(b"Z", dot, dot + _FRACTION_DIGITS + 2)
    fraction = line[dot + 1 : end]
    if end > 0 and line[dot] == _DOT and fraction.isdigit():  # most lines
        nanos = _second_nanos(line[at:dot])
        return None if nanos is None else nanos + int(fraction.ljust(_FRACTION_DIGITS, b"0"))
    match = ISO_TIME.match(line, at)
    return None if match is None else iso_nanos(match)


_DOT: Final = 0x2E


@lru_cache(maxsize=64)
def _second_nanos(text: bytes) -> int | None:
    """Lines of one second come together."""
    match = ISO_TIME.fullmatch(text)
    return None if match is None else iso_nanos(match)
