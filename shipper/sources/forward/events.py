"""A Forward event as one canonical line of the spool, the same bytes each time.

In: an event's tag, time, record and metadata, and who sent it. Out: `{"time":…,"tag":…,"record":…}`
and a line feed. Pure. It must never lose an event: what is none, or can't be written as JSON,
becomes a line that keeps its bytes.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from shipper.sources.forward.msgpack import Ext
from shipper.wire.times import NANOS_PER_SECOND, format_time

_EVENT_TIME_TYPE: Final = 0
_EVENT_TIME_BYTES: Final = 8
_GROUP_MARKS_FROM: Final = 0xFFFF_FFFE
"""Seconds that Fluent Bit gives to records which begin and end a group: no time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who is at the other end of a unix socket, as the kernel says."""

    pid: int
    uid: int
    gid: int


class LineBuilder:
    """Builds the lines of one tag from one peer."""

    def __init__(self, tag: str, peer: Peer | None) -> None:
        middle = '","tag":' + _to_json(tag)
        if peer is not None:
            middle += f',"peer":{{"pid":{peer.pid},"uid":{peer.uid},"gid":{peer.gid}}}'
        self._middle = middle
        self._before_record = middle + ',"record":'

    def build(
        self, time: Any, record: Mapping[Any, Any], metadata: Any, read_at_nanos: int
    ) -> bytes:
        """The line of an event.

        Raises:
            ValueError: JSON can't carry it: a key that is no text, or values too deep.
        """
        nanos = parse_event_time(time)
        before = self._before_record
        if nanos is None:
            before = f'{self._middle},"given_time":{_to_json(time)},"record":'
            nanos = read_at_nanos
        if metadata:
            before = f'{before[:-9]}"metadata":{_to_json(metadata)},"record":'
        return f'{{"time":"{_format(nanos)}{before}{_to_json(record)}}}\n'.encode()

    def build_opaque(self, raw: bytes, read_at_nanos: int) -> bytes:
        """The line of bytes that are no event."""
        text = base64.b64encode(raw).decode()
        return f'{{"time":"{_format(read_at_nanos)}{self._middle},"base64":"{text}"}}\n'.encode()


def parse_event_time(value: Any) -> int | None:
    """Nanoseconds since 1970 of an event's time; None: it has none between 1970 and 2262."""
    if isinstance(value, Ext):
        if value.type != _EVENT_TIME_TYPE or len(value.data) != _EVENT_TIME_BYTES:
            return None
        seconds = int.from_bytes(value.data[:4], "big")
        fraction = int.from_bytes(value.data[4:], "big")
        if seconds >= _GROUP_MARKS_FROM or fraction >= NANOS_PER_SECOND:
            return None
        return seconds * NANOS_PER_SECOND + fraction
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = math.floor(value)  # apart: together they have more digits than a float
    except (ValueError, OverflowError):  # not a number, or endless
        return None
    nanos = seconds * NANOS_PER_SECOND + round((value - seconds) * NANOS_PER_SECOND)
    return nanos if 0 <= nanos < 1 << 63 else None


def _format(nanos: int) -> str:
    seconds, fraction = divmod(nanos, NANOS_PER_SECOND)
    return f"{_format_second(seconds)}{fraction:09d}Z"


@lru_cache(maxsize=64)
def _format_second(seconds: int) -> str:
    """Everything before the nanoseconds: events of one second come together."""
    return format_time(seconds * NANOS_PER_SECOND).removesuffix("000000000Z")


def _to_json(value: object) -> str:
    """As canonical as a dictionary's order allows.

    Raises:
        ValueError: a key that is no text.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"JSON has none of this: {error}") from error


def _to_jsonable(value: object) -> object:
    """What JSON has no type for: bytes, as text where they are, and values of own types."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Ext):
        return {"ext": value.type, "base64": base64.b64encode(value.data).decode()}
    raise TypeError(f"a {type(value).__name__}")


_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), default=_to_jsonable
)
