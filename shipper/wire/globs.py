"""Glob patterns of paths: `*`, `?`, `[…]` within a name, and `**` for any depth.

In: a pattern. Out: its segments, compiled; and whether a path is one that it names. Names that
start with a dot are met only by a pattern that says the dot. Pure: what is on disk is found by
`shipper.sources.patterns`, with the same segments.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Sequence
from typing import Final

ANY_DEPTH: Final = "**"
_MAGIC: Final = re.compile(r"[*?\[]")
Segment = str | re.Pattern[str]


def compile_glob(pattern: str) -> list[Segment]:
    """The segments of an absolute pattern: `ANY_DEPTH`, a name, or what names have to match."""
    segments: list[Segment] = []
    for text in posixpath.normpath(pattern).lstrip("/").split("/"):
        if text == ANY_DEPTH or not _MAGIC.search(text):
            segments.append(text)
        else:
            shown = r"" if text.startswith(".") else r"(?!\.)"
            segments.append(re.compile(shown + fnmatch.translate(text)))
    if segments[-1] == ANY_DEPTH:
        segments.append(re.compile(r"(?!\.).*", re.DOTALL))
    return segments


def names_path(segments: Sequence[Segment], path: str) -> bool:
    """Whether the pattern of these segments names `path`."""
    names = posixpath.normpath(path).lstrip("/").split("/")
    reached = {0}  # how many segments may be used up, before each name
    for name in names:
        reached = {following for place in reached for following in _steps(segments, place, name)}
    return len(segments) in reached


def _steps(segments: Sequence[Segment], place: int, name: str) -> list[int]:
    """How many segments may be used up after `name`, if `place` were before it."""
    found = []
    while place < len(segments) and segments[place] == ANY_DEPTH:
        if not name.startswith("."):
            found.append(place)
        place += 1
    if place < len(segments):
        segment = segments[place]
        if name == segment if isinstance(segment, str) else segment.fullmatch(name) is not None:
            found.append(place + 1)
    return found
