"""The quick way, a chunk at a time, gives the documents of the careful way, byte by byte."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.builder import RecordBuilder, split_items
from shipper.wire.record import Identity
from shipper.wire.records import Records, split_lines
from shipper.wire.shapes import Shaped
from shipper.wire.times import parse_time

READ_AT = parse_time("2026-01-03T14:05:12.123456789Z")

FORMS = (
    "2026-01-03T{h:02d}:{m:02d}:{s:02d}.{u:06d}Z {level} app[7]: {words}",
    "2026-01-03 {h:02d}:{m:02d}:{s:02d},{ms:03d} {level} shop.pricing: {words}",
    "2026-01-03 {h:02d}:{m:02d}:{s:02d} {level} {words}",
    "2026-01-03T{h:02d}:{m:02d}:{s:02d}.{ms:03d}\t{words}",
    "2026-01-03T{h:02d}:{m:02d}:{s:02d}. {words}",
    "2026-01-03T{h:02d}:{m:02d}:{s:02d}+01:00 {words}",
    "Jan  3 {h:02d}:{m:02d}:{s:02d} host app[1]: {words}",
    "[Sat Jan 03 {h:02d}:{m:02d}:{s:02d} 2026] [{level}] {words}",
    "Sat Jan  3 {h:02d}:{m:02d}:{s:02d} 2026 {words}",
    '10.0.3.{m} - - [03/Jan/2026:{h:02d}:{m:02d}:{s:02d} +0000] "GET /{words}" 200',
    '{{"time":"2026-01-03T{h:02d}:{m:02d}:{s:02d}Z","level":"{level}","msg":"{words}"}}',
    '{{"time":"2026-01-03T{h:02d}:{m:02d}:{s:02d}Z","n":{ms},"user":{{"id":-{m}.5,"ok":true}}}}',
    "{words}",
)
SPOILS = (
    b"", b"x", b" ", b"9", b"-", b"\\", b'"', b"[", b"{", b"Z", b"U", b"\t", b"\xc3\xa9", b"\r",
    b"[03/Jan/2026:14:05:11 +0000]", b"INFO ", b" +0100", b"null", b"0", b',"n":1', b"\\u00e9",
)  # fmt: skip
WORDS = (
    "priced",
    "no error",
    'a "quoted" \\ word',
    "[ERROR] x",
    "UTC",
    "+01:00",
    "5 more",
    "é",
    "",
)
LEVELS = ("INFO", "WARN", "ERROR", "WARNING", "DEBUG:", "[ERROR]", "info", "INFORM", "orders")


def make_line(rng: random.Random, form: str) -> bytes:
    """A line of a form, now and then spoilt at some place."""
    micros = rng.randrange(1_000_000)
    text = form.format(
        h=rng.choice((3, 14, 20, 23, 24)) if rng.random() < 0.2 else 14,
        m=rng.randrange(62) if rng.random() < 0.1 else rng.randrange(60),
        s=rng.randrange(60), u=micros, ms=micros // 1000,
        level=rng.choice(LEVELS), words=rng.choice(WORDS),
    )  # fmt: skip
    line = text.encode()
    if rng.random() < 0.05:
        at = rng.randrange(min(len(line), 45) + 1)
        line = line[:at] + rng.choice(SPOILS) + line[at + rng.randrange(3) :]
    return line.replace(b"\n", b"") + b"\n"


def make_builder() -> RecordBuilder:
    """A builder that has seen nothing."""
    return RecordBuilder(
        identity=Identity(instance_id="i-0123456789abcdef0", host_name="ünit"),
        stream="0123456789abcdef0123",
        source=7,
        path="/var/log/a.log",
        index="afterimage-logs-2026.01.03",
    )


def build_each(line: bytes, offset: int) -> bytes:
    """One line by itself, built as if it were wrapped in nothing but its length."""
    return make_builder().build(Records.of([line], offset), READ_AT).body


@given(st.integers(0, 2**32), st.integers(8, 60), st.sampled_from([0.0, 0.05, 0.6]))
def test_columns_and_single_lines_give_the_same_documents(
    seed: int, count: int, strange: float
) -> None:
    """Whatever forms follow each other, whatever is spoilt, and with whatever was seen before."""
    rng = random.Random(seed)
    builder = make_builder()
    offset = rng.choice((0, 2**33))
    for _ in range(2):
        form = rng.choice(FORMS)
        lines = [
            make_line(rng, rng.choice(FORMS) if rng.random() < strange else form)
            for _ in range(count)
        ]
        data = b"".join(lines)
        built = builder.build(Records(data=data, start=offset), READ_AT)
        assert lines == split_lines(data)
        expected = []
        for line in lines:
            expected.append(build_each(line, offset))
            offset += len(line)
        assert expected == split_items(built.body)
        assert count == built.item_count


def test_a_carriage_return_between_values_ends_no_item() -> None:
    """JSON allows it as white space, and `fields` is the line's text as it stands."""
    line = b'{"a":1,\r"b":2}\n'
    built = make_builder().build(Records(data=line * 2, start=0), READ_AT)
    items = split_items(built.body)
    assert 2 == len(items)
    assert all(b'"fields":{"a":1,\r"b":2}' in item for item in items)


