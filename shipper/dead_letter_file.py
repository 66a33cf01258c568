"""`dead-letters.jsonl`: what the centre refused for good; any process appends and takes out.

In: the state folder. Out: letters; durable appends; a file without the letters that were stored
after all. A lock on the folder keeps a running shipper's append and a rewrite apart. It must
never lose a line: one that can't be read stays where it is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from shipper.durable import FILE_MODE, put_in_place, write_all, writing_beside
from shipper.wire.state import DeadLetter, format_dead_letter, parse_dead_letter

_LOCK_SECONDS: Final = 10.0
_LOCK_POLL_SECONDS: Final = 0.05
_COUNTED_BYTES: Final = 1 << 20


class DeadLetterFile:
    """The file of one state folder. Any thread may call it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "dead-letters.jsonl"
        self._directory = directory
        self._threads = threading.Lock()

    def append(self, letters: Sequence[DeadLetter]) -> None:
        """When this returns the letters survive a power cut. OSError: none may have."""
        data = b"".join(map(format_dead_letter, letters))
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with self._locked() as directory:
            file = os.open(self.path, flags, FILE_MODE)
            try:
                size = os.fstat(file).st_size
                if size and os.pread(file, 1, size - 1) != b"\n":
                    data = b"\n" + data  # a torn letter of an earlier run must not swallow this one
                write_all(file, data, None)
                os.fsync(file)
            finally:
                os.close(file)
            if not size:
                os.fsync(directory)  # it may be new

    def load(self) -> tuple[list[DeadLetter], list[int]]:
        """The letters, and the numbers of the lines that can't be read; OSError: none can.

        That there is no file is the good case: no letters.
        """
        letters: list[DeadLetter] = []
        unreadable: list[int] = []
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                letter = _parse(line)
                if letter is None:
                    unreadable.append(number)
                else:
                    letters.append(letter)
        return letters, unreadable

    def settle(self, stored: Sequence[DeadLetter], refused: Mapping[str, str]) -> None:
        """Take out what was stored, and give the reasons anew of what was refused again, by id.

        The old file holds until the new one is whole and on the disk. What a running shipper
        appended meanwhile stays, as does every line that can't be read.
        """
        gone = {(letter.id, letter.item) for letter in stored}

        def rewrite(line: bytes) -> bytes:
            letter = _parse(line)
            if letter is None:
                return line
            if (letter.id, letter.item) in gone:
                return b""
            reason = refused.get(letter.id, letter.reason)
            if reason == letter.reason:
                return line
            return format_dead_letter(dataclasses.replace(letter, reason=reason))

        with self._locked() as directory:
            self._replace(rewrite, directory)

    def _replace(self, rewrite: Callable[[bytes], bytes], directory: int) -> None:
        with writing_beside(self.path, sync=True) as file, self.path.open("rb") as old:
            for line in old:
                write_all(file, rewrite(line), None)
            found = os.fstat(old.fileno())
            if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file, found.st_uid, found.st_gid)  # root redrives for the shipper's user
        put_in_place(self.path)
        os.fsync(directory)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Alone with the file; OSError: another process keeps it for too long.

        The folder is locked, not the file: that is replaced, and a lock would go with it.
        """
        with self._threads:
            lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                _wait_lock(lock)
                yield lock
            finally:
                os.close(lock)


class LetterCount:
    """How many letters the file has, asked every second: only what is new of it is read.

    A line that can't be read counts too, as it stays.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "dead-letters.jsonl"
        self._inode = self._size = self._count = 0

    def read(self) -> int:
        """The number now; the last one that is known while the file can't be read."""
        with contextlib.suppress(OSError):
            self._look()
        return self._count

    def _look(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._inode = self._size = self._count = 0
            return
        if found.st_ino == self._inode and found.st_size == self._size:
            return
        with self._path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if inode != self._inode or found.st_size < self._size:
                self._size = self._count = 0
            self._inode = inode
            file.seek(self._size)
            while piece := file.read(_COUNTED_BYTES):
                self._size += len(piece)
                self._count += piece.count(b"\n")


def _wait_lock(file: int) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_LOCK_POLL_SECONDS)


def _parse(line: bytes) -> DeadLetter | None:
    try:
        return parse_dead_letter(line)
    except (ValueError, RecursionError):
        return None
