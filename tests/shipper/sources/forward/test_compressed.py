"""Compressed payloads: all members, no bomb, nothing cut taken for whole."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard

from shipper.sources.forward import compressed
from shipper.sources.forward.compressed import (
    CompressedError,
    NoZstdError,
    TooLargeError,
    decompress,
)

_LIMIT_BYTES = 1 << 20


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("compress", [gzip.compress, _zstd])
def test_all_members_are_read(compress: Callable[[bytes], bytes]) -> None:
    """Fluentd appends a member for each part of a chunk."""
    payload = compress(b"one") + compress(b"") + compress(b"two")
    assert b"onetwo" == decompress(payload, _LIMIT_BYTES)


def test_what_is_not_compressed_stays() -> None:
    """The first bytes decide, not what a client says of them."""
    assert b"\x92\x01\x80" == decompress(b"\x92\x01\x80", _LIMIT_BYTES)


@pytest.mark.parametrize("compress", [gzip.compress, _zstd])
def test_the_limit_is_exact(compress: Callable[[bytes], bytes]) -> None:
    """As much as is allowed, and not a byte more, also over several members."""
    half = b"x" * 500
    assert 1000 == len(decompress(compress(half) + compress(half), 1000))
    with pytest.raises(TooLargeError):
        decompress(compress(half) + compress(half + b"x"), 1000)


@pytest.mark.parametrize("compress", [gzip.compress, _zstd])
def test_a_bomb_takes_no_more_memory_than_the_limit(
    compress: Callable[[bytes], bytes],
) -> None:
    """Sixty-four mebibytes of zeros come in a few kibibytes."""
    bomb = compress(bytes(64 << 20))
    decompress(compress(b"x"), _LIMIT_BYTES)  # what is loaded once does not count
    tracemalloc.start()
    with pytest.raises(TooLargeError):
        decompress(bomb, _LIMIT_BYTES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 4 * _LIMIT_BYTES > peak


@pytest.mark.parametrize("compress", [gzip.compress, _zstd])
def test_damaged_and_cut_payloads_are_told(
    compress: Callable[[bytes], bytes],
) -> None:
    """Also when only the last byte is missing, or when something else follows."""
    whole = compress(bytes(range(256)) * 8)
    for damaged in (whole[:-1], whole[:9], whole + b"tail", whole[:12] + b"\xff" * 20):
        with pytest.raises(CompressedError):
            decompress(damaged, _LIMIT_BYTES)


def test_without_zstd_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base install has none."""
    assert b"x" == decompress(_zstd(b"x"), _LIMIT_BYTES)
    monkeypatch.setattr(compressed, "_find", lambda _name: None)
    with pytest.raises(NoZstdError):
        decompress(_zstd(b"x"), _LIMIT_BYTES)
