"""shipper.sources: every way a file goes, running or stopped, costs no byte or declares it."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

from shipper.sources import rotation
from shipper.sources.open_files import DELETED_QUIET_SECONDS, RENAMED_QUIET_SECONDS
from tests.shipper.sources.follower import Follower, rotate


def test_a_renamed_file_is_read_to_its_end(follower: Follower) -> None:
    """Also what is written to it after the rename, out of every pattern's sight."""
    path = follower.write("a.log", b"one\n")
    follower.step()
    with path.open("ab") as held:
        rotate(follower, "a.log")
        held.write(b"after the rename\n")
    follower.write("a.log", b"new file\n")
    follower.step()
    assert {0: b"one\nafter the rename\n", 1: b"new file\n"} == follower.centre.contents()
    assert [str(path)] * 2 == [row.path for row in follower.centre.rows]
    assert [] == follower.centre.gaps


def test_a_chain_of_rotations_gives_each_file_one_source(follower: Follower) -> None:
    """Names move on, inodes do not."""
    for number in range(5):
        follower.write("a.log", b"file %d\n" % number)
        follower.step()
        rotate(follower, "a.log")
        follower.step()
    assert {n: b"file %d\n" % n for n in range(5)} == follower.centre.contents()


def test_rotated_names_that_a_pattern_names_are_not_read_twice(tmp_path: Path) -> None:
    """`a.log*` names both; the inode is one source."""
    follower = Follower(tmp_path, "a.log*")
    follower.write("a.log", b"one\n")
    follower.step()
    rotate(follower, "a.log")
    follower.write("a.log", b"two\n")
    follower.step()
    assert {0: b"one\n", 1: b"two\n"} == follower.centre.contents()
    follower.crash()


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_two_rotations_between_two_looks_lose_nothing(
    follower: Follower,
    running: bool,  # noqa: FBT001 - a parameter
) -> None:
    """A file that came and was rotated away unseen is found beside the one that followed it."""
    follower.write("a.log", b"one\n")
    follower.step()
    if not running:
        follower.crash()
    for number in range(3):
        rotate(follower, "a.log")
        follower.write("a.log", b"unseen %d\n" % number)
    if not running:
        follower.restart()
    follower.step()
    assert [b"one\n", *(b"unseen %d\n" % n for n in range(3))] == sorted(
        follower.centre.contents().values()
    )
    assert {str(follower.logs / "a.log")} == {row.path for row in follower.centre.rows}


def test_older_rotated_files_are_not_taken_for_missed_ones(follower: Follower) -> None:
    """What was rotated before the shipper came was never followed."""
    old = follower.write("a.log.1", b"old\n")
    os.utime(old, (1000, 1000))
    follower.write("a.log", b"one\n")
    follower.step()
    rotate(follower, "a.log")
    follower.write("a.log", b"two\n")
    follower.step()
    assert {0: b"one\n", 1: b"two\n"} == follower.centre.contents()


def test_rotation_while_stopped_is_read_on_where_it_was_left(follower: Follower) -> None:
    """The old file is found by its inode, whatever it is called now."""
    follower.write("a.log", b"one\n")
    follower.step()
    follower.save()
    follower.crash()
    follower.write("a.log", b"two\n")
    rotate(follower, "a.log")
    (follower.logs / "a.log.1").rename(follower.logs / "archived-elsehow")
    follower.write("a.log", b"three\n")
    follower.restart()
    follower.step()
    assert {0: b"one\ntwo\n", 1: b"three\n"} == follower.centre.contents()
    assert [] == follower.centre.gaps


def test_a_deleted_file_is_read_to_its_end_and_then_let_go(follower: Follower) -> None:
    """The descriptor is kept while anything is unread, and a minute of quiet beyond."""
    path = follower.write("a.log", b"one\n")
    follower.step()
    with path.open("ab") as held:
        path.unlink()
        held.write(b"last words\n")
    follower.step()
    assert {0: b"one\nlast words\n"} == follower.centre.contents()
    assert 1 == len(list(follower.tail.sources))
    follower.step(DELETED_QUIET_SECONDS)
    follower.step(DELETED_QUIET_SECONDS)
    assert [] == list(follower.tail.sources)
    assert [] == follower.centre.gaps
    follower.crash()
    follower.restart()
    assert {0: 15} == follower.state.journal.closed


def test_a_deleted_file_whose_last_line_has_no_newline_is_read_whole(follower: Follower) -> None:
    """The last words of a process that died in the middle of them."""
    follower.write("a.log", b"one\nlast wor")
    follower.step()
    (follower.logs / "a.log").unlink()
    for _ in range(3):
        follower.step()
    assert {0: b"one\nlast wor"} == follower.centre.contents()


def test_delete_and_recreate_is_two_sources(follower: Follower) -> None:
    """Under the same name, and perhaps on the same inode."""
    follower.write("a.log", b"one\n").unlink()
    follower.write("a.log", b"two\n")
    follower.step()
    (follower.logs / "a.log").unlink()
    follower.write("a.log", b"three\n")
    follower.step()
    assert {0: b"two\n", 1: b"three\n"} == follower.centre.contents()


