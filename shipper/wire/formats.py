"""What a source's format means: how its bytes are framed, and how its records are taken apart.

In: a configured format and rule for lines that belong together, or a row's kind and path. Out: a
framer, a shape, where the application's words stand, and what a path says of a container. A record
is contiguous bytes: of a container's two streams, lines of the other one end it. See
docs/decisions/0090. It must never frame by anything but the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from shipper.wire import cri, docker
from shipper.wire.containers import container_fields as fields_of_path
from shipper.wire.framing import RECORD_LIMIT_BYTES, Framer, frame
from shipper.wire.multiline import Grouping
from shipper.wire.shapes import Shape
from shipper.wire.wrapping import Unwrap

_SLICE_SLACK_BYTES: Final = 3
"""A slice of a long line may be so much shorter than the limit."""

Words = Callable[[bytes], Sequence[tuple[int, int]]]
"""Where the application's lines stand in a record: (start, end) of each, without line feeds."""


def make_framer(
    tail_format: str, *, preset: str = "", start: str = "", continuation: str = ""
) -> Framer:
    """The framer of a followed file: of `lines`, `docker` or `cri`; at most one rule is given.

    Raises:
        ValueError: no such format or preset, or a regular expression that `compile_problem` names.
    """
    grouping = None
    if preset or start or continuation:
        grouping = Grouping(preset=preset, start=start, continuation=continuation)
    if tail_format in _WRAPPINGS:
        return _WrappedFramer(wrapping=_WRAPPINGS[tail_format], grouping=grouping)
    if tail_format != "lines":
        raise ValueError(f"{tail_format!r} is no format: lines, {', '.join(_WRAPPINGS)}")
    return frame if grouping is None else _GroupedFramer(grouping=grouping)


def find_shape(kind: str) -> Shape | None:
    """How records of a row's kind are taken apart; None: they are plain lines."""
    if kind == "docker":
        return docker.shape
    if kind == "cri":
        return cri.shape
    if kind == "forward":
        from shipper.wire import forward_lines

        return forward_lines.shape
    if kind == "journald":
        from shipper.wire import journal_entries

        return journal_entries.shape
    return None


def container_fields(kind: str, path: str) -> dict[str, str]:
    """What a row's path says of the container that wrote its file; empty: nothing."""
    return fields_of_path(path) if kind in _WRAPPINGS else {}


def find_words(kind: str) -> Words | None:
    """Where the application's words stand in a record of that kind; None: they are all of it."""
    wrapping = _WRAPPINGS.get(kind)
    return None if wrapping is None else wrapping.words


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrapping:
    """One format that wraps lines."""

    unwrap: Unwrap
    has_partial: Callable[[list[bytes]], bool]
    read: Callable[[bytes], bytes]
    """The words from how they stand in the line."""

    def words(self, record: bytes) -> Sequence[tuple[int, int]]:
        """`Words`; a line that is not wrapped so is all words."""
        places = []
        at = 0
        while at < len(record):
            end = record.find(b"\n", at) + 1 or len(record)
            found = self.unwrap(record[at:end])
            if found is None:
                places.append((at, end - (record[end - 1] == _LINE_FEED)))
            else:
                places.append((at + found.start, at + found.end))
            at = end
        return places


_LINE_FEED: Final = 0x0A


def _read_docker(escaped: bytes) -> bytes:
    if b"\\" not in escaped:
        return escaped
    try:
        return docker.unescape(escaped).encode("utf-8", "replace")
    except ValueError:
        return escaped


