"""shipper.wire.state: what a shipper must not forget, whatever became of its bytes."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.wire import state
from shipper.wire.state import (
    Checkpoint,
    Closed,
    Cut,
    DeadLetter,
    Entry,
    Progress,
    Run,
    SourceRow,
    Stream,
    fingerprint,
)

AT = "2026-01-03T14:05:12.000000000Z"
STREAM = Stream(stream="0123456789abcdef0123", instance_id="i-1", machine_id="m-1", created=AT)
ROW = SourceRow(
    source=0,
    path="/var/log/caf\udce9.log",
    device=64768,
    inode=12,
    fingerprint=fingerprint(b"first line\n"),
    fingerprint_bytes=11,
    day="2026-01-03",
    from_offset=0,
    at=AT,
)
ENTRIES: list[Entry] = [
    Run(run=1, at=AT),
    ROW,
    replace(ROW, source=1, inode=13),
    Cut(source=0, offset=40),
    replace(ROW, day="2026-01-04", from_offset=90),
    Cut(source=0, offset=20),
    Closed(source=1, end=7),
    Run(run=2, at=AT),
]
JOURNAL = state.format_journal_head(STREAM.stream) + b"".join(
    state.format_entry(entry) for entry in ENTRIES
)
CHECKPOINT = Checkpoint(
    stream=STREAM.stream,
    saved_at=AT,
    sources={0: Progress(acked=90, size=120, tail="ab", dead_lettered=3, published_rows=1)},
    closed_acked=7,
)


def test_a_journal_says_what_was_written() -> None:
    """Rows in order, cuts ascending, closed sources, starts, the next number."""
    found = state.parse_journal(JOURNAL)
    assert {0: [ENTRIES[1], ENTRIES[4]], 1: [ENTRIES[2]]} == found.rows
    assert {0: [20, 40]} == found.cuts
    assert {1: 7} == found.closed
    assert (2, 2, len(JOURNAL)) == (found.runs, found.next_source, found.valid_bytes)


@given(st.integers(1, len(JOURNAL) - 1))
def test_a_torn_journal_keeps_its_whole_lines(length: int) -> None:
    """Cut anywhere: the lines before the cut hold, the torn one goes, its number is not reused."""
    torn = JOURNAL[:length]
    if b"\n" not in torn:
        with pytest.raises(ValueError, match="no whole line"):
            state.parse_journal(torn)
        return
    found = state.parse_journal(torn)
    assert torn.rindex(b"\n") + 1 == found.valid_bytes
    whole = state.parse_journal(torn[: found.valid_bytes])
    assert whole.rows == found.rows
    if found.valid_bytes < length:
        assert found.next_source == whole.next_source + 1


@given(st.integers(0, len(JOURNAL) - 1), st.integers(1, 255))
def test_an_altered_journal_is_refused_or_gives_no_number_twice(place: int, flip: int) -> None:
    """One byte changed anywhere: never taken for what it does not say."""
    altered = bytearray(JOURNAL)
    altered[place] ^= flip
    try:
        found = state.parse_journal(bytes(altered))
    except ValueError:
        return
    assert found.next_source >= 2
    assert place == len(JOURNAL) - 1  # only the last newline: then that line counts as torn


@pytest.mark.parametrize(
    "line",
    [
        {"type": "unknown"},
        {"type": "cut", "source": 0},
        {"type": "cut", "source": -1, "offset": 1},
        {"type": "cut", "source": True, "offset": 1},
        {"type": "cut", "source": "0", "offset": 1},
    ],
)
def test_a_line_with_a_good_crc_and_a_wrong_shape_is_refused(line: dict[str, object]) -> None:
    """A later version's, or a bug's."""
    head = state.format_journal_head(STREAM.stream)
    with pytest.raises(ValueError, match=r"unknown type|offset|below zero|not int"):
        state.parse_journal(head + state.format_line(line))


def test_a_journal_of_another_version_is_refused() -> None:
    """It may mean something else by the same words."""
    head = state.format_line({"type": "journal", "version": 2, "stream": STREAM.stream})
    with pytest.raises(ValueError, match="head of this version"):
        state.parse_journal(head)


def test_stream_and_checkpoint_survive_their_bytes() -> None:
    """Formatted and parsed, they are equal."""
    assert STREAM == state.parse_stream(state.format_stream(STREAM))
    assert CHECKPOINT == state.parse_checkpoint(state.format_checkpoint(CHECKPOINT))


@given(st.integers(0, 400), st.integers(1, 255))
def test_an_altered_checkpoint_is_refused(place: int, flip: int) -> None:
    """Then sources are read again; never skipped."""
    altered = bytearray(state.format_checkpoint(CHECKPOINT))
    altered[place % len(altered)] ^= flip
    try:
        found = state.parse_checkpoint(bytes(altered))
    except ValueError:
        return
    assert found == CHECKPOINT  # only the newline at the end


@given(st.binary(max_size=200))
def test_no_bytes_make_parsing_fail_otherwise(data: bytes) -> None:
    """Whatever is on the disk: a value or a ValueError."""
    for parse in (state.parse_stream, state.parse_checkpoint, state.parse_dead_letter):
        with contextlib.suppress(ValueError):
            parse(data)
    with pytest.raises(ValueError):  # noqa: PT011 - any, and nothing else
        state.parse_journal(data)


@given(st.binary(max_size=100))
def test_a_dead_letter_keeps_its_item(item: bytes) -> None:
    """Bytes of any kind, in one line of JSON."""
    letter = DeadLetter(at=AT, reason="400 x: \n", index="i", id="d", item=item)
    line = state.format_dead_letter(letter)
    assert 1 == line.count(b"\n")
    assert letter == state.parse_dead_letter(line)