@pytest.mark.parametrize(
    "rewritten", [b"", b"x\n", b"another\n", b"a longer content than before\n"]
)
def test_truncation_begins_a_new_source_and_declares_what_is_not_known(
    follower: Follower, rewritten: bytes
) -> None:
    """copytruncate: the same inode from 0, whether it is shorter, as long or longer by then."""
    path = follower.write("a.log", b"one two\n")
    follower.step()
    os.truncate(path, 0)
    follower.write("a.log", rewritten)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))
    follower.step()
    follower.write("a.log", b"more\n")
    follower.step()
    assert {0: b"one two\n", 1: rewritten + b"more\n"} == follower.centre.contents()
    assert [(0, 8, 8)] == [(gap.source, gap.start, gap.end) for gap in follower.centre.gaps]
    assert ["truncated"] == [gap.cause for gap in follower.centre.gaps]


def test_truncation_of_unread_bytes_names_them(follower: Follower) -> None:
    """What was seen to be there and was not read is a hole with its bounds."""
    path = follower.write("a.log", b"one\nhalf a line")
    follower.step()
    os.truncate(path, 0)
    follower.write("a.log", b"x\n")
    follower.step()
    assert [(0, 4, 15)] == [(gap.source, gap.start, gap.end) for gap in follower.centre.gaps]
    assert {0: b"one\n", 1: b"x\n"} == follower.centre.contents()


def test_truncation_while_stopped_begins_a_new_source(follower: Follower) -> None:
    """The bytes before the checkpoint are compared, though no log's words are kept."""
    path = follower.write("a.log", b"one one one\n")
    follower.step()
    follower.save()
    follower.crash()
    os.truncate(path, 0)
    follower.write("a.log", b"something else that is longer\n")
    follower.restart()
    follower.step()
    assert {
        0: b"one one one\n",
        1: b"something else that is longer\n",
    } == follower.centre.contents()
    assert [(0, "replaced")] == [(gap.source, gap.cause) for gap in follower.centre.gaps]


def test_an_inode_that_was_used_again_while_stopped_is_another_source(follower: Follower) -> None:
    """The same device and inode with another content is another file."""
    path = follower.write("a.log", b"first file\n")
    follower.step()
    follower.save()
    follower.crash()
    inode = path.stat().st_ino
    path.write_bytes(b"second file, as if the inode had come back\n")
    assert inode == path.stat().st_ino
    path.rename(follower.logs / "b.log")
    follower.restart()
    follower.step()
    assert b"second file, as if the inode had come back\n" == follower.centre.contents()[1]
    assert str(follower.logs / "b.log") == follower.centre.rows[-1].path


def test_an_inode_that_was_used_again_and_rotated_away_while_stopped_is_read(
    follower: Follower,
) -> None:
    """No pattern names what is there now: its name says whose place it had."""
    path = follower.write("a.log", b"one\n" * 40)
    follower.step()
    follower.save()
    follower.crash()
    Path(f"{path}.2.gz").write_bytes(gzip.compress(path.read_bytes() + b"rest\n"))
    os.truncate(path, 0)
    follower.write("a.log", b"in its inode\n")
    path.rename(f"{path}.1")
    follower.write("a.log", b"new\n")
    follower.restart()
    for _ in range(3):
        follower.step()
    assert sorted([b"one\n" * 40 + b"rest\n", b"in its inode\n", b"new\n"]) == sorted(
        follower.centre.contents().values()
    )
    assert {str(path)} == {row.path for row in follower.centre.rows}
    assert [] == follower.centre.gaps


def test_a_file_that_was_deleted_while_stopped_is_declared(follower: Follower) -> None:
    """Nobody can say whether more was written to it: a gap whose end is not known."""
    path = follower.write("a.log", b"one\n")
    follower.step()
    follower.save()
    follower.crash()
    path.unlink()
    follower.restart()
    follower.step()
    assert [(0, 4, 4)] == [(gap.source, gap.start, gap.end) for gap in follower.centre.gaps]
    assert ["vanished"] == [gap.cause for gap in follower.centre.gaps]
    assert [] == list(follower.tail.sources)


def test_a_file_that_was_deleted_before_it_was_stored_is_a_hole(follower: Follower) -> None:
    """Read, not acknowledged, crashed, deleted: the hole has both bounds."""
    path = follower.write("a.log", b"one\n")
    follower.step()
    follower.write("a.log", b"two\n")
    follower.step(acknowledge=False)
    follower.save()
    follower.crash()
    path.unlink()
    follower.restart()
    follower.step()
    assert [(0, 4, 8)] == [(gap.source, gap.start, gap.end) for gap in follower.centre.gaps]