_WRAPPINGS: Final = {
    "docker": _Wrapping(unwrap=docker.unwrap, has_partial=docker.has_partial, read=_read_docker),
    "cri": _Wrapping(unwrap=cri.unwrap, has_partial=cri.has_partial, read=lambda words: words),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _GroupedFramer:
    """Lines that belong together by one rule."""

    grouping: Grouping

    def __call__(self, chunk: bytes, /, *, final: bool = False) -> list[bytes]:
        lines = frame(chunk, final=final)
        sizes = [len(line) for line in lines]
        rest = len(chunk) - sum(sizes)
        counts = _count(self.grouping, lines, sizes, rest, final=final)
        return _join(lines, counts)


class _Line(NamedTuple):
    """One line of the application, from one wrapped line or several."""

    pieces: int
    size: int
    text: bytes
    """Its words with a line feed."""
    stream: bytes
    is_open: bool
    """Whether it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _WrappedFramer:
    """Wrapped lines: pieces of one line are one record, and lines that belong together, too."""

    wrapping: _Wrapping
    grouping: Grouping | None

    def __call__(self, chunk: bytes, /, *, final: bool = False) -> list[bytes]:
        lines = frame(chunk, final=final)
        if self.grouping is None and not self.wrapping.has_partial(lines):
            return lines
        rest = len(chunk) - sum(map(len, lines))
        joined = self._join_pieces(lines)
        if joined and joined[-1].is_open:
            is_full = joined[-1].size + rest > RECORD_LIMIT_BYTES + _SLICE_SLACK_BYTES
            if not final and not is_full:
                joined.pop()
                rest = len(chunk) - sum(line.size for line in joined)
                final = False
        counts = [line.pieces for line in joined]
        if self.grouping is not None:
            counts = self._group(self.grouping, joined, rest, final=final)
        return _join(lines, counts)

    def _join_pieces(self, lines: Sequence[bytes]) -> list[_Line]:
        """The application's lines; the last may be open."""
        joined: list[_Line] = []
        for line in lines:
            found = self.wrapping.unwrap(line)
            if found is None:
                joined.append(_Line(1, len(line), line, b"", is_open=False))
                continue
            text = self.wrapping.read(line[found.start : found.end])
            last = joined[-1] if joined else None
            if (
                last is not None
                and last.is_open
                and last.stream == found.stream
                and last.size + len(line) <= RECORD_LIMIT_BYTES
            ):
                joined[-1] = _Line(
                    last.pieces + 1,
                    last.size + len(line),
                    last.text,  # a rule looks at a line's start alone
                    found.stream,
                    found.is_partial,
                )
            else:
                joined.append(_Line(1, len(line), text + b"\n", found.stream, found.is_partial))
        return joined

    @staticmethod
    def _group(grouping: Grouping, joined: Sequence[_Line], rest: int, *, final: bool) -> list[int]:
        """How many wrapped lines each record has."""
        counts: list[int] = []
        start = 0
        while start < len(joined):
            end = start + 1
            while end < len(joined) and joined[end].stream == joined[start].stream:
                end += 1
            run = joined[start:end]
            for count in _count(
                grouping,
                [line.text for line in run],
                [line.size for line in run],
                rest,
                final=final or end < len(joined),
            ):
                counts.append(sum(line.pieces for line in joined[start : start + count]))
                start += count
            if end == len(joined):
                break
        return counts


def _count(
    grouping: Grouping, texts: Sequence[bytes], sizes: Sequence[int], rest: int, *, final: bool
) -> list[int]:
    """How many lines each record has; `rest` bytes of a line without an end follow.

    Where that line is too long to belong to the record that is held back, it ends the record.
    """
    counts = grouping.count(texts, sizes, final=final)
    held = sum(counts)
    if not final and held < len(texts):
        held_bytes = sum(sizes[held:])
        if held_bytes + rest > RECORD_LIMIT_BYTES + _SLICE_SLACK_BYTES:
            counts.append(grouping.count(texts[held:], sizes[held:], final=True)[0])
    return counts


def _join(lines: Sequence[bytes], counts: Sequence[int]) -> list[bytes]:
    records = []
    at = 0
    for count in counts:
        records.append(lines[at] if count == 1 else b"".join(lines[at : at + count]))
        at += count
    return records
