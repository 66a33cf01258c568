"""Entries of Forward messages: found in their bytes, and made into lines or kept as they are.

In: a message's or a payload's bytes. Out: lines. Pure. It must never pass over bytes: what is no
event has a line that keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from shipper.sources.forward.events import LineBuilder
from shipper.sources.forward.msgpack import (
    DamagedError,
    IncompleteError,
    MsgpackError,
    decode,
    find_end,
)

BROKEN: Final = object()
"""A value that is whole on the wire and can't be built."""

_NIL: Final = 0xC0
_FIXSTR: Final = 0xA0
_THREE_VALUES: Final = 0x93
_TIME_HEADS: Final = b"\xd7\xce"
"""What a time begins with: EventTime, or seconds."""


def is_plain(data: bytes, at: int) -> bool:
    """Whether tag, time and record begin here, without options: nearly all that loggers send."""
    try:
        return (
            data[at] == _THREE_VALUES
            and _FIXSTR <= data[at + 1] < _NIL
            and data[at + 2 + data[at + 1] - _FIXSTR] in _TIME_HEADS
            and data[at + 2 : at + 2 + data[at + 1] - _FIXSTR].isascii()
        )
    except IndexError:
        raise IncompleteError("a message is cut") from None


def is_utf8(text: str) -> bool:
    """JSON may name half of a surrogate pair, which is no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def decode_or_skip(data: bytes, at: int) -> tuple[Any, int]:
    """A value, or `BROKEN` where it can't be built, and where it ends."""
    try:
        return decode(data, at)
    except DamagedError:
        return BROKEN, find_end(data, at)


def packed_lines(builder: LineBuilder, payload: bytes, now_nanos: int) -> Iterator[bytes]:
    """The lines of entries that follow each other; what is none keeps its bytes."""
    at = 0
    while at < len(payload):
        start = at
        try:
            entry, at = decode_or_skip(payload, at)
        except MsgpackError:
            entry, at = BROKEN, len(payload)
        line = build_entry(builder, entry, now_nanos)
        yield line or builder.build_opaque(payload[start:at], now_nanos)


def build_entry(builder: LineBuilder, entry: Any, now_nanos: int) -> bytes | None:
    """The line of `[time, record]` or `[[time, metadata], record]`; None: it is neither."""
    if not isinstance(entry, list) or len(entry) < 2:  # noqa: PLR2004 - time and record
        return None
    time, record, *_ = entry
    metadata = None
    if isinstance(time, list):
        if len(time) != 2:  # noqa: PLR2004 - time and metadata
            return None
        time, metadata = time
    return build_line(builder, time, record, now_nanos, metadata)


def build_line(
    builder: LineBuilder, time: Any, record: Any, now_nanos: int, metadata: Any = None
) -> bytes | None:
    """The line of an event; None: it is none that JSON could carry."""
    if not isinstance(record, dict) or time is BROKEN:
        return None
    try:
        return builder.build(time, record, metadata, now_nanos)
    except ValueError:
        return None
