"""shipper.state_disk: a full state disk is known by what fails, or by what is left."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shipper.state_disk import FULL_BELOW_BYTES, StateDisk, measure_free

FULL = f"the spool can't be used: {os.strerror(errno.ENOSPC)}\n  → give it space"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDisk:
    """One that has room."""
    monkeypatch.setattr("shipper.state_disk.measure_free", lambda _: FULL_BELOW_BYTES)
    return StateDisk(tmp_path)


def test_a_write_that_found_no_room_makes_it_full_since_then(disk: StateDisk) -> None:
    """Also where a little is left that was not enough; another error says nothing of room."""
    disk.look(["Permission denied"], at="10:00", now=100.0)
    assert "" == disk.full_since
    disk.look([FULL], at="10:01", now=160.0)
    disk.note_error(
        f"status.json can't be written: {OSError(errno.EDQUOT, 'Disk quota exceeded')}", 165.0
    )
    disk.look([], at="10:02", now=170.0)
    assert "10:01" == disk.full_since
    disk.look([], at="10:03", now=180.0)
    assert "" == disk.full_since


def test_health_ends_after_a_minute_and_comes_back_with_room(disk: StateDisk) -> None:
    """With the finding as its reason."""
    disk.look([FULL], at="10:00", now=100.0)
    assert "" == disk.health_problem(159.0)
    assert (
        f"the disk of {disk.directory} is full: senders wait, new files wait; free 65,536 bytes"
        == disk.health_problem(160.0)
    )
    disk.look([], at="10:02", now=200.0)
    assert "" == disk.health_problem(1000.0)


def test_too_little_room_is_none(disk: StateDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything fails; where it can't be measured nothing is said."""
    monkeypatch.setattr("shipper.state_disk.measure_free", lambda _: FULL_BELOW_BYTES - 1)
    disk.look([], at="10:00", now=100.0)
    assert "10:00" == disk.full_since
    monkeypatch.setattr("shipper.state_disk.measure_free", lambda _: None)
    disk.look([], at="10:01", now=101.0)
    assert "" == disk.full_since


def test_room_is_measured_where_the_folder_is(tmp_path: Path) -> None:
    """A real one has some; one that is not there has no number."""
    assert (measure_free(tmp_path) or 0) > 0
    assert None is measure_free(tmp_path / "nothing")
