"""shipper.wire.journal_entries: an entry's line is the same each time, and comes apart whole."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.journal_entries import (
    LINE_LIMIT_BYTES,
    VALUE_LIMIT_BYTES,
    build_line,
    shape,
)
from shipper.wire.shapes import Shaped, escape_message

CURSOR = "s=39f8fb0aa7544df592ca48120eddbafa;i=1a;b=01;m=3e8;t=60a24181e4000;x=d45ea194178226b4"
MICROS = 1_700_000_000_000_000

names = st.sampled_from(
    (b"MESSAGE", b"PRIORITY", b"_PID", b"_COMM", b"_SYSTEMD_UNIT", b"A", b"__CURSOR", b"Z\xff")
)
contents = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(str.encode),
    st.sampled_from((b'"MESSAGE":"', b'\\"MESSAGE":', b"\x00\x1f\x7f", b"6", b"", b"\n\n")),
)
values = st.lists(st.builds(lambda name, content: name + b"=" + content, names, contents))


def _line(*values: bytes) -> bytes:
    return build_line(values, cursor=CURSOR, sequence=26, realtime_micros=MICROS)


def _shape(*values: bytes) -> Shaped:
    shaped = shape(_line(*values))
    assert shaped is not None
    return shaped


@given(values, st.randoms(use_true_random=False))
def test_the_order_of_fields_does_not_show(entry: list[bytes], order: random.Random) -> None:
    """A journal that is moved to another file holds an entry's fields in another order."""
    shuffled = [*entry, *entry[:1]]  # some versions hold a repeated field twice, some once
    order.shuffle(shuffled)
    assert _line(*entry) == _line(*shuffled)


@given(values)
def test_a_line_comes_apart_and_together_again(entry: list[bytes]) -> None:
    """Whatever stands in the fields; else the shape says that it is not whole."""
    line = _line(*entry)
    shaped = _shape(*entry)
    if shaped.is_whole:
        message = escape_message(shaped.message, shaped.escape)
        assert line.decode() == shaped.before + message + shaped.after
    else:
        assert ("", "") == (shaped.before, shaped.after)
        assert isinstance(_first(json.loads(line)["MESSAGE"]), dict)


@given(values)
def test_every_value_is_in_the_line(entry: list[bytes]) -> None:
    """As text, or as base64 where it is no UTF-8."""
    expected: dict[str, set[bytes]] = {}
    for value in entry:
        name, _, content = value.partition(b"=")
        if name != b"__CURSOR":  # an address can't be forged
            expected.setdefault(name.decode("utf-8", "backslashreplace"), set()).add(content)
    found = {
        name: {_bytes(one) for one in (value if isinstance(value, list) else [value])}
        for name, value in json.loads(_line(*entry)).items()
        if not name.startswith("__")
    }
    assert expected == found


@given(st.binary(max_size=200))
def test_what_is_no_entry_has_no_shape(data: bytes) -> None:
    """It is then taken as a plain line."""
    assert shape(data) is None


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b"{}\n", b'{"__CURSOR":"","__SEQNUM":""}\n', b"null", b"\xff"]
)
def test_what_is_nearly_an_entry_has_no_shape_either(line: bytes) -> None:
    """Deeply nested, without an address, or no UTF-8."""
    assert shape(line) is None


def test_a_line_that_somebody_else_wrote_is_not_taken_for_whole() -> None:
    """JSON with spaces holds the same, and its bytes would not come back."""
    line = json.dumps(json.loads(_line(b"MESSAGE=hello"))).encode() + b"\n"
    shaped = shape(line)
    assert shaped is not None
    assert ("hello", False) == (shaped.message, shaped.is_whole)


def test_the_line_as_it_stands() -> None:
    """Sorted, without spaces, the address among the fields."""
    expected = (
        b'{"A":["1","2"],"MESSAGE":"h\xc3\xa9llo \\"you\\"\\n","_COMM":{"base64":"/w=="},'
        b'"__CURSOR":"%b","__REALTIME_TIMESTAMP":"1700000000000000","__SEQNUM":"26"}\n'
    ) % CURSOR.encode()
    assert expected == _line(b"_COMM=\xff", 'MESSAGE=héllo "you"\n'.encode(), b"A=2", b"A=1")


