"""A store of every test's own, filled as the collector fills it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from forensics.collect.writer import Writer
from forensics.store.sqlite import SqliteStore
from tests.forensics.proof.shipped import Loaded


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """The collector's writer over an empty file."""
    writer = Writer(tmp_path / "store.sqlite", disk_floor_bytes=0)
    writer.start()
    yield writer
    writer.stop()


@pytest.fixture
async def loaded(tmp_path: Path, writer: Writer) -> AsyncIterator[Loaded]:
    """A store to load and read."""
    store = await SqliteStore.open(tmp_path / "store.sqlite")
    yield Loaded(tmp_path / "store.sqlite", writer, store)
    await store.close()
