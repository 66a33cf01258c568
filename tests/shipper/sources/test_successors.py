"""shipper.sources: a file's bytes are read on in a copy or a compressed form, never twice."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shipper.sources.open_files import DELETED_QUIET_SECONDS
from tests.shipper.sources.follower import DAY_NANOS, Follower


def test_a_copy_that_was_truncated_behind_is_gone_on_in(follower: Follower) -> None:
    """copytruncate: what was copied and not read yet comes out of the copy, same source."""
    path = follower.write("a.log", b"one\n" * 40)
    follower.step()
    follower.write("a.log", b"two\n" * 40)
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)
    follower.write("a.log", b"new\n")
    for _ in range(3):
        follower.step()
    assert {0: b"one\n" * 40 + b"two\n" * 40, 1: b"new\n"} == follower.centre.contents()
    (gap,) = follower.centre.gaps
    assert (320, 320) == (gap.start, gap.end)


@pytest.mark.parametrize("is_acked", [True, False])
def test_a_copy_is_found_after_a_restart(follower: Follower, is_acked: bool) -> None:  # noqa: FBT001 - drawn
    """Copied and truncated while the shipper was stopped, read before or not."""
    path = follower.write("a.log", b"one\n" * 40)
    follower.step(acknowledge=is_acked)
    follower.save()
    follower.crash()
    follower.write("a.log", b"two\n" * 40)
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)
    follower.write("a.log", b"new\n")
    follower.restart()
    for _ in range(3):
        follower.step()
    whole = b"one\n" * 40 + b"two\n" * 40
    assert sorted([whole, b"new\n"]) == sorted(follower.centre.contents().values())
    follower.save()
    follower.crash()
    follower.restart()
    follower.step()
    assert sorted([whole, b"new\n"]) == sorted(follower.centre.contents().values())


def test_a_copy_beside_its_original_is_not_shipped(tmp_path: Path) -> None:
    """The moment between copying and truncating: the same bytes are there twice."""
    follower = Follower(tmp_path, "a.log*")
    path = follower.write("a.log", b"one\n" * 40)
    follower.step()
    shutil.copy(path, f"{path}.1")
    follower.step()
    os.truncate(path, 0)
    follower.write("a.log", b"new\n")
    for _ in range(3):
        follower.step()
    assert {0: b"one\n" * 40, 1: b"new\n"} == follower.centre.contents()
    follower.save()
    follower.crash()


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
def test_a_file_that_was_compressed_while_stopped_is_read_to_its_end(
    follower: Follower, ending: str
) -> None:
    """Rotated, compressed and deleted: the same bytes are recognised by their content."""
    path = follower.write("a.log", b"one\n" * 400)
    follower.step()
    follower.save()
    follower.crash()
    follower.write("a.log", b"two\n" * 400)
    compressors: dict[str, Callable[[bytes], bytes]] = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
    }
    Path(f"{path}.2.{ending}").write_bytes(compressors[ending](path.read_bytes()))
    Path(f"{path}.3.gz").write_bytes(gzip.compress(b"something else\n" * 100))
    path.rename(follower.logs / "gone")
    (follower.logs / "gone").unlink()
    follower.write("a.log", b"new\n")
    follower.restart()
    for _ in range(3):
        follower.step()
    assert [b"one\n" * 400 + b"two\n" * 400, b"new\n"] == list(follower.centre.contents().values())
    assert [] == follower.centre.gaps
    follower.step(seconds=DELETED_QUIET_SECONDS + 1)
    follower.step()
    assert [1] == [source.number for source in follower.tail.sources]


def test_a_file_that_was_compressed_over_midnight_is_read_to_its_end(follower: Follower) -> None:
    """Its rest goes to the new day, and it stays the file that it was."""
    path = follower.write("a.log", b"one\n" * 400)
    follower.step()
    follower.save()
    follower.crash()
    follower.write("a.log", b"two\n" * 400)
    Path(f"{path}.1.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    follower.clock.nanos += 2 * DAY_NANOS
    follower.restart()
    for _ in range(3):
        follower.step()
    assert {0: b"one\n" * 400 + b"two\n" * 400} == follower.centre.contents()
    assert 1 == len({row.fingerprint for row in follower.centre.rows})


def test_a_damaged_archive_is_no_successor(follower: Follower) -> None:
    """Its file is declared lost, and the shipper goes on."""
    path = follower.write("a.log", b"one\n" * 400)
    follower.step()
    follower.save()
    follower.crash()
    follower.write("a.log", b"two\n" * 400)
    Path(f"{path}.1.gz").write_bytes(gzip.compress(path.read_bytes())[:-12])
    path.unlink()
    follower.restart()
    follower.step()
    assert {0: b"one\n" * 400} == follower.centre.contents()
    assert 1 == len(follower.centre.gaps)


def test_a_copy_that_lags_behind_what_was_read_is_not_shipped_again(follower: Follower) -> None:
    """Copied, written to, read, truncated: the copy has less than was shipped already."""
    path = follower.write("a.log", b"one\n" * 400)
    follower.step()
    shutil.copy(path, f"{path}.1")
    follower.write("a.log", b"late\n")
    follower.step()
    os.truncate(path, 0)
    follower.write("a.log", b"new\n")
    for _ in range(3):
        follower.step()
    expected = {0: b"one\n" * 400 + b"late\n", 1: b"new\n"}
    assert expected == follower.centre.contents()
    follower.save()
    follower.crash()
    follower.restart()
    follower.write("a.log", b"newer\n")
    os.truncate(path, 0)
    follower.write("a.log", b"newest\n")
    for _ in range(3):
        follower.step()
    assert {**expected, 2: b"newest\n"} == follower.centre.contents()


@pytest.mark.slow
def test_a_copy_that_is_just_being_made_is_not_shipped(tmp_path: Path) -> None:
    """It has the original's first bytes, and no more yet; its name is one that a pattern names."""
    follower = Follower(tmp_path, "a.log*")
    path = follower.write("a.log", b"one\n" * 40_000)
    follower.step()
    copy = Path(f"{path}.1")
    copy.write_bytes(path.read_bytes()[:70_001])
    follower.step()
    shutil.copy(path, copy)
    os.truncate(path, 0)
    follower.write("a.log", b"new\n")
    for _ in range(3):
        follower.step()
    assert {0: b"one\n" * 40_000, 1: b"new\n"} == follower.centre.contents()
    follower.crash()


