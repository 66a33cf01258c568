"""Fixtures of the TUI's tests: a fixed clock and zone, so that screens are the same everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from shipper.wire.times import parse_time

NOW = parse_time("2026-01-03T14:30:00Z")


@pytest.fixture(autouse=True)
def _fixed_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It is 14:30 UTC, and the local zone is two hours ahead."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "XYZ-2")
    time.tzset()
    monkeypatch.setattr(time, "time_ns", lambda: NOW)
    yield
    monkeypatch.undo()
    time.tzset()
