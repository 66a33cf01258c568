"""shipper.reserve: room that is given up when the disk is full, so that room can be made."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from shipper.reserve import Reserve


def test_room_is_held_once_and_given_up_once(tmp_path: Path) -> None:
    """Real blocks, not a hole in a file."""
    reserve = Reserve(tmp_path)
    reserve.hold()
    reserve.hold()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_blocks * 512 >= 100_000
    assert reserve.give_up()
    assert not reserve.give_up()
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_what_a_full_disk_refused_is_tried_once_more(tmp_path: Path, number: int) -> None:
    """Without the reserve; what fails again has failed."""
    reserve = Reserve(tmp_path)
    reserve.hold()
    tries = []

    def write() -> None:
        tries.append(len(list(tmp_path.iterdir())))
        if tries[-1]:
            raise OSError(number, "full")

    reserve.write(write)
    assert [1, 0] == tries
    with pytest.raises(OSError, match="full"):
        reserve.write(lambda: (_ for _ in ()).throw(OSError(number, "full")))


def test_another_failure_costs_no_reserve(tmp_path: Path) -> None:
    """A read-only disk gets no room by it."""
    reserve = Reserve(tmp_path)
    reserve.hold()

    def fail() -> None:
        raise OSError(errno.EROFS, "read-only")

    with pytest.raises(OSError, match="read-only"):
        reserve.write(fail)
    assert reserve.give_up()


def test_a_folder_that_takes_nothing_has_no_reserve(tmp_path: Path) -> None:
    """That is no error: the shipper goes on without."""
    Reserve(tmp_path / "nowhere").hold()
