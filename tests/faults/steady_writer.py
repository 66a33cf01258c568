"""An application that logs without pause until it is told to stop.

In: a path and a ledger. Out: lines at a steady rate, each of them owed.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Self

from tests.faults.oracle import Ledger


class SteadyWriter:
    """A thread that appends to one file; a context manager."""

    def __init__(self, path: Path, ledger: Ledger, *, lines_per_burst: int = 40) -> None:
        self._path = path
        self._ledger = ledger
        self._life = ledger.begin(str(path))
        self._lines_per_burst = lines_per_burst
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def line_count(self) -> int:
        """How many lines it has written."""
        return self._life.lines

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        with self._path.open("ab", buffering=0) as file:
            while not self._stop.wait(0.02):
                data = b"".join(
                    self._ledger.make_line(self._life, b"INFO order priced in 12 ms by web-1")
                    for _ in range(self._lines_per_burst)
                )
                file.write(data)
                self._ledger.note(self._life, data)
