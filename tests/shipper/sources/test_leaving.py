"""shipper.sources.leaving: a file that has other bytes now, and no room to unpack its old ones."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from shipper.sources import successors
from tests.shipper.sources.follower import Follower

OLD, REST, NEW = b"one\n" * 100, b"two\n" * 100, b"new\n"


class StateDisk:
    """Has no room for what is unpacked, until it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._unpack = successors._spill
        self.is_full = True
        self.asked = 0
        monkeypatch.setattr(successors, "_spill", self._spill)

    def _spill(self, packed: BinaryIO, start: int, folder: str) -> int:
        self.asked += 1
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._unpack(packed, start, folder)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> StateDisk:
    """The state folder's disk is full."""
    return StateDisk(monkeypatch)


def replace(path: Path) -> None:
    """Compressed, truncated, and written to anew, in one inode."""
    Path(f"{path}.1.gz").write_bytes(gzip.compress(path.read_bytes()))
    os.truncate(path, 0)
    with path.open("ab") as file:
        file.write(NEW)


def error_of(follower: Follower, number: int) -> str:
    """What keeps a source from being read."""
    source = follower.tail.find(number)
    assert source is not None
    return source.error


def assert_waits_then_is_read(follower: Follower, disk: StateDisk) -> None:
    """The new bytes come at once, the old ones with the room for them, and nothing is a gap."""
    for _ in range(3):
        follower.step()
    assert {0: OLD, 1: NEW} == follower.centre.contents()
    assert "No space left" in error_of(follower, 0)
    assert [] == follower.centre.gaps
    assert 3 <= disk.asked  # with every rescan
    disk.is_full = False
    follower.step()
    assert {0: OLD + REST, 1: NEW} == follower.centre.contents()
    assert "" == error_of(follower, 0)
    assert [] == follower.centre.gaps


def test_a_replaced_file_waits_for_room_to_unpack_its_old_bytes(
    follower: Follower, disk: StateDisk
) -> None:
    """A full disk ends nothing and declares nothing lost; its successor does not wait."""
    path = follower.write("a.log", OLD)
    follower.step()
    with path.open("ab") as file:
        file.write(REST)
    replace(path)
    assert_waits_then_is_read(follower, disk)


def test_a_start_waits_for_room_as_well(follower: Follower, disk: StateDisk) -> None:
    """Two sources of one file, left by a crash: the older one is not given up at the start."""
    path = follower.write("a.log", OLD)
    follower.step()
    follower.save()
    with path.open("ab") as file:
        file.write(REST)
    replace(path)
    follower.step()
    follower.save()
    follower.crash()
    disk.asked = 0
    follower.restart()
    assert_waits_then_is_read(follower, disk)


def test_what_waits_is_declared_when_its_compressed_form_goes(
    follower: Follower, disk: StateDisk
) -> None:
    """Then nobody has the bytes any more: the gap says why they were left."""
    path = follower.write("a.log", OLD + b"half")
    follower.step()
    replace(path)
    follower.step()
    assert [] == follower.centre.gaps
    Path(f"{path}.1.gz").unlink()
    follower.step()
    (gap,) = follower.centre.gaps
    assert (0, len(OLD), len(OLD) + 4) == (gap.source, gap.start, gap.end)
    assert "truncated" == gap.cause
    assert disk.is_full
    follower.step()
    assert [1] == [source.number for source in follower.tail.sources]


def test_a_drain_does_not_wait_for_room(follower: Follower, disk: StateDisk) -> None:
    """What can't be unpacked now is the next start's."""
    path = follower.write("a.log", OLD + b"half")
    follower.step()
    replace(path)
    follower.step()
    follower.tail.begin_drain()
    follower.read()
    assert follower.tail.is_drained
    assert disk.is_full
    assert [] == follower.centre.gaps


def test_a_drain_reads_unpacked_bytes_to_their_own_end(follower: Follower) -> None:
    """Where the drain ends was set by the size of the file that has its place."""
    path = follower.write("a.log", OLD)
    follower.step()
    follower.save()
    follower.crash()
    with path.open("ab") as file:
        file.write(REST)
    replace(path)
    follower.restart()
    follower.tail.rescan()
    follower.tail.begin_drain()
    for _ in range(3):
        follower.tail.rescan()
        follower.read()
    assert follower.tail.is_drained
    assert {0: OLD + REST, 1: NEW} == follower.centre.contents()
