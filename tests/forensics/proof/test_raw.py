"""A path's bytes from the store: exact, over restarts, days, streams and rotations; holes named."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Sequence

import pytest

from forensics.errors import IntegrityError, NotFoundError
from forensics.proof.raw import read_path
from tests.forensics.proof.shipped import INSTANCE, NOON, PATH, Loaded, Stream


def content(size: int, seed: int = 1) -> bytes:
    """Lines of all kinds: UTF-8, none, long, empty, without an end."""
    rng = random.Random(seed)
    kinds: Sequence[bytes] = (
        b"plain %d",
        b"\xff\xfe %d",
        b"\x1b[31m\x00 %d",
        "größe %d".encode(),
        b"",
    )
    lines = []
    total = 0
    while total < size:
        kind = rng.choice(kinds)
        line = (kind % rng.randrange(10**6) if b"%d" in kind else kind) + b"\n"
        lines.append(line)
        total += len(line)
    return b"".join(lines) + b"no newline at the end"


async def test_every_byte_comes_back(loaded: Loaded) -> None:
    """More than one page of records, odd bytes, the last line without its end: identical."""
    a, data = Stream("a"), content(60_000)
    loaded.load(a.row(1, data), a.lines(1, data), a.heartbeat(1, read=len(data), acked=0, size=0))
    assert (data, []) == await loaded.read()


async def test_arrival_order_and_repetition_do_not_matter(loaded: Loaded) -> None:
    """Later parts first, parts again, records cut differently the second time."""
    a = Stream("a")
    data = b"".join(b"line %d\n" % n for n in range(100))
    half = data.index(b"line 50")
    loaded.load(a.lines(1, data, start=half), a.row(1, data), a.lines(1, data, end=half))
    loaded.load(a.lines(1, data, start=half - 3, end=half + 4))
    assert (data, []) == await loaded.read()


async def test_a_file_over_midnight_is_one_file(loaded: Loaded) -> None:
    """A new row of the same source from an offset on, its records in the next day's index."""
    a = Stream("a")
    data = content(3000)
    cut = data.index(b"\n", 1500) + 1
    later = "2026-01-04T00:00:01.000000000Z"
    loaded.load(
        a.row(1, data),
        a.lines(1, data, end=cut),
        a.row(1, data, at=later, from_offset=cut),
        a.lines(1, data, start=cut, day=4),
    )
    assert (data, []) == await loaded.read()


async def test_two_streams_of_one_file_are_folded(loaded: Loaded) -> None:
    """A lost state folder: the second stream read it again from the start, when it had grown."""
    a, b, data = Stream("a"), Stream("b"), content(5000)
    cut = data.index(b"\n", 500) + 1
    loaded.load(
        a.row(1, data[:300]),
        a.lines(1, data, end=cut),
        b.row(4, data, at="2026-01-03T13:00:00.000000000Z"),
        b.lines(4, data),
    )
    assert (data, []) == await loaded.read()


async def test_an_inode_given_again_is_another_file(loaded: Loaded) -> None:
    """Rotation, and the same inode with other content in another stream: one after the other."""
    a, b = Stream("a"), Stream("b")
    first, second, third = content(2000, 1), content(2000, 2), content(2000, 3)
    loaded.load(
        a.row(1, first),
        a.lines(1, first),
        a.row(2, second, at="2026-01-03T13:00:00.000000000Z", inode=8),
        a.lines(2, second),
        b.row(1, third, at="2026-01-03T14:00:00.000000000Z"),
        b.lines(1, third),
    )
    assert (first + second + third, []) == await loaded.read()


async def test_a_truncated_file_that_starts_alike_is_another_file(loaded: Loaded) -> None:
    """A stream opens a file once: same inode and first bytes under a new number is a new file."""
    a = Stream("a")
    loaded.load(
        a.row(1, b"start\n"),
        a.lines(1, b"start\none\n"),
        a.row(2, b"start\n", at="2026-01-03T13:00:00.000000000Z"),
        a.lines(2, b"start\ntwo\n"),
    )
    assert (b"start\none\nstart\ntwo\n", []) == await loaded.read()


async def test_holes_say_where_and_why(loaded: Loaded) -> None:
    """Inside, and at the end: what was acknowledged, read, or only seen in the file's size."""
    a = Stream("a")
    data = b"".join(b"line %d\n" % n for n in range(10, 40))
    loaded.load(
        a.row(1, data),
        a.lines(1, data, end=80),
        a.lines(1, data, start=120, end=160),
        a.heartbeat(1, read=200, acked=160, size=230),
    )
    found, holes = await loaded.read()
    assert data[:80] + data[120:160] == found
    assert [(80, 120), (160, 200), (200, 230)] == [(hole.start, hole.end) for hole in holes]
    assert {f"{a.name}-1"} == {hole.source for hole in holes}
    assert "stored by 2026-01-03" in holes[0].reason
    assert "not stored" in holes[1].reason
    assert "230 bytes" in holes[2].reason


