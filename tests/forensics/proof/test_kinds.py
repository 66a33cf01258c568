"""Bytes of every kind of source: spools, wrapped lines, groups, journals, masks and drop tiles."""

from __future__ import annotations

import json

import pytest

from forensics.errors import IntegrityError
from forensics.ledger.model import InstanceRow, InstanceState
from forensics.proof.pieces import Bytes, Dropped, Hole, Masked, Numbered
from forensics.report.completeness import read_completeness
from forensics.report.model import Verdict
from forensics.report.words import render_source
from shipper.wire import journal_entries
from shipper.wire.records import Records
from shipper.wire.shapes import Shaped
from tests.forensics.proof.shipped import INSTANCE, PATH, Loaded, Stream

SOCKET = "forward:unix:///run/afterimage/forward.sock"
JOURNAL = "journald"
LATER = "2026-01-03T13:00:00.000000000Z"
LINES = b"".join(b"line %d\n" % n for n in range(10, 40))
"""30 lines of 8 bytes."""


def row(*, closed: bool = True) -> InstanceRow:
    """The instance as the ledger knows it."""
    return InstanceRow(
        instance_id=INSTANCE, state=InstanceState.TERMINATED, state_reason="", closed=closed
    )


async def completeness(loaded: Loaded, *, closed: bool = True) -> tuple[Verdict, str]:
    """The verdict on the one source, and its words."""
    (found,) = await read_completeness(loaded.store, row(closed=closed))
    return found.verdict, render_source(found)


async def test_what_a_rule_dropped_is_told_apart_from_what_is_missing(loaded: Loaded) -> None:
    """A tile covers its bytes; a byte beside it is a hole; both keep their reasons."""
    a = Stream("a")
    loaded.load(
        a.row(1, LINES),
        a.lines(1, LINES, end=80),
        a.drop(1, 80, 112, 4, "debug"),
        a.lines(1, LINES, start=120, end=160),
        a.drop(1, 160, 200, 5, "rate"),
        a.heartbeat(1, read=208, acked=200, size=208),
    )
    pieces = await loaded.pieces()
    assert [
        Bytes(LINES[:80]),
        Dropped(f"{a.name}-1", 80, 112, 4, "debug"),
        Hole(f"{a.name}-1", 112, 120, pieces[2].reason if isinstance(pieces[2], Hole) else ""),
        Bytes(LINES[120:160]),
        Dropped(f"{a.name}-1", 160, 200, 5, "rate"),
        Hole(f"{a.name}-1", 200, 208, pieces[5].reason if isinstance(pieces[5], Hole) else ""),
    ] == pieces
    assert (Verdict.MISSING, True) == (
        (found := await completeness(loaded))[0],
        "dropped by rule: 4 records, 32 bytes (debug)" in found[1],
    )


async def test_a_file_is_complete_but_for_what_was_dropped(loaded: Loaded) -> None:
    """Tiles at the start, between and at the end, beyond what any heartbeat told: no hole."""
    a = Stream("a")
    loaded.load(
        a.row(1, LINES),
        a.drop(1, 0, 40, 5, "debug"),
        a.lines(1, LINES, start=40, end=80),
        a.drop(1, 80, 88, 1, "debug"),
        a.lines(1, LINES, start=88, end=232),
        a.drop(1, 232, 240, 1, "rate"),
    )
    assert (LINES[40:80] + LINES[88:232], []) == await loaded.read()
    assert (
        Verdict.COMPLETE,
        (
            "complete but for what rules dropped: 184 bytes are stored, 56 dropped; "
            "dropped by rule: 6 records, 48 bytes in 2 places (debug); "
            "dropped by rule: 1 record, 8 bytes (rate)"
        ),
    ) == await completeness(loaded)


async def test_what_was_dropped_once_and_shipped_once_is_there(loaded: Loaded) -> None:
    """After a crash a rate rule may let other records through: stored bytes win over a tile."""
    a = Stream("a")
    loaded.load(
        a.row(1, LINES),
        a.drop(1, 40, 120, 10, "rate"),
        a.lines(1, LINES, end=80),
        a.lines(1, LINES, start=100, end=240),
    )
    pieces = await loaded.pieces()
    assert [Bytes(LINES[:80]), Dropped(f"{a.name}-1", 80, 100, 0, "rate"), Bytes(LINES[100:])] == [
        piece for piece in pieces if not isinstance(piece, Hole)
    ]
    assert not [piece for piece in pieces if isinstance(piece, Hole)]


