"""MessagePack, as far as the Forward protocol needs it: a strict, bounded decoder; a tiny encoder.

In: bytes, and where a value begins. Out: the value and where it ends; or that more bytes are
needed, or that these are none. It must never raise anything else, whatever the bytes are, and never
build more values than it was allowed to.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

DEPTH_LIMIT: Final = 64
"""Arrays and maps within each other; OpenSearch dies of 1,100."""
VALUES_LIMIT: Final = 65_536
"""Values that one `decode` builds: a byte of input may cost a hundred of memory."""

_NUMBERS: Final = {
    0xCA + place: struct.Struct(f">{letter}") for place, letter in enumerate("fdBHIQbhiq")
}
"""By first byte."""
_NO_LIMIT: Final = 1 << 62
_FIXEXT_BYTES: Final = (1, 2, 4, 8, 16)

_NIL, _UNUSED, _TRUE = 0xC0, 0xC1, 0xC3
_BIN8, _EXT8, _FLOAT_32, _FLOAT_64, _UINT8 = 0xC4, 0xC7, 0xCA, 0xCB, 0xCC
_FIXEXT1, _STR8, _ARRAY16, _MAP16, _NEGATIVE = 0xD4, 0xD9, 0xDC, 0xDE, 0xE0
_FIXMAP, _FIXARRAY, _FIXSTR = 0x80, 0x90, 0xA0
_FIXSTR_LIMIT: Final = 32
_FIXSTR_BODY: Final = _FIXSTR - 1
"""A short text ends its first byte, less this, after where it begins."""
_FIXSTR_BODY_MIN: Final = 1


class MsgpackError(ValueError):
    """No value could be had of these bytes."""


class IncompleteError(MsgpackError):
    """The value goes on where the bytes end."""


class DamagedError(MsgpackError):
    """No further bytes make a value of these, or none within the limits."""


@dataclass(frozen=True, slots=True)
class Ext:
    """A value of an application's own type."""

    type: int
    data: bytes


class Frame(NamedTuple):
    """A header: what kind of value begins here."""

    kind: str
    """`array`, `map`, `str`, `bin`, `ext` or `scalar`."""
    body: int
    """Where its elements or bytes begin."""
    size: int
    """How many elements (of a map: pairs), or bytes; of a scalar with its type byte: its bytes."""


def read_frame(data: bytes | bytearray, at: int) -> Frame:
    """The header of the value at `at`; its body need not be there yet.

    Raises:
        IncompleteError: the header itself is cut.
        DamagedError: no value begins so.
    """
    try:
        kind, head, size = _FRAMES[data[at]]
    except IndexError:
        raise IncompleteError("a value is cut") from None
    if head:
        raw = data[at + 1 : at + 1 + head]
        if len(raw) < head:
            raise IncompleteError("a header is cut")
        size = int.from_bytes(raw, "big")
    if kind == "unused":
        raise DamagedError("the byte 0xc1 begins no value")
    if kind == "ext":
        size += 1  # its type
    return Frame(kind, at + 1 + head, size)


def _frames() -> tuple[tuple[str, int, int], ...]:
    """By first byte: kind, bytes of the length, length where the first byte says it."""
    table = [("scalar", 0, 0)] * 256
    for low in range(16):
        table[_FIXMAP + low] = ("map", 0, low)
        table[_FIXARRAY + low] = ("array", 0, low)
    for low in range(32):
        table[_FIXSTR + low] = ("str", 0, low)
    table[_UNUSED] = ("unused", 0, 0)
    for step in range(3):
        table[_BIN8 + step] = ("bin", 1 << step, 0)
        table[_EXT8 + step] = ("ext", 1 << step, 0)
        table[_STR8 + step] = ("str", 1 << step, 0)
    for step in range(2):
        table[_ARRAY16 + step] = ("array", 2 << step, 0)
        table[_MAP16 + step] = ("map", 2 << step, 0)
        table[_FLOAT_32 + step] = ("scalar", 0, 4 << step)
    for step in range(4):
        table[_UINT8 + step] = table[_UINT8 + 4 + step] = ("scalar", 0, 1 << step)
    for step, size in enumerate(_FIXEXT_BYTES):
        table[_FIXEXT1 + step] = ("ext", 0, size)
    return tuple(table)


_FRAMES: Final = _frames()
_SPECIAL_KINDS: Final = frozenset(("unused", "ext"))


