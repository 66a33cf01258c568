"""shipper.wire.framing: records tile a file, however it was cut into reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.framing import RECORD_LIMIT_BYTES, frame, frame_chunk, slice_line
from shipper.wire.records import Records


def frame_with_cuts(chunk: bytes, offset: int, cuts: list[int]) -> list[bytes]:
    """The records of a chunk, one by one."""
    framed = frame_chunk(chunk, offset, cuts)
    if framed is None:
        return []
    return Records(data=framed.data, start=offset, lengths=framed.lengths).split()


pieces = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"\n", b"\r\n", b"\r", b"\n\n", b"\x00", b"\x1b[31m", "é€😀".encode(), b"\xff"]
    ),
)
contents = st.lists(pieces, max_size=40).map(b"".join)


@given(contents, st.integers(4, 20))
def test_records_tile_the_framed_part(content: bytes, limit: int) -> None:
    """Joined, the records are the chunk's beginning; what is left has no newline."""
    records = frame(content, limit=limit)
    framed = b"".join(records)
    assert content[: len(framed)] == framed
    assert b"\n" not in content[len(framed) :]
    assert all(0 < len(record) <= limit for record in records)


@given(contents, st.integers(4, 20))
def test_a_final_chunk_is_framed_whole(content: bytes, limit: int) -> None:
    """Nothing is left over where nothing follows."""
    assert content == b"".join(frame(content, final=True, limit=limit))


@given(contents, st.lists(st.integers(1, 15), min_size=1), st.integers(4, 20))
def test_framing_does_not_depend_on_how_bytes_were_cut_into_reads(
    content: bytes, sizes: list[int], limit: int
) -> None:
    """Reading on from the last record's end, in reads of any size, gives the same records."""
    whole = frame(content, limit=limit)
    offset, end, turn = 0, 0, 0
    records: list[bytes] = []
    while end < len(content):
        end = min(len(content), end + sizes[turn % len(sizes)])
        turn += 1
        found = frame(content[offset:end], limit=limit)
        records += found
        offset += sum(map(len, found))
    assert whole == records


@given(contents, st.data())
def test_a_cut_is_a_record_boundary_wherever_reading_begins(
    content: bytes, data: st.DataObject
) -> None:
    """A partial line that was sent is the same record when it is read again with its rest."""
    cuts = sorted(set(data.draw(st.lists(st.integers(1, max(1, len(content))), max_size=4))))
    whole = frame_with_cuts(content, 100, [100 + cut for cut in cuts])
    ends = [sum(map(len, whole[: count + 1])) for count in range(len(whole))]
    assert content[: ends[-1] if ends else 0] == b"".join(whole)
    framed_end = len(b"".join(whole))
    assert {cut for cut in cuts if cut <= len(content)} <= {*ends} | {
        cut for cut in cuts if cut > framed_end
    }
    for count, end in enumerate(ends):
        again = frame_with_cuts(content[end:], 100 + end, [100 + cut for cut in cuts])
        assert whole[count + 1 :] == again


def test_a_cut_beyond_the_chunk_does_not_hold_back_whole_lines() -> None:
    """A cut that is not reached yet changes nothing."""
    assert [b"one\n"] == frame_with_cuts(b"one\ntw", 0, [50])
    assert [b"one\n", b"tw"] == frame_with_cuts(b"one\ntwo", 0, [6])


def test_a_line_of_exactly_the_limit_is_one_record() -> None:
    """The limit counts the newline."""
    line = b"x" * (RECORD_LIMIT_BYTES - 1) + b"\n"
    assert [line] == frame(line)


def test_a_slice_never_begins_inside_a_character() -> None:
    """A long line of text stays text in each of its slices."""
    line = "é".encode() * 10
    slices = slice_line(line, 5)
    assert line == b"".join(slices)
    assert all(piece.decode() for piece in slices)


def test_a_long_line_without_an_end_is_sliced_as_it_will_be_with_its_end() -> None:
    """A slice that was sent early is the same record later."""
    line = b"y" * (RECORD_LIMIT_BYTES + 10)
    assert [line[:RECORD_LIMIT_BYTES]] == frame(line)
    assert [line[:RECORD_LIMIT_BYTES], b"y" * 10 + b"\n"] == frame(line + b"\n")
