"""Glob patterns of paths: `*`, `?`, `[…]` within a name, and `**` for any depth.

In: a pattern. Out: its segments, compiled; and whether a path is one that it names. Names that
start with a dot are met only by a pattern that says the dot. What is no path, as `forward:…`, has a
name, which a pattern that is not absolute names as a whole. Pure: what is on disk is found by
`shipper.sources.patterns`, with the same segments.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Sequence
from functools import cache
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


def names_source(pattern: str, source: str) -> bool:
    """Whether a rule's pattern names a source, by its absolute path or by the name that it has."""
    if pattern == source:  # a name may hold what is magic in a pattern: forward:tcp://[::1]:24224
        return True
    if pattern.startswith("/") != source.startswith("/"):
        return False
    if pattern.startswith("/"):
        return names_path(compile_glob(pattern), source)
    return fnmatch.fnmatchcase(source, pattern)


def may_meet(one: Sequence[Segment], other: Sequence[Segment]) -> bool:
    """Whether there may be a path that both name; False: there can't be."""

    @cache
    def meet(here: int, there: int) -> bool:
        if here < len(one) and one[here] == ANY_DEPTH:
            return meet(here + 1, there) or (there < len(other) and meet(here, there + 1))
        if there < len(other) and other[there] == ANY_DEPTH:
            return meet(here, there + 1) or (here < len(one) and meet(here + 1, there))
        if here == len(one) or there == len(other):
            return here == len(one) and there == len(other)
        return _may_be_alike(one[here], other[there]) and meet(here + 1, there + 1)

    return meet(0, 0)


def _may_be_alike(one: Segment, other: Segment) -> bool:
    if isinstance(one, str):
        return one == other if isinstance(other, str) else other.fullmatch(one) is not None
    return one.fullmatch(other) is not None if isinstance(other, str) else True


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
