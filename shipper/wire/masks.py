"""Secrets are overwritten before a record leaves the machine: `*` for each byte, same length.

In: a record. Out: the record, and which of its bytes were overwritten. What is overwritten is
decided by the record's bytes, and those before it in its line, so that a record read again is
masked the same. It must never
change a length, leave half of a UTF-8 sequence or of a JSON escape, or overwrite a line feed.

Of a wrapped line (Docker, CRI) only the application's words are looked at, as they stand there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final

from shipper.wire.formats import Words
from shipper.wire.mask_edges import WINDOW_BYTES, find_at_edges
from shipper.wire.regexes import compile_pattern, find_literal, find_opening
from shipper.wire.secret_kinds import BUILTIN, Secret

Range = tuple[int, int]
"""(start, length) of overwritten bytes of a record."""

_ROUNDS: Final = 8
"""Overwriting may uncover what a pattern matches next; so often it is looked again."""
_BACKSLASH: Final = 0x5C
_ESCAPE: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)


class Masker:
    """Some kinds of secrets. Immutable."""

    def __init__(
        self,
        *,
        builtin: Sequence[str] = (),
        patterns: Sequence[str] = (),
        words: Words | None = None,
    ) -> None:
        """`words`: where the application's words stand in a record; None: they are all of it.

        Raises:
            ValueError: no such name, or a regular expression that `compile_problem` names.
        """
        unknown = [name for name in builtin if name not in BUILTIN]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no kind of secret: {', '.join(BUILTIN)}")
        configured = (
            Secret(
                pattern=compile_pattern(text),
                literals=(literal.lower(),) if (literal := find_literal(text)) else (),
                is_windowed=True,
                opening=re.compile(find_opening(text, WINDOW_BYTES // 2)),
            )
            for text in dict.fromkeys(patterns)
        )
        self._secrets = (*(BUILTIN[name] for name in dict.fromkeys(builtin)), *configured)
        self._words = words
        literals = [secret.literals for secret in self._secrets]
        self._literals = None if () in literals else frozenset(sum(literals, ()))

    def candidates(self, records: Sequence[bytes]) -> Sequence[int]:
        """Which records may hold a secret: a look at all of them at once, cheap where none does."""
        if self._literals is None:
            return range(len(records))
        chunk = b"".join(records).lower()
        found: set[int] = set()
        starts: list[int] = []
        for literal in self._literals:
            at = chunk.find(literal)
            while at >= 0:
                if not starts:
                    starts = _starts(records)
                place = bisect_right(starts, at) - 1
                found.add(place)
                end = starts[place + 1] if place + 1 < len(starts) else len(chunk)
                at = chunk.find(literal, end)
        return sorted(found)

    def mask(
        self, record: bytes, *, before: bytes = b"", is_cut: bool = False
    ) -> tuple[bytes, list[Range]]:
        """The record with its secrets overwritten, and where: ascending, apart from each other.

        Where a long line is sliced, `before` is what the line has before the record (as it was
        written, `EDGE_BYTES` of it at most), and `is_cut` says that the line may go on behind it:
        what may be part of a secret there is overwritten.
        """
        edges = find_at_edges(self._secrets, before, record, is_cut=is_cut)
        masked = bytearray(record)
        ranges: list[Range] = []
        for _ in range(_ROUNDS):
            current = bytes(masked)
            found = [
                span
                for start, end in chain(edges, self._find(current))
                for span in _fit(current, start, end)
            ]
            if not found:
                break
            for start, end in found:
                masked[start:end] = b"*" * (end - start)
                ranges.append((start, end - start))
        return bytes(masked), _merge(ranges)

    def _find(self, record: bytes) -> Iterator[tuple[int, int]]:
        """Spans of the record that are to be overwritten, in any order."""
        if self._words is None:
            for secret in self._secrets:
                yield from _spans(secret, record)
            return
        places = self._words(record)
        text = b"\n".join(record[start:end] for start, end in places)
        back = _way_back(places)
        for secret in self._secrets:
            for start, end in _spans(secret, text):
                yield from back(start, end)


def _spans(secret: Secret, text: bytes) -> Iterator[tuple[int, int]]:
    for start, end in _windows(len(text)) if secret.is_windowed else ((0, len(text)),):
        for match in secret.pattern.finditer(text, start, end):
            groups = [span for span in match.regs[1:] if span[0] >= 0]
            yield from groups or (match.span(),)


def _windows(size: int) -> Iterator[tuple[int, int]]:
    start = 0
    while True:
        yield start, min(size, start + WINDOW_BYTES)
        if start + WINDOW_BYTES >= size:
            return
        start += WINDOW_BYTES // 2


def _way_back(
    places: Sequence[tuple[int, int]],
) -> Callable[[int, int], list[tuple[int, int]]]:
    """From spans of the words, joined by line feeds, to spans of the record."""
    starts = [0]
    for start, end in places:
        starts.append(starts[-1] + end - start + 1)

    def back(start: int, end: int) -> list[tuple[int, int]]:
        found = []
        place = bisect_right(starts, start) - 1
        while place < len(places) and starts[place] < end:
            at, stop = places[place]
            first = at + max(0, start - starts[place])
            last = min(stop, at + end - starts[place])
            if first < last:
                found.append((first, last))
            place += 1
        return found

    return back


def _fit(record: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """The span so that nothing is left in halves, without line feeds; what is masked is left."""
    while start > 0 and record[start] & 0xC0 == 0x80:  # noqa: PLR2004 - inside a UTF-8 sequence
        start -= 1
    while end < len(record) and record[end] & 0xC0 == 0x80:  # noqa: PLR2004
        end += 1
    if record[:1] == b"{":
        start, end = _whole_escapes(record, start, end)
    return [
        match.span()
        for match in _LINES.finditer(record, start, end)
        if match[0].count(b"*") < match.end() - match.start()
    ]


_LINES: Final = re.compile(rb"[^\n]+")


def _whole_escapes(record: bytes, start: int, end: int) -> tuple[int, int]:
    """The span, wider where it begins or ends inside an escape of a JSON string."""
    for match in _ESCAPE.finditer(record, _before_backslashes(record, start), end):
        if match.start() < start < match.end():
            start = match.start()
            break
        if match.start() >= start:
            break
    for match in _ESCAPE.finditer(record, _before_backslashes(record, end)):
        if match.start() >= end:
            break
        end = max(end, match.end())
    return start, end


def _before_backslashes(record: bytes, at: int) -> int:
    """Where the backslashes begin that may reach to `at`: escapes are counted from there."""
    first = at
    for back in range(1, len(b"\\u0026")):
        if at - back >= 0 and record[at - back] == _BACKSLASH:
            first = at - back
            while first > 0 and record[first - 1] == _BACKSLASH:
                first -= 1
    return first


def _starts(records: Sequence[bytes]) -> list[int]:
    starts = []
    at = 0
    for record in records:
        starts.append(at)
        at += len(record)
    return starts


def _merge(ranges: Sequence[Range]) -> list[Range]:
    merged: list[Range] = []
    for start, length in sorted(ranges):
        if merged and start <= merged[-1][0] + merged[-1][1]:
            first, before = merged[-1]
            merged[-1] = (first, max(before, start + length - first))
        else:
            merged.append((start, length))
    return merged