@pytest.mark.parametrize("field", ["afterimage.from", "afterimage.to", "afterimage.count"])
async def test_a_tile_that_makes_no_sense_declares_nothing(loaded: Loaded, field: str) -> None:
    """Vitals of a hostile instance: what is missing stays missing, and reading goes on."""
    a = Stream("a")
    action, document = a.drop(1, 40, 80, 5, "debug").splitlines()
    odd = json.loads(document) | {field: -3 if field != "afterimage.count" else "many"}
    loaded.load(a.row(1, LINES), a.lines(1, LINES, end=40), a.lines(1, LINES, start=80))
    loaded.load(action + b"\n" + json.dumps(odd).encode() + b"\n")
    data, holes = await loaded.read()
    assert LINES[:40] + LINES[80:] == data
    assert (
        [] == holes
        if field == "afterimage.count"
        else [(40, 80)] == [(hole.start, hole.end) for hole in holes]
    )


async def test_masked_bytes_come_back_masked_and_are_named(loaded: Loaded) -> None:
    """The id is of the masked bytes: they verify, and the pieces say how many there are."""
    a = Stream("a")
    lines = [b"user=ann token=*****\n", b"plain\n", b"key=***\n"]
    masked = Records(
        data=b"".join(lines), start=0, lengths=[len(line) for line in lines],
        masked={0: [(15, 5)], 2: [(4, 2), (6, 1)]},
    )  # fmt: skip
    loaded.load(a.row(1, lines[0]), a.records(1, masked))
    assert [Bytes(b"".join(lines)), Masked(2, 8)] == await loaded.pieces()
    assert (
        Verdict.COMPLETE,
        "complete to byte 35; masked before shipping: 8 bytes in 2 records",
    ) == await completeness(loaded)


async def test_a_mask_contradicts_nothing(loaded: Loaded) -> None:
    """One stream masked a secret, another did not: one file, and the mask stays."""
    a, b = Stream("a"), Stream("b")
    hidden = b"token=*****\nend\n"
    masked = Records(data=hidden, start=0, lengths=[12, 4], masked={0: [(6, 5)]})
    loaded.load(a.row(1, hidden), a.records(1, masked))
    loaded.load(b.row(1, hidden, at=LATER), b.lines(1, b"token=hello\nend\n"))
    assert (hidden, []) == await loaded.read()


@pytest.mark.parametrize(
    ("forged", "offset"), [(b"token=ember\nend\n", 6), (b"taken=*****\nend\n", 1)]
)
async def test_a_claim_of_masking_covers_nothing_but_the_mask(
    loaded: Loaded, forged: bytes, offset: int
) -> None:
    """Other bytes where a mask is claimed, or beside one, are a contradiction."""
    a, b = Stream("a"), Stream("b")
    plain = b"token=hello\nend\n"
    claimed = Records(data=forged, start=0, lengths=[12, 4], masked={0: [(6, 5)]})
    loaded.load(a.row(1, plain), a.lines(1, plain))
    loaded.load(b.row(1, plain, at=LATER), b.records(1, claimed))
    with pytest.raises(IntegrityError, match=f"different bytes at offset {offset}"):
        await loaded.read()


async def test_groups_that_were_cut_differently_are_folded(loaded: Loaded) -> None:
    """A stack trace sent whole, and in two parts after a crash: its bytes once."""
    a = Stream("a")
    trace = b"Traceback (most recent call last):\n  File x\nValueError: no\n"
    data = b"before\n" + trace + b"after\n"
    cut = 7 + trace.index(b"ValueError")
    whole = Records.of([b"before\n", trace, b"after\n"], 0)
    parts = Records.of([data[7:cut], data[cut:]], 7)
    loaded.load(a.row(1, data), a.records(1, parts), a.records(1, whole))
    assert (data, []) == await loaded.read()


async def test_segments_of_a_spool_follow_each_other_by_number(loaded: Loaded) -> None:
    """Whatever the clock said meanwhile; the spool's name is what it is asked by."""
    a = Stream("a")
    parts = [b'{"time":"1","tag":"a"}\n', b'{"time":"2"}\n', b'{"time":"3"}\n']
    for number, (part, at) in enumerate(zip(parts, (LATER, LATER, "2026-01-03T09:00:00.000000000Z"),
                                            strict=True), start=1):  # fmt: skip
        loaded.load(
            a.row(number, part, at=at, inode=number, kind="forward", name=SOCKET),
            a.lines(number, part, name=SOCKET),
        )
    assert (b"".join(parts), []) == await loaded.read(SOCKET)
    assert (
        Verdict.COMPLETE,
        "complete to byte 49 in 3 spool segments",
    ) == await completeness(loaded)


async def test_wrapped_lines_come_back_with_their_wrapping(loaded: Loaded) -> None:
    """`message` holds the application's words, `raw` gives the file's bytes."""
    a = Stream("a")
    record = b'{"log":"a \\u003cb\\u003e \\"c\\"\\n","stream":"stderr"}\n'
    shaped = Shaped(
        message='a <b> "c"', before='{"log":"', after='\\n","stream":"stderr"}\n', escape="go"
    )
    loaded.load(
        a.row(1, record, kind="docker"),
        a.records(1, Records.of([record], 0), shape=lambda _: shaped),
    )
    (document,) = [one async for page in loaded.store.source_records(a.name, 1) for one in page]
    assert 'a <b> "c"' == document.message
    assert (record, []) == await loaded.read()


