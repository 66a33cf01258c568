"""Writing that survives a power cut: whole or not at all, and in the right order.

In: descriptors, paths, bytes. Out: files that are on the disk when a call returns. It must never
leave a file half replaced, nor call something durable that only the page cache has.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o600
"""What the shipper keeps is for its own user."""

sync_data: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)
"""A file's content is on the disk; macOS has fsync alone."""


def write_all(file: int, data: bytes, offset: int | None) -> None:
    """All of `data` (os.write may take less); at `offset`, or where the file stands or appends."""
    rest = memoryview(data)
    while rest:
        count = os.write(file, rest) if offset is None else os.pwrite(file, rest, offset)
        rest = rest[count:]
        offset = None if offset is None else offset + count


def replace(path: Path, data: bytes, *, sync: bool) -> None:
    """The file has either its old content or the new one, also after a power cut if `sync`."""
    with writing_beside(path, sync=sync) as file:
        write_all(file, data, None)
    put_in_place(path)
    if sync:
        sync_folder(path.parent)


@contextlib.contextmanager
def writing_beside(path: Path, *, sync: bool) -> Iterator[int]:
    """A new file beside `path`; whole when the block ends, gone when it fails."""
    temporary = _beside(path)
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        yield file
        if sync:
            sync_data(file)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(file)


def put_in_place(path: Path) -> None:
    """What was written beside `path` takes its place; for good after `sync_folder`."""
    _beside(path).replace(path)


def sync_folder(folder: Path) -> None:
    """What was made, renamed and removed in it is on the disk."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _beside(path: Path) -> Path:
    return path.with_suffix(".new")
