"""JSON values one after the other in a stream: the Forward protocol's mode for typing by hand.

In: bytes as they come. Out: each whole value's bytes. Pure. It must never look at a byte twice, nor
go deeper than a limit: Python's parser would run out of stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_SIGNS: Final = re.compile(rb'[\[\]{}"\\]')
_OPENING: Final = b"[{"
_BETWEEN: Final = b" \t\r\n"


class JsonError(ValueError):
    """These bytes are no objects or arrays, or too deep or too long."""


class JsonSplitter:
    """Cuts a stream of objects and arrays where each of them ends."""

    def __init__(self, *, limit_bytes: int, depth_limit: int) -> None:
        self._limit_bytes = limit_bytes
        self._depth_limit = depth_limit
        self._buffer = bytearray()
        self._at = 0
        self._depth = 0
        self._is_text = False

    @property
    def held_bytes(self) -> int:
        """How many bytes wait for the rest of their value."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Values that are whole now.

        Raises:
            JsonError: these are none.
        """
        self._buffer += data
        while (value := self._next()) is not None:
            yield value
        if len(self._buffer) > self._limit_bytes:
            raise JsonError(f"a value is above {self._limit_bytes} bytes")

    def _next(self) -> bytes | None:
        if not self._at:
            del self._buffer[: len(self._buffer) - len(self._buffer.lstrip(_BETWEEN))]
            if self._buffer and self._buffer[0] not in _OPENING:
                raise JsonError("neither an object nor an array")
        while (sign := _SIGNS.search(self._buffer, self._at)) is not None:
            self._at = sign.end()
            if self._pass(sign[0]):
                value = bytes(self._buffer[: self._at])
                del self._buffer[: self._at]
                self._at = 0
                return value
            if self._at > len(self._buffer):  # the escaped byte is not here yet
                self._at = sign.start()
                return None
        self._at = len(self._buffer)
        return None

    def _pass(self, sign: bytes) -> bool:
        """Whether the value ends with this sign."""
        if self._is_text:
            if sign == b"\\":
                self._at += 1
            elif sign == b'"':
                self._is_text = False
        elif sign == b'"':
            self._is_text = True
        elif sign in b"[{":
            self._depth += 1
            if self._depth > self._depth_limit:
                raise JsonError("values are too deep within each other")
        elif sign in b"]}":
            self._depth -= 1
            return self._depth == 0
        return False