def entry(number: int, message: str = "m") -> bytes:
    """The canonical line of a journal entry."""
    values = [b"MESSAGE=" + message.encode(), b"PRIORITY=6"]
    return journal_entries.build_line(
        values, cursor=f"s=0;i={number:x}", sequence=number, realtime_micros=1767441600000000
    )


def journal(stream: Stream, *numbers: int, text: str = "m", source: int = 1) -> bytes:
    """Records of those entries."""
    lines = [entry(number, text) for number in numbers]
    return stream.records(
        source,
        Records(
            data=b"".join(lines), start=numbers[0], lengths=[len(line) for line in lines],
            offsets=numbers,
        ),
        name=JOURNAL, shape=journal_entries.shape,
    )  # fmt: skip


def journal_row(stream: Stream, first: int, source: int = 1) -> bytes:
    """The row of a journal that is read from number `first` on."""
    return stream.row(source, b"s=0", from_offset=first, kind="journald", name=JOURNAL, inode=0)


async def test_a_journal_is_laid_out_by_number(loaded: Loaded) -> None:
    """Canonical lines in order, each once; the shipper's own entries are a declared drop."""
    a, b = Stream("a"), Stream("b")
    loaded.load(
        journal_row(a, 5),
        a.drop(1, 5, 7, 2, "the shipper's own entries", name=JOURNAL),
        journal(a, 8, 9),
        journal(a, 7),
        a.drop(1, 10, 11, 1, "the shipper's own entries", name=JOURNAL),
    )
    loaded.load(journal_row(b, 7), journal(b, 7, 8, 9))
    pieces = await loaded.pieces(JOURNAL)
    assert entry(7) + entry(8) + entry(9) == b"".join(
        piece.data for piece in pieces if isinstance(piece, Bytes)
    )
    assert [
        Dropped(f"{a.name}-1", 5, 7, 2, "the shipper's own entries", "entries"),
        Dropped(f"{a.name}-1", 10, 11, 1, "the shipper's own entries", "entries"),
        Numbered(3, 7, 10),
    ] == [piece for piece in pieces if not isinstance(piece, Bytes)]
    assert (
        Verdict.NUMBERED,
        (
            "3 entries, numbers 7 to 10; "
            "dropped by rule: 3 records in 2 places (the shipper's own entries)"
        ),
    ) == await completeness(loaded)


async def test_numbers_that_skip_are_holes_that_need_be_no_loss(loaded: Loaded) -> None:
    """What the shipper declared, what nobody did, and what it read and never had settled."""
    a = Stream("a")
    loaded.load(
        journal_row(a, 5),
        journal(a, 5),
        a.gap(1, 6, 8, "removed from the journal before they were read"),
        journal(a, 8),
        journal(a, 11),
        a.heartbeat(1, read=15, acked=12, size=15),
    )
    pieces = await loaded.pieces(JOURNAL)
    holes = [piece for piece in pieces if isinstance(piece, Hole)]
    assert [(6, 8), (9, 11), (12, 15)] == [(hole.start, hole.end) for hole in holes]
    assert {"entries"} == {hole.unit for hole in holes}
    assert "removed from the journal" in holes[0].reason
    assert "not stored" in holes[2].reason
    verdict, words = await completeness(loaded)
    assert Verdict.MISSING == verdict
    assert "numbers 6 to 7" in words
    assert words.endswith("A number that is not there need be no loss")


async def test_two_entries_of_one_number_are_an_integrity_error(loaded: Loaded) -> None:
    """One journal by every sign, and yet two contents."""
    a, b = Stream("a"), Stream("b")
    loaded.load(journal_row(a, 5), journal(a, 5))
    loaded.load(journal_row(b, 5), journal(b, 5, text="another"))
    with pytest.raises(IntegrityError, match="different bytes at number 5"):
        await loaded.read(JOURNAL)


async def test_two_numberings_of_a_journal_follow_each_other(loaded: Loaded) -> None:
    """Journald began anew: the second numbering is a source of its own, and no contradiction."""
    a = Stream("a")
    second = a.row(2, b"s=1", at=LATER, from_offset=1, kind="journald", name=JOURNAL, inode=0)
    loaded.load(journal_row(a, 5), journal(a, 5, 6), second, journal(a, 1, text="b", source=2))
    assert (entry(5) + entry(6) + entry(1, "b"), []) == await loaded.read(JOURNAL)


async def test_records_and_rows_of_an_older_shipper_are_files(loaded: Loaded) -> None:
    """A source document without a kind: as it always was."""
    a = Stream("a")
    action, document = a.row(1, LINES).splitlines()
    fields = json.loads(document)
    del fields["afterimage.kind"]
    loaded.load(action + b"\n" + json.dumps(fields).encode() + b"\n", a.lines(1, LINES))
    assert (LINES, []) == await loaded.read(PATH)
