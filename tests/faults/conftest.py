"""Folders for faults: in memory, and with paths that a socket's address has room for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: thousands of syncs of a disk take minutes."""
    if not Path("/dev/shm").is_dir():  # noqa: S108 - a folder of our own in it
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="afterimage-damage-", dir="/dev/shm") as name:
        yield Path(name)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short."""
    with tempfile.TemporaryDirectory(prefix="afterimage-") as name:
        yield Path(name)
