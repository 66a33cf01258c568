"""The payload of a CompressedPackedForward message: gzip of several members, or zstd.

In: a payload. Out: its bytes, decompressed no further than to a limit. It must never let a small
payload take more memory than that, nor take a damaged one for a whole one.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"

_READ_BYTES: Final = 256 << 10
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class CompressedError(ValueError):
    """The payload is not what its first bytes promise."""


class TooLargeError(Exception):
    """Decompressed it is above the limit."""


class NoZstdError(Exception):
    """This Python has no zstd: it needs 3.14, or the `zstandard` package."""


def decompress(payload: bytes, limit_bytes: int) -> bytes:
    """The payload's bytes; as it is where it is not compressed, whatever the message says.

    No event begins as gzip or zstd do, so that the first bytes decide.

    Raises:
        CompressedError: damaged or cut.
        TooLargeError: above `limit_bytes`.
        NoZstdError: it is zstd, and nothing here reads that.
    """
    if payload.startswith(GZIP_MAGIC):
        return _join(payload, lambda: zlib.decompressobj(_GZIP_WINDOW), limit_bytes, zlib.error)
    if payload.startswith(ZSTD_MAGIC):
        return _decompress_zstd(payload, limit_bytes)
    return payload


def _decompress_zstd(payload: bytes, limit_bytes: int) -> bytes:
    built_in = _find("compression.zstd")
    if built_in is not None:
        return _join(payload, built_in.ZstdDecompressor, limit_bytes, built_in.ZstdError)
    package = _find("zstandard")
    if package is None:
        raise NoZstdError
    # its stream has a bound but does not tell a cut payload, its object the other way round
    size = 0
    try:
        with package.ZstdDecompressor().stream_reader(payload, read_across_frames=True) as reader:
            while piece := reader.read(_READ_BYTES):
                size += len(piece)
                if size > limit_bytes:
                    raise TooLargeError
    except package.ZstdError as error:
        raise CompressedError(str(error)) from error
    return _join(payload, lambda: _ZstdMember(package), limit_bytes, package.ZstdError)


class _ZstdMember:
    """One frame, as `_members` wants it; its size was measured before."""

    def __init__(self, package: Any) -> None:
        self._frame = package.ZstdDecompressor().decompressobj()

    def decompress(self, payload: bytes, _limit_bytes: int) -> bytes:
        plain: bytes = self._frame.decompress(payload)
        return plain

    @property
    def eof(self) -> bool:
        return bool(self._frame.eof)

    @property
    def unused_data(self) -> bytes:
        rest: bytes = self._frame.unused_data
        return rest


def _find(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _join(
    payload: bytes, make: Callable[[], Any], limit_bytes: int, error_type: type[Exception]
) -> bytes:
    """All members of a payload, one after the other."""
    try:
        return b"".join(_members(payload, make, limit_bytes))
    except error_type as error:
        raise CompressedError(str(error)) from error


def _members(payload: bytes, make: Callable[[], Any], limit_bytes: int) -> Iterator[bytes]:
    left = limit_bytes
    while payload:
        member = make()
        # one more than is left shows that there is more
        plain = member.decompress(payload, left + 1)
        left -= len(plain)
        if left < 0:
            raise TooLargeError
        yield plain
        if not member.eof:
            raise CompressedError("the payload is cut")
        payload = member.unused_data
