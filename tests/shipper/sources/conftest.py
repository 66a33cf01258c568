"""A tail over real files, closed at the end of each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shipper.sources.follower import Follower


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    """Follows `*.log` in a folder of its own."""
    made = Follower(tmp_path)
    yield made
    made.crash()
