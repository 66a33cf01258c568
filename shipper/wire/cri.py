"""CRI lines, as containerd and CRI-O write them: `2026-01-03T14:05:12.1Z stdout F words`.

In: a line, or a record of several. Out: where the application's words stand, and the record's
shape. A line with the tag `P` goes on in the next one of its stream, up to one with the tag `F`.
It must never parse what is not exactly CRI: such a line has no shape.
"""

from __future__ import annotations

import re
from typing import Final

from shipper.wire.shapes import Shaped, build_shaped
from shipper.wire.structured import find_fields
from shipper.wire.wrapping import Wrapped, find_nanos

# A tag may have more behind a colon; what is not known there is passed over.
_HEAD: Final = re.compile(
    rb"(\d{4}-\d\d-\d\dT[0-9:.]{8,24}(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([FP])(?::[!-~]{0,64})? "
)
_PARTIAL: Final = b"P"


def unwrap(line: bytes) -> Wrapped | None:
    """Where the words stand; None: the line is no CRI line."""
    match = _HEAD.match(line)
    if match is None:
        return None
    end = len(line) - 1 if line.endswith(b"\n") else len(line)
    return Wrapped(match.end(), end, match[2], match[3] == _PARTIAL)


def has_partial(lines: list[bytes]) -> bool:
    """Whether there may be a line that is not the whole of the application's."""
    return any(b" P" in line[:_TAG_WITHIN_BYTES] for line in lines)


_TAG_WITHIN_BYTES: Final = 56


def shape(record: bytes) -> Shaped | None:
    """The record's shape; of several lines the words are joined, and the bytes stand beside it."""
    match = _HEAD.match(record)
    if match is None:
        return None
    time_nanos = find_nanos(record, 0)
    stream = {"log.iostream": match[2].decode()}
    if not record.count(b"\n", 0, -1):
        end = len(record) - 1 if record.endswith(b"\n") else len(record)
        message = record[match.end() : end].decode("utf-8", "replace")
        return build_shaped(
            record,
            match.end(),
            end,
            message,
            escape="text",
            time_nanos=time_nanos,
            fields={**stream, **find_fields(message)},
        )
    words = []
    for line in record.removesuffix(b"\n").split(b"\n"):
        found = unwrap(line)
        if found is None:
            return None
        words += [line[found.start :], b"" if found.is_partial else b"\n"]
    message = b"".join(words[:-1]).decode("utf-8", "replace")
    return Shaped(
        message=message,
        after="",
        is_whole=False,
        time_nanos=time_nanos,
        fields={**stream, **find_fields(message)},
    )