async def test_a_hole_quotes_a_declared_gap_and_dead_letters(loaded: Loaded) -> None:
    """The shipper's own words explain a hole; so do records that the store refused."""
    a = Stream("a")
    data = b"".join(b"line %d\n" % n for n in range(10, 40))
    loaded.load(
        a.row(1, data),
        a.lines(1, data, start=40, end=80),
        a.gap(1, 0, 40, "the file was deleted"),
        a.lines(1, data, start=120, end=160),
        a.heartbeat(1, read=160, acked=160, size=160, dead=40),
        a.gap(1, 160, 160, "truncated"),
    )
    _, holes = await loaded.read()
    assert [(0, 40), (80, 120), (160, 160)] == [(hole.start, hole.end) for hole in holes]
    assert "the file was deleted" in holes[0].reason
    assert "dead letters" in holes[1].reason
    assert "truncated" in holes[2].reason


async def test_records_without_their_source_row_are_read(loaded: Loaded) -> None:
    """Vitals that never came: the records name their sources, each a file of its own."""
    a, b = Stream("a"), Stream("b")
    loaded.load(a.row(1, b"one\n"), a.lines(1, b"one\n"), a.lines(2, b"two\n"))
    loaded.load(b.lines(1, b"three\n"))
    assert (b"one\ntwo\nthree\n", []) == await loaded.read()


async def test_another_shippers_records_of_the_path_are_told(loaded: Loaded) -> None:
    """They have no offsets, so they are no part of the file; they are not left out in silence."""
    a = Stream("a")
    foreign = {"@timestamp": NOON, "cloud.instance.id": INSTANCE, "log.file.path": PATH}
    body = f'{{"create":{{"_index":"other"}}}}\n{json.dumps(foreign)}\n'.encode()
    loaded.load(a.row(1, b"one\n"), a.lines(1, b"one\n"), body)
    data, (hole,) = await loaded.read()
    assert b"one\n" == data
    assert "1 records of another shipper" in hole.reason


@pytest.mark.parametrize(
    "nonsense", ["a list", [7], [{"source": "1"}], [{"source": 1, "read": "x"}]]
)
async def test_vitals_of_a_hostile_instance_are_only_doubted(
    loaded: Loaded, nonsense: object
) -> None:
    """Heartbeats that make no sense don't stop the reading of records."""
    a = Stream("a")
    beat = a.heartbeat(1, read=4, acked=4, size=4)
    action, document = beat.splitlines()
    fields = json.loads(document) | {"afterimage.sources": nonsense}
    loaded.load(a.row(1, b"one\n"), a.lines(1, b"one\n"))
    loaded.load(action + b"\n" + json.dumps(fields).encode() + b"\n")
    assert (b"one\n", []) == await loaded.read()


async def test_an_altered_record_is_named(loaded: Loaded) -> None:
    """Bytes that are not those of the id: the record's name, and no guess."""
    a = Stream("a")
    loaded.load(a.row(1, b"one\ntwo\n"), a.lines(1, b"one\ntwo\n"))
    with sqlite3.connect(loaded.path) as connection:
        connection.execute("UPDATE documents SET body = replace(body, '\"two\"', '\"six\"')")
    connection.close()
    with pytest.raises(IntegrityError, match=f"{a.name}-1-4-4-"):
        await loaded.read()


async def test_contradicting_streams_are_an_integrity_error(loaded: Loaded) -> None:
    """One file by every sign, and yet two contents: somebody lies."""
    a, b = Stream("a"), Stream("b")
    loaded.load(a.row(1, b"one\n"), a.lines(1, b"one\ntwo\n"))
    loaded.load(b.row(1, b"one\n"), b.lines(1, b"one\nsix\n"))
    with pytest.raises(IntegrityError, match="different bytes at offset 4"):
        await loaded.read()


async def test_an_unknown_path_or_instance_names_what_there_is(loaded: Loaded) -> None:
    """NotFoundError with the nearest paths."""
    a = Stream("a")
    with pytest.raises(NotFoundError, match="shipped no file"):
        await loaded.read()
    loaded.load(a.row(1, b"one\n"), a.lines(1, b"one\n"))
    with pytest.raises(NotFoundError, match=PATH):
        await anext(read_path(loaded.store, INSTANCE, "/var/log/ap.log"))