class Scanner:
    """Finds where a value ends, without building it and without looking at a byte twice."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.restart(0)

    def restart(self, at: int) -> None:
        """Look for the end of the value that begins at `at`."""
        self._start = at
        self._at = at
        self._missing = 1

    def find_end(self, data: bytes | bytearray) -> int:
        """Where it ends, given all bytes so far; call again with more after IncompleteError.

        Raises:
            IncompleteError: it goes on.
            DamagedError: it is none, or above the limit.
        """
        at, missing = self._at, self._missing
        size = len(data)
        limit = self._start + self._limit_bytes
        try:
            while missing:
                kind, head, length = _FRAMES[data[at]]
                body = at + 1
                if head or kind in _SPECIAL_KINDS:
                    _, body, length = read_frame(data, at)
                more = missing - 1
                if kind == "array":
                    more += length
                elif kind == "map":
                    more += 2 * length
                else:
                    body += length
                # every value that is missing takes a byte at least
                if body + more > limit:
                    raise DamagedError(f"a message is above {self._limit_bytes} bytes")
                if body > size:
                    raise IncompleteError("a value is cut")
                at, missing = body, more
        except IndexError:
            raise IncompleteError("a value is cut") from None
        finally:
            self._at, self._missing = at, missing
        return at


def find_end(data: bytes, at: int) -> int:
    """Where the value at `at` ends; the same errors as `Scanner.find_end`, without a limit."""
    scanner = Scanner(_NO_LIMIT)
    scanner.restart(at)
    return scanner.find_end(data)


def decode(
    data: bytes,
    at: int = 0,
    *,
    depth_limit: int = DEPTH_LIMIT,
    values_limit: int = VALUES_LIMIT,
) -> tuple[Any, int]:
    """The value at `at`, and where it ends. A text that is no UTF-8 comes as its bytes.

    Raises:
        IncompleteError: it goes on where the bytes end.
        DamagedError: it is none; or too deep, or too many values; or a map has a key twice, or one
            that is neither text nor bytes.
    """
    try:
        return _read(data, at, depth_limit, [values_limit])
    except (IndexError, struct.error):
        raise IncompleteError("a value is cut") from None


def _read(data: bytes, at: int, depth: int, left: list[int]) -> tuple[Any, int]:
    first = data[at]
    at += 1
    if first < _FIXMAP:
        return first, at
    if first >= _NEGATIVE:
        return first - 256, at
    if first >= _NIL:
        return _read_typed(data, at, first, depth, left)
    if first >= _FIXSTR:
        return _read_text(data, at, at + first - _FIXSTR)
    if first >= _FIXARRAY:
        return _read_array(data, at, first - _FIXARRAY, depth, left)
    return _read_map(data, at, first - _FIXMAP, depth, left)


def _read_typed(data: bytes, at: int, first: int, depth: int, left: list[int]) -> tuple[Any, int]:
    """A value whose first byte is its type."""
    number = _NUMBERS.get(first)
    if number is not None:
        return number.unpack_from(data, at)[0], at + number.size
    kind, at, size = read_frame(data, at - 1)
    if kind == "str":
        return _read_text(data, at, at + size)
    if kind == "array":
        return _read_array(data, at, size, depth, left)
    if kind == "map":
        return _read_map(data, at, size, depth, left)
    if kind == "scalar":
        return (None if first == _NIL else first == _TRUE), at
    end = at + size
    if end > len(data):
        raise IncompleteError("bytes are cut")
    raw = data[at:end]
    return raw if kind == "bin" else Ext(raw[0] - ((raw[0] & 0x80) << 1), raw[1:]), end


def _read_text(data: bytes, at: int, end: int) -> tuple[str | bytes, int]:
    if end > len(data):
        raise IncompleteError("a text is cut")
    return _to_text(data[at:end]), end


def _read_array(
    data: bytes, at: int, size: int, depth: int, left: list[int]
) -> tuple[list[Any], int]:
    _enter(size, depth, left)
    values = []
    for _ in range(size):
        value, at = _read(data, at, depth - 1, left)
        values.append(value)
    return values, at


def _read_map(
    data: bytes, at: int, size: int, depth: int, left: list[int]
) -> tuple[dict[str | bytes, Any], int]:
    """A map; short texts, which most keys and many values are, are read here and not by a call."""
    _enter(2 * size, depth, left)
    limit = len(data)
    values: dict[str | bytes, Any] = {}
    for _ in range(size):
        end = at + data[at] - _FIXSTR_BODY
        if _FIXSTR_BODY_MIN <= end - at <= _FIXSTR_LIMIT and end <= limit:
            key = _to_text(data[at + 1 : end])
        else:
            key, end = _read(data, at, 1, left)
            if not isinstance(key, str | bytes):
                raise DamagedError("a map's key is neither text nor bytes")
        first = data[end]
        if first == _STR8:
            at = end + 2 + data[end + 1]
            if at > limit:
                raise IncompleteError("a text is cut")
            values[key] = _to_text(data[end + 2 : at])
        elif first < _FIXMAP:
            at = end + 1
            values[key] = first
        else:
            values[key], at = _read(data, end, depth - 1, left)
    if len(values) < size:
        raise DamagedError("a map has a key twice")
    return values, at


def _to_text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _enter(size: int, depth: int, left: list[int]) -> None:
    left[0] -= size
    if depth <= 0:
        raise DamagedError("values are too deep within each other")
    if left[0] < 0:
        raise DamagedError("too many values")


def encode(value: object) -> bytes:
    """The bytes of what handshakes and acknowledgements are made of.

    That is: truth values, texts, bytes, and up to 15 of them in an array or map.

    Raises:
        TypeError: another type.
    """
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, str):
        raw = value.encode()
        if len(raw) < _FIXSTR_LIMIT:
            return bytes((_FIXSTR + len(raw),)) + raw
        return b"\xdb" + len(raw).to_bytes(4, "big") + raw
    if isinstance(value, bytes):
        return b"\xc6" + len(value).to_bytes(4, "big") + value
    if isinstance(value, dict):
        return bytes((_FIXMAP + len(value),)) + b"".join(
            encode(part) for pair in value.items() for part in pair
        )
    if isinstance(value, list):
        return bytes((_FIXARRAY + len(value),)) + b"".join(map(encode, value))
    raise TypeError(f"no handshake has a {type(value).__name__}")
