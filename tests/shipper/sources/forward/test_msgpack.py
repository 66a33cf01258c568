"""The MessagePack decoder: the same values as the reference, and one error for everything else."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.sources.forward.msgpack import (
    DamagedError,
    Ext,
    IncompleteError,
    MsgpackError,
    Scanner,
    decode,
    encode,
    find_end,
)

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
    | st.builds(Ext, st.integers(0, 127), st.binary(max_size=40))
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text() | st.binary(), inner, max_size=20)
    ),
    max_leaves=40,
)


def _pack(value: Any) -> bytes:
    def own_types(other: Any) -> msgpack.ExtType:
        return msgpack.ExtType(other.type, other.data)

    packed: bytes = msgpack.packb(value, default=own_types)
    return packed


@given(value=_VALUES)
def test_what_the_reference_packs_comes_back(value: Any) -> None:
    """Every type, every length of header."""
    data = _pack(value)
    assert (value, len(data)) == decode(data)
    assert len(data) == find_end(data, 0)


@pytest.mark.parametrize("size", [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536])
def test_every_header_is_read(size: int) -> None:
    """One, two and four bytes of length, for each kind of value that has one."""
    for value in (
        "x" * size,
        b"x" * size,
        [None] * min(size, 65_000),
        {f"{number}": number for number in range(min(size, 20_000))},
        Ext(5, b"x" * size),
    ):
        data = _pack(value)
        assert (value, len(data)) == decode(data)


def test_numbers_keep_their_signs_and_kinds() -> None:
    """Negative own types too, which MessagePack reserves for itself."""
    assert (-1.5, 5) == decode(msgpack.packb(-1.5, use_single_float=True))
    assert (Ext(-1, b"1234"), 6) == decode(b"\xd6\xff1234")
    assert math.isnan(decode(_pack(math.nan))[0])


@pytest.mark.slow
@given(value=_VALUES, data=st.data())
def test_a_cut_value_is_incomplete_wherever_it_is_cut(value: Any, data: st.DataObject) -> None:
    """Never damaged, since the rest may come; and the scanner goes on where it stopped."""
    whole = _pack(value)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(IncompleteError):
        decode(whole[:cut])
    scanner = Scanner(len(whole))
    with pytest.raises(IncompleteError):
        scanner.find_end(whole[:cut])
    assert len(whole) == scanner.find_end(whole)


@given(data=st.binary(max_size=200))
def test_hostile_bytes_give_a_value_or_the_named_error(data: bytes) -> None:
    """Nothing else is ever raised, and no byte beyond the end is claimed."""
    ends: list[int] = []
    with suppress(MsgpackError):
        ends.append(find_end(data, 0))
    with suppress(MsgpackError):
        ends.append(decode(data)[1])
    assert all(0 < end <= len(data) for end in ends)
    assert 1 >= len(set(ends))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x91" * 100_000 + b"\xc0", "too deep"),
        (b"\x81\xa1a" * 100_000 + b"\xc0", "too deep"),
        (b"\xdd\xff\xff\xff\xff", "too many values"),
        (b"\xdc\xff\xff" + b"\xdc\xff\xff" * 3, "too many values"),
        (b"\x82\xa1a\x01\xa1a\x02", "twice"),
        (b"\x81\x90\x01", "neither text nor bytes"),
        (b"\x81\x01\x01", "neither text nor bytes"),
        (b"\xc1", "0xc1"),
    ],
)
def test_what_costs_more_than_it_should_is_damaged(data: bytes, why: str) -> None:
    """Depth, number of values and keys are judged before memory is taken."""
    with pytest.raises(DamagedError, match=why):
        decode(data)


@pytest.mark.parametrize("data", [b"\xdb\x00\x10\x00\x00", b"\xdd\x00\x10\x00\x00", b"\xc1"])
def test_a_message_above_the_limit_is_refused_by_its_header(data: bytes) -> None:
    """Not only after a mebibyte of it was kept."""
    with pytest.raises(DamagedError):
        Scanner(1000).find_end(data)


def test_a_text_that_is_no_utf8_comes_as_bytes() -> None:
    """Fluent Bit sends what stood in a file as text, whatever it is."""
    assert (b"\xff\xfe", 3) == decode(b"\xa2\xff\xfe")


@pytest.mark.parametrize(
    "value", [True, False, "", "x" * 31, "x" * 32, b"", b"\xff" * 300, ["a", {"b": [b"c", True]}]]
)
def test_what_is_encoded_the_reference_reads(value: Any) -> None:
    """Handshakes and acknowledgements are read by other programs' decoders."""
    assert value == msgpack.unpackb(encode(value))


def test_what_no_handshake_has_is_not_encoded() -> None:
    """A number in a reply is a mistake of this program."""
    with pytest.raises(TypeError, match="int"):
        encode([1])
