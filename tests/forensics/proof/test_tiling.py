"""Records laid side by side: every byte once, every hole and contradiction named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.proof.tiling import Contradiction, Missing, Part, Tile, Tiling


def lay(records: list[tuple[int, bytes]], end: int = 0) -> list[Part]:
    """All that records give, in order, and of the end."""
    tiling = Tiling()
    found = [part for offset, data in records for part in tiling.add(offset, data)]
    return found + tiling.finish(end)


def test_records_side_by_side_are_tiles() -> None:
    """Nothing missing, nothing said of it."""
    assert [Tile(0, b"ab"), Tile(2, b"c")] == lay([(0, b"ab"), (2, b"c")], end=3)


def test_a_hole_is_named_before_inside_and_after() -> None:
    """Also what is missing at the start and up to a known end."""
    expected = [Missing(0, 1), Tile(1, b"a"), Missing(2, 4), Tile(4, b"b"), Missing(5, 9)]
    assert expected == lay([(1, b"a"), (4, b"b")], end=9)


def test_an_overlap_of_the_same_bytes_is_folded() -> None:
    """A record within another, one that reaches beyond, the same one twice."""
    records = [(0, b"abcd"), (0, b"abcd"), (1, b"bc"), (2, b"cdef"), (4, b"ef")]
    assert [Tile(0, b"abcd"), Tile(4, b"ef")] == lay(records, end=6)


def test_a_contradiction_is_named_at_its_byte() -> None:
    """Two records that hold different bytes: the place of the first difference, and no choice."""
    assert [Tile(0, b"abcd"), Contradiction(2)] == lay([(0, b"abcd"), (1, b"bX")])


def test_a_record_after_a_hole_overlaps_only_what_is_there() -> None:
    """What was kept before the hole is not compared with what comes after it."""
    records = [(0, b"ab"), (5, b"xyz"), (6, b"yz!")]
    assert [Tile(0, b"ab"), Missing(2, 5), Tile(5, b"xyz"), Tile(8, b"!")] == lay(records)


def test_records_out_of_order_are_refused() -> None:
    """Folding needs order; a caller that breaks it is told."""
    tiling = Tiling()
    tiling.add(5, b"x")
    with pytest.raises(ValueError, match="not in order"):
        tiling.add(4, b"y")


@given(
    st.binary(max_size=200),
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60)), max_size=30),
)
def test_any_cut_of_a_file_gives_back_what_was_covered(
    content: bytes, cuts: list[tuple[int, int]]
) -> None:
    """Whatever ranges are stored, tiles and holes together tile the file exactly."""
    records = sorted(
        (start, content[start : start + length]) for start, length in cuts if start < len(content)
    )
    covered = {at for start, data in records for at in range(start, start + len(data))}
    position = 0
    for part in lay(records, end=len(content)):
        assert not isinstance(part, Contradiction)
        assert position == part.start
        if isinstance(part, Tile):
            position += len(part.data)
            assert content[part.start : position] == part.data
            assert covered >= set(range(part.start, position))
        else:
            position = part.end
            assert not covered & set(range(part.start, position))
    assert len(content) == position


@given(st.binary(min_size=50, max_size=200), st.integers(0, 49), st.integers(1, 255))
def test_a_changed_byte_never_passes_as_the_same(content: bytes, at: int, change: int) -> None:
    """Any difference within an overlap is a contradiction at that byte."""
    other = bytearray(content[:50])
    other[at] ^= change
    assert [Tile(0, content), Contradiction(at)] == lay([(0, content), (0, bytes(other))])
