"""Where a file's bytes went when the file itself did not keep them: a copy, or a compressed form.

In: what a source knows of its bytes. Out: a file that holds the same ones up to the source's
offset, to read on in. Names only say where to look: a file's start, and the 64 bytes before the
offset, decide. It must never take another file's bytes for the source's.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from shipper.durable import write_all
from shipper.sources.rotation import Found, list_rotated
from shipper.wire.state import TAIL_BYTES, fingerprint, tail_digest

_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_PIECE_BYTES: Final = 256 << 10
_START_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a source knows of its file's bytes."""

    fingerprint: str
    fingerprint_bytes: int
    offset: int
    tail: str
    """`tail_digest` of the bytes before `offset`; empty: not known."""


def open_file(path: str) -> int:
    """A descriptor to read `path` by, never waiting for a pipe's other end."""
    return os.open(path, _OPEN_FLAGS)


def holds(file: int, known: Known) -> bool:
    """Whether an open file has the source's bytes, as far as that can be told; OSError: no."""
    back = min(TAIL_BYTES, known.offset)
    return has_start(file, known) and _is_tail(os.pread(file, back, known.offset - back), known)


def has_start(file: int, known: Known) -> bool:
    """Whether an open file begins as the source's did; OSError: no."""
    return _is_head(os.pread(file, known.fingerprint_bytes, 0), known)


def is_copy(copy: int, original: int | None, known: Known) -> bool:
    """Whether an open file is a copy of a source's, made a while ago or just being made.

    `original`: the source's file, which may have been truncated since; None: nobody knows.
    """
    size = os.fstat(copy).st_size
    if original is not None and holds(original, known):  # not truncated
        return _is_prefix(copy, original, size)
    # many files begin alike: only beside a truncated one is that enough
    return _is_copy_of_lost(copy, known) if original is not None else holds(copy, known)


def find_copies(path: str, known: Known) -> list[Found]:
    """The copies that were made of `path` before it was truncated, the best one first.

    One that is smaller than the offset was made before the last bytes were read: it has nothing
    to read on in, but is the source's all the same.
    """

    def is_mine(file: int) -> bool:
        return _is_copy_of_lost(file, known)

    rotated = list_rotated(os.path.dirname(path)).get(path, ())  # noqa: PTH120
    copies = [found for found in rotated if _ask(found.path, is_mine)]
    return sorted(copies, key=lambda copy: copy.stat.st_size, reverse=True)


def holds_at(path: str, known: Known) -> bool:
    """Whether the file there has the source's bytes."""
    return _ask(path, lambda file: holds(file, known))


def _ask(path: str, question: Callable[[int], bool]) -> bool:
    """What an open file answers; False: it can't be read."""
    try:
        file = open_file(path)
    except OSError:
        return False
    try:
        return question(file)
    except OSError:
        return False
    finally:
        os.close(file)


def _is_copy_of_lost(copy: int, known: Known) -> bool:
    """Whether it is one of a file that is known to be truncated or replaced."""
    is_whole = os.fstat(copy).st_size >= known.offset
    return holds(copy, known) if is_whole else has_start(copy, known)


def _is_prefix(copy: int, original: int, size: int) -> bool:
    """Whether the first `size` bytes of both are the same, as far as their ends tell."""
    if not 0 < size <= os.fstat(original).st_size:
        return False
    start = min(size, _START_BYTES)
    if os.pread(copy, start, 0) != os.pread(original, start, 0):
        return False
    back = min(size, TAIL_BYTES)
    return os.pread(copy, back, size - back) == os.pread(original, back, size - back)


def unpack(path: str, known: Known, folder: str) -> int | None:
    """A file without a name that has what follows `known.offset` in a compressed form of `path`.

    Offsets are the source's: what comes before is a hole. None: no compressed form has its bytes.

    Raises:
        OSError: there is no room in `folder`.
    """
    for compressed in _find_compressed(path):
        file = _unpack_one(compressed, known, folder)
        if file is not None:
            return file
    return None


def _is_head(head: bytes, known: Known) -> bool:
    return len(head) == known.fingerprint_bytes and fingerprint(head) == known.fingerprint


def _is_tail(tail: bytes, known: Known) -> bool:
    is_whole = len(tail) == min(TAIL_BYTES, known.offset)
    return is_whole and (not known.tail or tail_digest(tail) == known.tail)


def _find_compressed(path: str) -> Iterator[str]:
    folder, name = os.path.split(path)
    rotated = re.compile(re.escape(name) + r"(?:[.-]\d[\dT_.:-]*?)?(?:\.gz|\.bz2|\.xz)", re.DOTALL)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if rotated.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                yield entry.path


def _open_packed(path: str) -> BinaryIO:
    """What logrotate compresses with, as far as the standard library reads it."""
    import bz2
    import gzip
    import lzma

    if path.endswith(".gz"):
        return cast("BinaryIO", gzip.open(path))
    if path.endswith(".bz2"):
        return cast("BinaryIO", bz2.open(path))
    return cast("BinaryIO", lzma.open(path))


def _unpack_one(compressed: str, known: Known, folder: str) -> int | None:
    from lzma import LZMAError
    from zlib import error as ZlibError  # noqa: N812 - a class

    try:
        with _open_packed(compressed) as packed:
            if not _is_head(packed.read(known.fingerprint_bytes), known):
                return None
            start = known.offset - min(TAIL_BYTES, known.offset)
            packed.seek(start)
            if not _is_tail(packed.read(known.offset - start), known):
                return None
            packed.seek(start)
            return _spill(packed, start, folder)
    except (EOFError, ZlibError, LZMAError):
        return None
    except OSError as error:
        if error.errno is not None:  # no room; a damaged archive's errors have no number
            raise
        return None


def _spill(packed: BinaryIO, start: int, folder: str) -> int:
    import tempfile  # with what it loads it is a twentieth of the shipper's start

    file, path = tempfile.mkstemp(dir=folder, prefix="unpacked-")
    try:
        os.unlink(path)  # noqa: PTH108 - it lives as long as its descriptor
        while piece := packed.read(_PIECE_BYTES):
            write_all(file, piece, start)
            start += len(piece)
        os.ftruncate(file, start)
    except BaseException:
        os.close(file)
        raise
    return file
