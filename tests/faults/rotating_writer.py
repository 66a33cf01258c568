"""An application that logs and rotates while its shipper dies again and again.

In: a folder and a seed. Out: files with every kind of line, rotated by rename in a chain, some of
them under names that no pattern has; none is deleted, so that they can be compared at the end.
"""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Self


class RotatingWriter:
    """A thread that writes `app.log` and `other.log`; a context manager."""

    def __init__(self, folder: Path, *, seed: int, bytes_per_file: int = 60_000) -> None:
        self.folder = folder
        self._random = random.Random(seed)
        self._bytes_per_file = bytes_per_file
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._line = 0

    @property
    def files(self) -> list[Path]:
        """Every file that was written."""
        return sorted(path for path in self.folder.iterdir() if path.stat().st_size)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        names = ("app.log", "other.log")
        open_files = {name: (self.folder / name).open("ab", buffering=0) for name in names}
        try:
            while not self._stop.wait(self._random.uniform(0.001, 0.02)):
                name = self._random.choice(names)
                file = open_files[name]
                for piece in self._burst():
                    file.write(piece)
                if file.tell() > self._bytes_per_file and self._random.random() < 0.3:
                    self._rotate(name)
                    if self._random.random() < 0.3:  # a file that lives between two looks
                        (self.folder / name).write_bytes(b"".join(self._burst()))
                        self._rotate(name)
                    stale = open_files[name]
                    open_files[name] = (self.folder / name).open("ab", buffering=0)
                    stale.write(b"written after the rename\n")
                    stale.close()
        finally:
            for file in open_files.values():
                file.close()

    def _rotate(self, name: str) -> None:
        """app.log.1 → app.log.2, app.log → app.log.1: as logrotate does, but nothing is deleted."""
        number = 1
        while (self.folder / f"{name}.{number}").exists():
            number += 1
        for older in range(number, 1, -1):
            (self.folder / f"{name}.{older - 1}").rename(self.folder / f"{name}.{older}")
        (self.folder / name).rename(self.folder / f"{name}.1")

    def _burst(self) -> list[bytes]:
        """Some lines, now and then one in two writes, or without a newline yet."""
        lines = [self._make_line() for _ in range(self._random.randint(1, 25))]
        if self._random.random() < 0.2:
            half = lines.pop()
            return [b"".join(lines), half[: len(half) // 2], half[len(half) // 2 :]]
        if self._random.random() < 0.5:
            lines.append(b"a line that goes on later: \xe2\x80\xa6")
        return [b"".join(lines)]

    def _make_line(self) -> bytes:
        self._line += 1
        kind = self._random.random()
        if kind < 0.9:
            return b"2026-01-03T14:05:12.%03dZ INFO line %d\n" % (self._line % 1000, self._line)
        if kind < 0.93:
            return self._random.randbytes(self._random.randint(0, 300)) + b"\n"
        if kind < 0.96:
            return b'{"level":"error","n":%d,"x":"[/red] \\u001b"}\n' % self._line
        if kind < 0.99:
            return b"\x1b[31m\x00 carriage\rreturn %d\r\n" % self._line
        return b"\n"
