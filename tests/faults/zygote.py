"""Runs of a real shipper that cost milliseconds: a process that has it imported, and forks.

In: orders (see `crash_points.py`). Out: exit codes. Each run is a process of its own.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults.shipper_process import REPOSITORY

KILLED = -9


class Zygote:
    """A `crash_points` process that has imported the shipper already."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crash_points"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, order: dict[str, Any]) -> int:
        """One run of the shipper; its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code: int = json.loads(self._process.stdout.readline())
        return code

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)


@contextmanager
def open_zygotes(count: int) -> Iterator[queue.SimpleQueue[Zygote]]:
    """Some of them, to be taken and given back."""
    zygotes = [Zygote() for _ in range(count)]
    free: queue.SimpleQueue[Zygote] = queue.SimpleQueue()
    for zygote in zygotes:
        free.put(zygote)
    try:
        yield free
    finally:
        for zygote in zygotes:
            zygote.close()
