"""Messages of the Forward protocol as its clients send them, packed by the reference."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable
from typing import Any, Final

import msgpack

NOW_NANOS: Final = 1_767_449_112_000_000_005
NOW: Final = "2026-01-03T14:05:12.000000005Z"


def pack(value: Any) -> bytes:
    """A value's MessagePack."""
    packed: bytes = msgpack.packb(value)
    return packed


def event_time(seconds: int, nanos: int) -> msgpack.ExtType:
    """The protocol's own type of time."""
    return msgpack.ExtType(0, struct.pack(">II", seconds, nanos))


def entries(*messages: str) -> list[list[Any]]:
    """Entries `[time, record]`, a second apart."""
    return [[1_700_000_000 + place, {"message": text}] for place, text in enumerate(messages)]


def packed(some: Iterable[Any]) -> bytes:
    """Entries one after the other, as a payload."""
    return b"".join(map(pack, some))


def parse(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """The lines' objects; each must be one whole line."""
    found = []
    for line in lines:
        assert line.endswith(b"\n")
        assert 1 == line.count(b"\n")
        found.append(json.loads(line))
    return found


def messages(lines: Iterable[bytes]) -> list[str]:
    """What the applications said."""
    return [line["record"]["message"] for line in parse(lines)]


def opaque(line: dict[str, Any]) -> bytes:
    """The bytes that a line kept of what was no event."""
    return base64.b64decode(line["base64"], validate=True)