def test_an_entry_says_who_where_and_how_bad() -> None:
    """In ECS's words, and all of it in the journal's own."""
    shaped = _shape(
        b"MESSAGE=out of memory",
        b"PRIORITY=2",
        b"SYSLOG_FACILITY=3",
        b"SYSLOG_IDENTIFIER=java",
        b"_SYSTEMD_UNIT=shop.service",
        b"_PID=4711",
        b"_COMM=java",
        b"_EXE=/usr/bin/java",
        b"_SOURCE_REALTIME_TIMESTAMP=1699999999999999",
    )
    fields = dict(shaped.fields)
    own = fields.pop("fields")
    assert {
        "log.level": "critical",
        "log.syslog.appname": "java",
        "log.syslog.facility.code": 3,
        "log.syslog.priority": 26,
        "log.syslog.severity.code": 2,
        "process.executable": "/usr/bin/java",
        "process.name": "java",
        "process.pid": 4711,
        "service.name": "shop",
    } == fields
    assert ("out of memory", 1_699_999_999_999_999_000) == (shaped.message, shaped.time_nanos)
    assert ("shop.service", CURSOR, "26") == (
        own["_SYSTEMD_UNIT"],
        own["__CURSOR"],
        own["__SEQNUM"],
    )
    assert "MESSAGE" not in own


def test_outside_a_service_the_identifier_names_it() -> None:
    """The kernel and sessions have no service."""
    shaped = _shape(b"MESSAGE=x", b"SYSLOG_IDENTIFIER=kernel", b"_SYSTEMD_UNIT=session-1.scope")
    assert "kernel" == shaped.fields["service.name"]


@pytest.mark.parametrize("priority", [b"8", b"-1", b"", b"x", b"6\n", b"\xff", b"99999999999"])
def test_a_strange_priority_gives_no_level(priority: bytes) -> None:
    """Anybody may write any PRIORITY."""
    assert "log.level" not in _shape(b"MESSAGE=x", b"PRIORITY=" + priority).fields


@pytest.mark.parametrize("time", [b"0", b"-1", b"x", b"9999999999999999", b"9" * 30])
def test_a_senders_time_out_of_range_is_not_believed(time: bytes) -> None:
    """Then the time is journald's."""
    shaped = _shape(b"MESSAGE=x", b"_SOURCE_REALTIME_TIMESTAMP=" + time)
    assert MICROS * 1000 == shaped.time_nanos


def test_an_entry_without_any_sane_time_has_none() -> None:
    """The reading time is then used."""
    line = build_line([b"MESSAGE=x"], cursor=CURSOR, sequence=1, realtime_micros=2**63)
    shaped = shape(line)
    assert shaped is not None
    assert shaped.time_nanos is None


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"x" * (VALUE_LIMIT_BYTES + 1), b"x" * VALUE_LIMIT_BYTES),
        ("é".encode() * VALUE_LIMIT_BYTES, "é".encode() * (VALUE_LIMIT_BYTES // 2)),
        (
            b"x" + "é".encode() * VALUE_LIMIT_BYTES,
            b"x" + "é".encode() * (VALUE_LIMIT_BYTES // 2 - 1),
        ),
        (b"\xff" * (VALUE_LIMIT_BYTES + 1), b"\xff" * VALUE_LIMIT_BYTES),
    ],
)
def test_a_long_value_is_cut_and_says_so(content: bytes, kept: bytes) -> None:
    """A text between two characters; whether it is the message or not."""
    for name in (b"MESSAGE", b"COREDUMP"):
        value = json.loads(_line(name + b"=" + content))[name.decode()]
        assert (True, kept) == (value["cut"], _bytes(value))
    shaped = _shape(b"MESSAGE=" + content)
    assert kept.decode("utf-8", "replace") == shaped.message
    assert shaped.is_whole is (b"\xff" not in kept)


def test_an_entry_has_a_bound() -> None:
    """However many values it has; the message is what stays."""
    line = _line(*(b"A%d=" % n + b"\x01" * VALUE_LIMIT_BYTES for n in range(20)), b"MESSAGE=hello")
    assert len(line) < LINE_LIMIT_BYTES + 4096
    assert "hello" == json.loads(line)["MESSAGE"]
    assert {"cut": True, "text": ""} == json.loads(line)["A9"]


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _bytes(value: str | dict[str, str]) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return value["text"].encode() if "text" in value else base64.b64decode(value["base64"])
