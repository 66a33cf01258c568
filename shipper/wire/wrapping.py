"""Where an application's words stand within a line that something else wrapped around them.

In: nothing. Out: the value that `docker` and `cri` find in a line, and what formats, masks and
rules make of it. It must never hold text: only places, so that bytes stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


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
