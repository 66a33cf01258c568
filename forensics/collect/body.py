"""Reads a request's body within bounds: of size, of time, of all bodies together.

In: an aiohttp request. Out: its decompressed bytes, or the refusal that a shipper understands. It
must never hold more than the limit, however small the compressed body was.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from forensics.collect.answers import RequestRefusedError

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_INFLATE_STEP_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the collector holds and waits for at most."""

    body_bytes: int = 32 << 20
    """One decompressed body; more gets 413."""
    in_flight_bytes: int = 128 << 20
    """All bodies that are being read or not yet committed; more gets 429."""
    idle_seconds: float = 60.0
    """A body of which nothing comes for so long gets 408."""
    disk_floor_bytes: int = 256 << 20
    """With less free space nothing is stored: 503."""


class Budget:
    """The bytes of all bodies in flight."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.used_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Count bytes in; RequestRefusedError 429 where they are too many."""
        if self.used_bytes + size_bytes > self._limit_bytes:
            raise RequestRefusedError(
                429,
                "rejected_execution_exception",
                f"{self.used_bytes} bytes of requests wait to be stored; try again later",
            )
        self.used_bytes += size_bytes

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """What one request takes, given back at its end."""
        lease = Lease(self)
        try:
            yield lease
        finally:
            self.used_bytes -= lease.size_bytes


class Lease:
    """One request's part of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Count bytes of this request in."""
        self._budget.take(size_bytes)
        self.size_bytes += size_bytes


async def read_body(request: web.Request, limits: Limits, lease: Lease) -> bytes:
    """The body, decompressed.

    Raises:
        RequestRefusedError: too large, too slow, of an unknown encoding, or broken gzip.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise RequestRefusedError(
            415, "media_type_header_exception", f"Content-Encoding [{encoding[:40]}] is not gzip"
        )
    declared = request.content_length
    if declared is not None and declared > limits.body_bytes:
        raise _too_large(limits)
    inflater = _Inflater(limits.body_bytes) if "gzip" in encoding else None
    parts: list[bytes] = []
    size = 0
    while chunk := await _read_chunk(request, limits):
        for part in (chunk,) if inflater is None else inflater.feed(chunk):
            size += len(part)
            if size > limits.body_bytes:
                raise _too_large(limits)
            lease.take(len(part))
            parts.append(part)
    if inflater is not None:
        inflater.finish()
    return b"".join(parts)


async def _read_chunk(request: web.Request, limits: Limits) -> bytes:
    try:
        async with asyncio.timeout(limits.idle_seconds):
            return await request.content.readany()
    except TimeoutError:
        raise RequestRefusedError(
            408, "timeout_exception", f"no byte of the body for {limits.idle_seconds:g} s"
        ) from None


class _Inflater:
    """Gzip, in steps of bounded size; several members follow each other as in a file."""

    def __init__(self, limit_bytes: int) -> None:
        self._step_bytes = min(_INFLATE_STEP_BYTES, limit_bytes + 1)
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._fed = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        try:
            while chunk:
                if self._member.eof:
                    self._member = zlib.decompressobj(_GZIP_WINDOW)
                self._fed = True
                yield self._member.decompress(chunk, self._step_bytes)
                chunk = self._member.unconsumed_tail or self._member.unused_data
        except zlib.error as error:
            raise _broken(str(error)) from error

    def finish(self) -> None:
        if self._fed and not self._member.eof:
            raise _broken("it ends in the middle")


def _broken(why: str) -> RequestRefusedError:
    return RequestRefusedError(400, "parse_exception", f"the body is not gzip: {why}")


def _too_large(limits: Limits) -> RequestRefusedError:
    return RequestRefusedError(
        413,
        "content_too_long_exception",
        f"the body is larger than {limits.body_bytes} bytes; send smaller requests",
    )
