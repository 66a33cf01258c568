"""Spool segments that were shipped: ended, said so on the disk, removed, closed, in that order."""

from __future__ import annotations

import os
from pathlib import Path

from shipper.sources.spool import Spool, SpoolBudget
from tests.shipper.sources.follower import Follower


def test_a_shipped_segment_that_waits_to_be_removed_is_no_new_file(tmp_path: Path) -> None:
    """However often it is looked at until the checkpoint is written; its inode is free after."""
    spool = Spool(tmp_path / "logs", budget=SpoolBudget(1 << 20))
    follower = Follower(tmp_path, "*.seg", segments=spool)
    spool.append([b"one\n", b"two\n"])
    spool.seal()
    follower.step()
    assert follower.tail.end_sealed()
    follower.step()
    assert [0] == [row.source for row in follower.centre.rows]
    assert {0: b"one\ntwo\n"} == follower.centre.contents()
    follower.save()
    follower.tail.remove_ended()
    assert [] == spool.segments()
    assert [0] == [source.number for source in follower.tail.close_settled()]
    spool.append([b"three\n"])  # on the inode of the first, where the disk gives it
    spool.seal()
    follower.step()
    assert {0: b"one\ntwo\n", 1: b"three\n"} == follower.centre.contents()
    follower.crash()


def test_a_crash_before_the_removal_ships_nothing_again(tmp_path: Path) -> None:
    """The checkpoint says that all of it is stored; the next run removes it."""
    spool = Spool(tmp_path / "logs", budget=SpoolBudget(1 << 20))
    follower = Follower(tmp_path, "*.seg", segments=spool)
    spool.append([b"one\n"])
    spool.seal()
    follower.step()
    assert follower.tail.end_sealed()
    follower.save()
    follower.crash()
    follower.restart()
    follower.step()
    assert follower.tail.end_sealed()
    follower.step()
    follower.tail.remove_ended()
    assert [] == spool.segments()
    assert {0: b"one\n"} == follower.centre.contents()
    assert [0] == [source.number for source in follower.tail.close_settled()]
    follower.crash()


def test_bytes_that_are_not_durable_yet_are_not_read(tmp_path: Path) -> None:
    """They may be taken back and others put in their place: neither knows a file by them."""
    spool = Spool(tmp_path / "logs", budget=SpoolBudget(1 << 20))
    follower = Follower(tmp_path, "*.seg", segments=spool)
    spool.append([b"one\n"])
    (path,) = spool.segments()
    for number, line in enumerate((b"two\n", b"three\n")):
        committed = path.read_bytes()
        with path.open("ab") as file:
            file.write(b"taken back\n")
        follower.step()
        assert {0: committed} == follower.centre.contents(), number
        os.truncate(path, len(committed))
        spool.append([line])
    follower.step()
    follower.save()
    follower.crash()
    follower.restart()
    follower.step()
    assert {0: b"one\ntwo\nthree\n"} == follower.centre.contents()
    assert [0] == [row.source for row in follower.centre.rows]
    assert [] == follower.centre.gaps
    follower.crash()