def test_a_renamed_file_that_grows_after_it_was_let_go_is_read_on(follower: Follower) -> None:
    """The descriptor goes after five minutes of quiet, the knowledge does not."""
    follower.write("a.log", b"one\n")
    follower.step()
    rotate(follower, "a.log")
    follower.step()
    follower.step(RENAMED_QUIET_SECONDS)
    assert [None] == [source.file for source in follower.tail.sources]
    follower.write("a.log.1", b"late\n")
    follower.step()
    assert {0: b"one\nlate\n"} == follower.centre.contents()
    (follower.logs / "a.log.1").unlink()
    follower.step()
    assert 1 == len(list(follower.tail.sources))  # open again: deletion is waited out
    follower.step(DELETED_QUIET_SECONDS * 2)
    assert [] == list(follower.tail.sources)
    assert [] == follower.centre.gaps


def test_compression_of_a_rotated_file_loses_nothing(follower: Follower) -> None:
    """Compression writes a new file and deletes the old one, which is held until it is read."""
    path = follower.write("a.log", b"one\n")
    follower.step()
    with path.open("ab") as held:
        rotate(follower, "a.log")
        held.write(b"two\n")
    shutil.copy(follower.logs / "a.log.1", follower.logs / "a.log.1.gz")
    (follower.logs / "a.log.1").unlink()
    follower.write("a.log", b"three\n")
    follower.step()
    assert {0: b"one\ntwo\n", 1: b"three\n"} == follower.centre.contents()


def test_a_crash_after_truncation_says_what_was_not_stored(follower: Follower) -> None:
    """The bytes were in memory alone: the next start declares them."""
    path = follower.write("a.log", b"one\n")
    follower.step(acknowledge=False)
    follower.save()
    os.truncate(path, 0)
    follower.write("a.log", b"x\n")
    follower.step(acknowledge=False)
    follower.crash()
    follower.centre.documents.clear()
    follower.centre.gaps.clear()
    follower.restart()
    follower.step()
    assert [(0, 0, 4)] == [(gap.source, gap.start, gap.end) for gap in follower.centre.gaps]
    assert {1: b"x\n"} == follower.centre.contents()


def test_a_source_is_not_closed_before_its_gap_is_stored(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in between must find it again, to declare the gap again."""
    path = follower.write("a.log", b"one\n")
    follower.step()
    with monkeypatch.context() as patch:
        patch.setattr(follower, "note_gap_published", lambda _: None)
        os.truncate(path, 0)
        follower.write("a.log", b"x\n")
        follower.step()
    assert [0, 1] == [source.number for source in follower.tail.sources]
    follower.note_gap_published(0)
    follower.step()
    assert [1] == [source.number for source in follower.tail.sources]


@pytest.mark.parametrize("is_running", [True, False])
def test_a_file_that_begins_as_the_one_before_is_no_copy_of_it(
    follower: Follower,
    is_running: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Rotated away unseen, shorter than what was read of the one before, with its first line."""
    follower.write("a.log", b"starting\n")
    follower.step()
    follower.write("a.log", b"one\n" * 400)
    follower.step()
    if not is_running:
        follower.save()
        follower.crash()
    rotate(follower, "a.log")
    follower.write("a.log", b"starting\nunseen\n")
    rotate(follower, "a.log")
    follower.write("a.log", b"starting\nnew\n")
    if not is_running:
        follower.restart()
    for _ in range(3):
        follower.step()
    assert sorted([b"starting\n" + b"one\n" * 400, b"starting\nunseen\n", b"starting\nnew\n"]) == (
        sorted(follower.centre.contents().values())
    )


def test_a_missed_file_on_another_files_inode_is_found_when_that_is_left(
    follower: Follower,
) -> None:
    """Deleted, its inode used by another log that then rotated, all while stopped."""
    gone = follower.write("gone.log", b"gone\n" * 10)
    follower.write("dated.log", b"one\n")
    follower.step()
    follower.save()
    follower.crash()
    dated = follower.logs / "dated.log"
    dated.rename(follower.logs / "dated.log-20260101")
    with gone.open("wb") as file:  # the same inode, as a disk may give it again
        file.write(b"unseen\n")
    gone.rename(follower.logs / "dated.log-20260102")
    follower.write("dated.log", b"new\n")
    follower.write("gone.log", b"other\n")
    follower.restart()
    for _ in range(3):
        follower.step()
    assert {b"gone\n" * 10, b"one\n", b"unseen\n", b"new\n", b"other\n"} == set(
        follower.centre.contents().values()
    )


def test_a_file_that_is_renamed_while_its_folder_is_read_is_not_gone(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a folder shows no snapshot of it: what was missed is looked for again."""
    follower.write("a.log", b"one\n" * 10)
    follower.step()
    follower.save()
    follower.crash()
    rotate(follower, "a.log")
    follower.write("a.log", b"new\n")
    follower.restart()
    looks = []
    find_in_folder = rotation._find_in_folder

    def miss_once(folder: str, file_id: tuple[int, int]) -> str | None:
        looks.append(folder)
        return None if len(looks) < 3 else find_in_folder(folder, file_id)

    monkeypatch.setattr(rotation, "_find_in_folder", miss_once)
    for _ in range(3):
        follower.step()
    assert {0: b"one\n" * 10, 1: b"new\n"} == follower.centre.contents()
    assert [] == follower.centre.gaps
    assert len(looks) >= 3
