"""shipper.wire.record: whatever bytes a line has, they come back out of the stored document."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.builder import RecordBuilder, split_items
from shipper.wire.framing import frame
from shipper.wire.levels import find_level
from shipper.wire.record import (
    Identity,
    RecordKey,
    build_document,
    index_name,
    logs_index,
    parse_record_id,
    stored_bytes,
)
from shipper.wire.records import Records
from shipper.wire.times import parse_time

READ_AT = parse_time("2026-01-03T14:05:12.123456789Z")
STREAM = "0123456789abcdef0123"


def make_builder(**values: Any) -> RecordBuilder:
    """A builder of source 7 of a stream."""
    settings: dict[str, Any] = {
        "identity": Identity(
            instance_id="i-0123456789abcdef0", region="eu-west-1", host_name='"%s'
        ),
        "stream": STREAM,
        "source": 7,
        "path": "/var/log/100% \x1b café.log",
        "index": "afterimage-logs-2026.01.03",
        **values,
    }
    return RecordBuilder(**settings)


def build_items(
    builder: RecordBuilder, records: Sequence[bytes], offset: int, read_at: int
) -> list[bytes]:
    """The items of records that follow each other, in the quick way where they are plain lines."""
    built = builder.build(Records.of(records, offset), read_at)
    assert built.item_count == len(records)
    if records and all(record.endswith(b"\n") and b"\n" not in record[:-1] for record in records):
        plain = Records(data=b"".join(records), start=offset)
        assert built == builder.build(plain, read_at)
    return split_items(built.body)


def parse_item(item: bytes) -> tuple[str, str, dict[str, Any]]:
    """Index, id and document of a `_bulk` item, read as a strict server reads it."""
    action_line, document_line, rest = item.split(b"\n")
    assert rest == b""
    action = json.loads(action_line)["create"]
    return action["_index"], action["_id"], json.loads(document_line.decode("utf-8"))


lines = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from(
        [
            b"",
            b"\r",
            b"a\rb\r\n",
            b"\x00\x01\x1f\x7f",
            b"\x1b[2J\x1b]0;title\x07",
            b"[/red][link=x]",
            b'{"a":"\\ud800"}',
            b"\xed\xa0\x80",  # a surrogate in UTF-8: not UTF-8
            b"\xc3",
            b'\\n\\\\"',
            b"2026-01-03T14:05:12.221Z INFO x",
            b"Jan  3 14:05:12 host app[1]: x",
            b"%d %s %%",
        ]
    ),
)


@given(st.lists(lines, max_size=12).map(b"\n".join), st.booleans(), st.integers(0, 2**40))
def test_every_byte_comes_back_out_of_the_documents(
    content: bytes,
    final: bool,  # noqa: FBT001 - drawn
    offset: int,
) -> None:
    """Built, parsed and read back, the bytes are the same, and ids say where they stood."""
    records = frame(content, final=final)
    at = offset
    for record, item in zip(
        records, build_items(make_builder(), records, offset, READ_AT), strict=True
    ):
        index, document_id, document = parse_item(item)
        assert "afterimage-logs-2026.01.03" == index
        assert record == stored_bytes(document_id, document)
        expected = RecordKey(STREAM, 7, at, len(record), zlib.crc32(record))
        assert expected == parse_record_id(document_id)
        assert (at, len(record)) == (document["log.offset"], document["log.length"])
        at += len(record)


@given(lines)
def test_the_plain_form_has_the_same_id_and_the_same_bytes(line: bytes) -> None:
    """A refused record can be sent again in a form that no mapping refuses."""
    record = line.replace(b"\n", b"") + b"\n"
    builder = make_builder()
    (item,) = build_items(builder, [record], 11, READ_AT)
    index, document_id, document = parse_item(builder.build_plain(record, 11, READ_AT))
    assert parse_item(item)[:2] == (index, document_id)
    assert record == stored_bytes(document_id, document)
    assert "message" not in document
    assert "2026-01-03T14:05:12.123456789Z" == document["@timestamp"]


@pytest.mark.parametrize(
    "line",
    [
        b"x" * (1 << 20),
        b"\xff" * 1000,
        b"[" * 2000 + b"]" * 2000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b"\x01" * (1 << 18),
    ],
    ids=["a megabyte", "no UTF-8", "brackets", "nested 2000 deep", "controls"],
)
def test_extreme_lines_come_back(line: bytes) -> None:
    """Length, depth and controls change nothing."""
    records = frame(line + b"\n")
    for record, item in zip(records, build_items(make_builder(), records, 0, READ_AT), strict=True):
        _, document_id, document = parse_item(item)
        assert record == stored_bytes(document_id, document)


def test_an_altered_document_is_refused() -> None:
    """One other character, or one fewer, and the bytes are not given out."""
    (item,) = build_items(make_builder(), [b"the amount is 100\n"], 0, READ_AT)
    _, document_id, document = parse_item(item)
    for message in ("the amount is 900", "the amount is 10", "the amount is 100\n\n"):
        with pytest.raises(ValueError, match="not the ones its id was made of"):
            stored_bytes(document_id, {**document, "message": message})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        f"{STREAM}-1-2-3",
        f"{STREAM}-1-2-3-0000000g",
        f"{STREAM}-v-1-1",
        f"{STREAM}--1-2-3-00000000",
        f" {STREAM}-1-2-3-00000000",
        f"{STREAM}-1-2-3-00000000\n",
    ],
)
def test_what_is_no_record_id_is_refused(text: str) -> None:
    """Ids of vitals, of other shippers, and mutilated ones."""
    with pytest.raises(ValueError, match="is not stream-source-offset-length-crc32"):
        parse_record_id(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"2026-01-03 14:05:12,221 ERROR x", "error"),
        (b"2026-01-03 14:05:12,221 - app - WARNING - x", "warn"),
        (b"[Sun Dec 04 04:47:44 2005] [error] x", "error"),
        (b"<crit> x", "critical"),
        (b"level=info msg=x", "info"),
        (b'time="2026" level="debug" msg=x', "debug"),
        (b'{"level":"Error","msg":"x"}', "error"),
        (b'{"log.level":"warning"}', "warn"),
        (b"ERROR:root:x", "error"),
        (b"no error here", ""),
        (b"everything is INFOrmation", ""),
        (b"", ""),
    ],
)
def test_a_level_is_found_where_a_line_names_one(line: bytes, expected: str) -> None:
    """A word that stands as a level, not one in a sentence."""
    assert expected == find_level(line + b"\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"2026-01-03T14:05:11.5Z a", "2026-01-03T14:05:11.500000000Z"),
        (b"2026-01-03T14:05:11.123456789Z a", "2026-01-03T14:05:11.123456789Z"),
        (b"2026-01-03 14:05:11,221 a", "2026-01-03T14:05:11.221000000Z"),
        (b"2026-01-03 14:05:11 a", "2026-01-03T14:05:11.000000000Z"),
        (b"2026-01-03T14:05:11+02:00 a", "2026-01-03T12:05:11.000000000Z"),
        (b"2026-01-03T14:05:11 +0200 a", "2026-01-03T12:05:11.000000000Z"),
        (b"Jan  3 14:05:11 host a", "2026-01-03T14:05:11.000000000Z"),
        (b"Dec 31 14:05:11 host a", "2025-12-31T14:05:11.000000000Z"),
        (b'1.2.3.4 - - [03/Jan/2026:14:05:11 +0100] "GET /"', "2026-01-03T13:05:11.000000000Z"),
        (b"[Sat Jan 03 14:05:11 2026] [error] a", "2026-01-03T14:05:11.000000000Z"),
        (b'{"time":"2026-01-03T14:05:11Z"}', "2026-01-03T14:05:11.000000000Z"),
        (b"2026-02-30T14:05:11Z a", "2026-01-03T14:05:12.123456789Z"),
        (b"0001-01-01T00:00:00Z a", "2026-01-03T14:05:12.123456789Z"),
        (b"a 2026-01-03T14:05:11Z", "2026-01-03T14:05:12.123456789Z"),
    ],
)
def test_a_lines_own_time_is_its_timestamp(line: bytes, expected: str) -> None:
    """A sane time of its own, else when it was read; the same when a second comes again."""
    builder = make_builder()
    for item in build_items(builder, [line + b"\n"] * 3, 0, READ_AT):
        assert expected == parse_item(item)[2]["@timestamp"]


iso_like = st.builds(
    lambda stamp, fraction, zone, rest: stamp + fraction + zone + rest,
    st.sampled_from([b"2026-01-03T14:05:11", b"2026-01-03 14:05:11", b"2026-01-03T14:05:61"]),
    st.sampled_from([b"", b".1", b",221", b".123456789", b".1234567891", b".", b","]),
    st.sampled_from([b"", b"Z", b"z", b"+0100", b" +0100", b"+01:00", b" UTC", b" UTCX", b"Zx"]),
    st.sampled_from([b"", b" a", b"]", b'"', b" B", b"\ttab", b" -x", b" 5"]),
)


@given(st.lists(iso_like, min_size=2, max_size=8))
def test_a_second_that_was_seen_before_is_read_as_if_it_were_new(stamps: list[bytes]) -> None:
    """The cache of seconds changes no time, whatever follows the second."""
    together = build_items(make_builder(), [stamp + b"\n" for stamp in stamps], 0, READ_AT)
    alone = [build_items(make_builder(), [stamp + b"\n"], 0, READ_AT)[0] for stamp in stamps]
    assert [parse_item(item)[2]["@timestamp"] for item in alone] == [
        parse_item(item)[2]["@timestamp"] for item in together
    ]


def test_indices_are_named_by_day_and_by_month() -> None:
    """Logs by the day of their source row, vitals by the month of their time."""
    assert "afterimage-logs-2026.01.03" == index_name("logs", READ_AT) == logs_index("2026-01-03")
    assert "afterimage-vitals-2026.01" == index_name("vitals", READ_AT)
    item = build_document("vitals", "x", {"@timestamp": "2026-01-03T14:05:12.000000000Z"})
    assert ("afterimage-vitals-2026.01", "x") == parse_item(item)[:2]