def check_columns(builder: RecordBuilder, lines: list[bytes], read_at: int = READ_AT) -> None:
    """The builder gives for these lines what a fresh one gives for each by itself."""
    offset, expected = 0, []
    for line in lines:
        expected.append(make_builder().build(Records.of([line], offset), read_at).body)
        offset += len(line)
    built = builder.build(Records(data=b"".join(lines), start=0), read_at)
    assert expected == split_items(built.body)


@pytest.mark.parametrize("lines", [
    (b"2026-01-03T14:05:12Z INFO x\n", b'{"aa":"T12:30","level":"error"}\n'),
    (b"2026-01-03 14:05:12 INFO x\n", b'{"k":"d 12:30","level":"error"}\n'),
    (b"Jan  3 14:05:12 h x\n", b'{   " ":1,"level":"error"}\n'),
])  # fmt: skip
def test_an_object_that_looks_like_a_time_is_one(lines: tuple[bytes, ...]) -> None:
    """Its fields and its level are there, whatever stands where others have their clock."""
    check_columns(make_builder(), list(lines))


def test_a_key_without_a_time_is_no_reason_to_miss_the_next_one() -> None:
    """Of the keys that a line has, the first with a text counts, on each line by itself."""
    head, tail = b'{"@timestamp":1,"time":"2026-01-03T14:05:12Z",', b'"msg":"%b"}\n' % (b"x" * 60)
    odd = head + b'"timestamp":"2020-01-01T00:00:00Z",' + tail
    check_columns(make_builder(), [head + tail] * 8 + [odd])


def test_a_day_to_come_is_of_the_year_that_it_is_read_in() -> None:
    """Without a year, tomorrow may be last year's, until it is near: that is not remembered."""
    builder = make_builder()
    for hour in (5, 14):
        read_at = parse_time(f"2026-01-03T{hour:02d}:00:00Z")
        check_columns(builder, [b"Jan  4 10:00:00 h x\n"] * 8, read_at)


def test_two_senders_never_build_with_one_builder_at_once() -> None:
    """They may have chunks of one file; what was seen in one is kept for the next."""
    inside, met = 0, []

    def shape(record: bytes) -> Shaped | None:
        nonlocal inside
        inside += 1
        met.append(inside)
        time.sleep(0.002)  # lets the other thread in, if it may come in
        inside -= 1
        return None

    builder = RecordBuilder(
        identity=Identity(instance_id="i-1"),
        stream="0123456789abcdef0123",
        source=7,
        path="/var/log/a.log",
        index="afterimage-logs-2026.01.03",
        shape=shape,
    )
    records = Records(data=b"x\n" * 10, start=0)
    with ThreadPoolExecutor(2) as senders:
        built = list(senders.map(lambda _: builder.build(records, READ_AT), range(2)))
    assert built[0] == built[1]
    assert [1] * 20 == met