@pytest.mark.parametrize("is_restarted", [True, False])
def test_a_copy_made_over_another_copy_is_gone_on_in(
    follower: Follower,
    is_restarted: bool,  # noqa: FBT001 - a parameter
) -> None:
    """One backup is kept: the second truncated file's copy has the first one's inode."""
    path = follower.write("a.log", b"one\n" * 400)
    follower.step()
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)
    follower.write("a.log", b"two\n" * 400)
    for _ in range(3):
        follower.step()
    if is_restarted:
        follower.save()
        follower.crash()
    follower.write("a.log", b"unread\n")
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)
    follower.write("a.log", b"new\n")
    if is_restarted:
        follower.restart()
    for _ in range(4):
        follower.step()
    assert {0: b"one\n" * 400, 1: b"two\n" * 400 + b"unread\n", 2: b"new\n"} == (
        follower.centre.contents()
    )


def test_a_copy_is_known_though_the_truncated_file_has_outgrown_it(follower: Follower) -> None:
    """Truncated and written to while stopped, twice, one backup being kept."""
    path = follower.write("a.log", b"one\n" * 10)
    follower.step()
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)
    follower.write("a.log", b"two\n" * 100)
    for _ in range(3):
        follower.step()
    follower.save()
    follower.crash()
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)
    follower.write("a.log", b"new\n" * 1000)
    follower.restart()
    for _ in range(4):
        follower.step()
    assert {0: b"one\n" * 10, 1: b"two\n" * 100, 2: b"new\n" * 1000} == follower.centre.contents()


def test_a_copy_keeps_each_record_in_the_index_of_its_day(follower: Follower) -> None:
    """Sent on two days, not acknowledged, truncated, and read again out of the copy."""
    path = follower.write("a.log", b"one\n" * 40)
    follower.step(acknowledge=False)
    follower.crash()
    follower.clock.advance(86_400)
    follower.restart()
    follower.step(acknowledge=False)
    follower.write("a.log", b"two\n" * 40)
    follower.step(acknowledge=False)
    follower.crash()
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)
    follower.write("a.log", b"new\n")
    follower.restart()
    for _ in range(3):
        follower.step()
    assert {0: b"one\n" * 40 + b"two\n" * 40, 1: b"new\n"} == follower.centre.contents()
    assert 2 == len({index for index, _ in follower.centre.indices(0)})


def test_of_two_sources_with_one_inode_the_later_has_it(follower: Follower) -> None:
    """A deleted file's inode was used for the copy of a file that was followed before it."""
    path = follower.write("a.log", b"one\n" * 10)
    follower.step(acknowledge=False)
    other = follower.write("b.log", b"gone\n")
    follower.step(acknowledge=False)
    with other.open("wb") as copy:  # as if it had been deleted, and its inode given again
        copy.write(path.read_bytes())
    other.rename(f"{path}.1")
    os.truncate(path, 0)
    follower.write("a.log", b"new\n")
    for _ in range(3):
        follower.step(acknowledge=False)
    follower.crash()
    follower.restart()
    for _ in range(4):
        follower.step()
    assert {b"one\n" * 10, b"gone\n", b"new\n"} == set(follower.centre.contents().values())
    assert 3 == len(follower.centre.contents())
