"""Canonical lines: the contract's shape, byte for byte, and nothing lost that JSON can't carry."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from shipper.sources.forward.events import LineBuilder, Peer, parse_event_time
from shipper.sources.forward.msgpack import Ext
from tests.shipper.sources.forward.forward_messages import NOW, NOW_NANOS

_TIME = Ext(0, (1_767_449_112).to_bytes(4, "big") + (123_456_789).to_bytes(4, "big"))


def _build(record: Any, *, time: Any = _TIME, metadata: Any = None, tag: str = "app") -> str:
    return LineBuilder(tag, None).build(time, record, metadata, NOW_NANOS).decode()


def test_an_event_is_one_line_with_its_keys_in_order_of_arrival() -> None:
    """The bytes are the record's identity: they must be the same each time."""
    assert (
        '{"time":"2026-01-03T14:05:12.123456789Z","tag":"app",'
        '"record":{"z":1,"message":"ä\\n\\"","a":[null,true,1.5]}}\n'
    ) == _build({"z": 1, "message": 'ä\n"', "a": [None, True, 1.5]})


def test_peer_and_metadata_stand_between_tag_and_record() -> None:
    """Who wrote it, as the kernel says; what Fluent Bit knows of it, unless that is nothing."""
    builder = LineBuilder("a.b", Peer(pid=1, uid=2, gid=3))
    line = builder.build(_TIME, {"m": 1}, {"k": "v"}, NOW_NANOS).decode()
    assert (
        '{"time":"2026-01-03T14:05:12.123456789Z","tag":"a.b","peer":{"pid":1,"uid":2,"gid":3},'
        '"metadata":{"k":"v"},"record":{"m":1}}\n'
    ) == line
    assert "metadata" not in builder.build(_TIME, {"m": 1}, {}, NOW_NANOS).decode()


def test_bytes_are_text_where_they_can_be() -> None:
    """And base64 with its name where they can't."""
    record = {"a": "grüße".encode(), "b": b"\xff", "c": Ext(7, b"\x01")}
    assert {
        "a": "grüße",
        "b": {"base64": "/w=="},
        "c": {"ext": 7, "base64": "AQ=="},
    } == json.loads(_build(record))["record"]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (1_700_000_000, 1_700_000_000_000_000_000),
        (1.5, 1_500_000_000),
        (1_700_000_000.25, 1_700_000_000_250_000_000),
        (_TIME, 1_767_449_112_123_456_789),
        (0, 0),
        (-1, None),
        (9_223_372_036, 9_223_372_036_000_000_000),
        (9_223_372_037, None),
        (1 << 64, None),
        (math.nan, None),
        (math.inf, None),
        (True, None),
        (None, None),
        ("2026", None),
        (Ext(1, b"\0" * 8), None),
        (Ext(0, b"\0" * 7), None),
        (Ext(0, b"\xff\xff\xff\xff\0\0\0\0"), None),
        (Ext(0, b"\0\0\0\1\xff\xff\xff\xff"), None),
    ],
)
def test_times_are_nanoseconds_or_none(time: Any, expected: int | None) -> None:
    """What no index can hold is no time; Fluent Bit's marks of groups are none either."""
    assert expected == parse_event_time(time)


def test_an_event_without_a_usable_time_has_the_one_it_was_read_at() -> None:
    """And keeps what it was given."""
    assert f'{{"time":"{NOW}","tag":"app","given_time":-1,"record":{{}}}}\n' == _build({}, time=-1)


@pytest.mark.parametrize("record", [{b"\xff": 1}, {"a": {b"k": 1}}])
def test_a_key_that_is_no_text_is_refused(record: Any) -> None:
    """The caller then keeps the event's bytes."""
    with pytest.raises(ValueError, match="JSON has none"):
        _build(record)


def test_a_record_that_is_too_deep_for_json_is_refused() -> None:
    """Python's own stack must not be what decides."""
    record: dict[str, Any] = {}
    for _ in range(100_000):
        record = {"a": record}
    with pytest.raises(ValueError, match="JSON has none"):
        _build(record)
    while record:  # taken apart from outside: the deallocation of so deep a value recurses as well
        record = record.pop("a")


def test_bytes_that_are_no_event_are_kept() -> None:
    """As base64, at the time they were read."""
    line = LineBuilder('t"', None).build_opaque(b"\xff\x00", NOW_NANOS).decode()
    assert f'{{"time":"{NOW}","tag":"t\\"","base64":"/wA="}}\n' == line
