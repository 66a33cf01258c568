r"""Docker's json-file lines: `{"log":"words\n","stream":"stdout","time":"2026-…Z"}`.

In: a line, or a record of several. Out: where the application's words stand, and the record's
shape. Docker cuts an application's line at 16 KiB: an entry whose `log` has no `\n` at its end goes
on in the next. It must never parse what is not exactly Docker's: such a line has no shape.
"""

from __future__ import annotations

import json
from typing import Final

from shipper.wire.shapes import Shaped, build_shaped, without_surrogates
from shipper.wire.structured import find_fields
from shipper.wire.wrapping import Wrapped, find_nanos

_HEAD: Final = b'{"log":"'
_STREAM: Final = b'","stream":"'
"""Within the log's string every quote has a backslash before it, so this ends it."""
_TIME: Final = b'"time":"'
_LINE_END: Final = b"\\n"
_STREAM_LIMIT: Final = 16
_BACKSLASH: Final = 0x5C


def unwrap(line: bytes) -> Wrapped | None:
    """Where the words stand; None: the line is not one of Docker's."""
    if not line.startswith(_HEAD):
        return None
    end = line.find(_STREAM, len(_HEAD) - 1)
    if end < len(_HEAD):
        return None
    stream_start = end + len(_STREAM)
    stream_end = line.find(b'"', stream_start, stream_start + _STREAM_LIMIT)
    if stream_end < 0 or not line.endswith((b"}\n", b"}")):
        return None
    is_full = _ends_line(line, end)
    return Wrapped(
        len(_HEAD),
        end - len(_LINE_END) if is_full else end,
        line[stream_start:stream_end],
        not is_full,
    )


def has_partial(lines: list[bytes]) -> bool:
    """Whether there may be a line that is not the whole of the application's."""
    for line in lines:
        end = line.find(_STREAM)
        if end <= len(_LINE_END) or line[end - 2 : end] != _LINE_END:
            return True
        if line[end - 3] == _BACKSLASH:
            return True
    return False


def unescape(escaped: bytes) -> str:
    """The words as the application wrote them.

    Raises:
        ValueError: it is not the inside of a JSON string.
    """
    text = escaped.decode()
    if "\\" not in text and '"' not in text:
        return text
    return str(json.loads(f'"{text}"'))


def shape(record: bytes) -> Shaped | None:
    """The record's shape; of several lines the words are joined, and the bytes stand beside it."""
    if record.count(b"\n", 0, -1):
        return _shape_of_several(record)
    found = unwrap(record)
    if found is None:
        return None
    try:
        message = unescape(record[found.start : found.end])
    except ValueError:
        return None
    return build_shaped(
        record,
        found.start,
        found.end,
        message,
        escape="go",
        time_nanos=_time_nanos(record),
        fields=_fields(message, found.stream),
    )


def _shape_of_several(record: bytes) -> Shaped | None:
    lines = record.splitlines(keepends=True) if b"\r" not in record else _split(record)
    words = []
    found = None
    for line in lines:
        found = unwrap(line)
        if found is None:
            return None
        try:
            words.append(unescape(line[found.start : found.end]))
        except ValueError:
            return None
        words.append("" if found.is_partial else "\n")
    message = without_surrogates("".join(words[:-1]))
    return Shaped(
        message=message,
        after="",
        is_whole=False,
        time_nanos=_time_nanos(lines[0]),
        fields=_fields(message, found.stream if found else b""),
    )


def _split(record: bytes) -> list[bytes]:
    return [line + b"\n" for line in record.removesuffix(b"\n").split(b"\n")]


def _fields(message: str, stream: bytes) -> dict[str, object]:
    return {"log.iostream": stream.decode("ascii", "replace"), **find_fields(message)}


def _time_nanos(line: bytes) -> int | None:
    at = line.rfind(_TIME)
    return None if at < 0 else find_nanos(line, at + len(_TIME))


def _ends_line(line: bytes, end: int) -> bool:
    r"""Whether `\n` stands before `end`, and its backslash is no escaped one."""
    at = end - len(_LINE_END)
    if line[at:end] != _LINE_END:
        return False
    first = at
    while line[first - 1] == _BACKSLASH:
        first -= 1
    return (at - first) % 2 == 0
