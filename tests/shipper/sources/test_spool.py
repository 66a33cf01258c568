"""Spool segments: durable, numbered once, bounded, and whole again after a crash."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper import durable
from shipper.errors import StateError
from shipper.sources import chunk_journal, spool
from shipper.sources.chunk_journal import ChunkJournal, ChunkRange
from shipper.sources.spool import Chunk, Spool, SpoolBudget, SpoolFullError

_MIB = 1 << 20


def _open(folder: Path, limit_bytes: int = _MIB, segment_bytes: int = 100) -> Spool:
    return Spool(folder / "s", budget=SpoolBudget(limit_bytes), segment_bytes=segment_bytes)


def _content(opened: Spool) -> bytes:
    return b"".join(path.read_bytes() for path in opened.segments())


def test_lines_stand_in_segments_in_their_order(tmp_path: Path) -> None:
    """Everything that was appended is there, in order, in segments of about the wanted size."""
    opened = _open(tmp_path)
    lines = [b"line %d\n" % number for number in range(100)]
    for line in lines:
        opened.append([line])
    assert b"".join(lines) == _content(opened)
    sizes = [path.stat().st_size for path in opened.segments()]
    assert [True] * (len(sizes) - 1) == [100 <= size < 120 for size in sizes[:-1]]
    sealed = [opened.is_sealed(path) for path in opened.segments()]
    assert [True] * (len(sizes) - 1) + [False] == sealed
    assert sizes == [opened.committed_bytes(path) for path in opened.segments()]


def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    """Also when every segment was removed before the restart, and when the counter is damaged."""
    opened = _open(tmp_path)
    for _ in range(3):
        opened.append([b"x\n"])
        opened.seal()
    used = [path.name for path in opened.segments()]
    for path in opened.segments():
        opened.remove(path)
    opened.close()
    again = _open(tmp_path)
    again.append([b"y\n"])
    assert [max(used)] < [path.name for path in again.segments()]
    again.close()
    (tmp_path / "s" / "next").write_bytes(b"deadbeef {}\n")
    damaged = _open(tmp_path)
    damaged.append([b"z\n"])
    assert 1_700_000_000 < int(damaged.segments()[-1].stem)


def test_a_segments_name_is_durable_before_its_lines_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut must not take the file away from what was acknowledged."""
    opened = _open(tmp_path)
    folder = (tmp_path / "s").stat().st_ino
    events: list[str] = []
    fsync, write_lines = os.fsync, spool._write_lines

    def sync(descriptor: int) -> None:
        fsync(descriptor)
        if os.fstat(descriptor).st_ino == folder:
            events.append(f"synced with {len(list((tmp_path / 's').glob('*.seg')))}")

    def write(file: int, lines: Sequence[bytes], offset: int) -> None:
        write_lines(file, lines, offset)
        events.append("written")

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(spool, "_write_lines", write)
    for number in (1, 2):
        events.clear()
        opened.append([b"a line\n"])
        opened.seal()
        assert [f"synced with {number}", "written"] == events[-2:]


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    """It was never acknowledged, so its sender sends it again: it must not be there twice."""
    opened = _open(tmp_path)
    opened.append([b"whole\n"])
    path = opened.segments()[0]
    opened.close()
    with path.open("ab") as file:
        file.write(b"half a li")
    again = _open(tmp_path)
    assert b"whole\n" == _content(again)
    assert [True] == [again.is_sealed(path) for path in again.segments()]
    again.append([b"next\n"])
    assert b"whole\nnext\n" == _content(again)
    assert 2 == len(again.segments())


def test_a_torn_last_line_of_standard_input_is_kept(tmp_path: Path) -> None:
    """Nobody sends it again."""
    opened = Spool(tmp_path, budget=SpoolBudget(_MIB), keeps_torn=True)
    opened.append([b"whole\n", b"half"])
    opened.close()
    assert b"whole\nhalf" == _content(Spool(tmp_path, budget=SpoolBudget(_MIB), keeps_torn=True))


def test_a_line_in_pieces_stays_in_one_segment(tmp_path: Path) -> None:
    """A segment ends where a line does, unless the line has no end in sight."""
    opened = _open(tmp_path, segment_bytes=10)
    opened.append([b"0123456789abc"])
    opened.append([b"de\n"])
    opened.append([b"next\n"])
    assert [b"0123456789abcde\n", b"next\n"] == [p.read_bytes() for p in opened.segments()]
    opened.append([b"." * 30])
    opened.append([b"endless"])
    assert 3 == len(opened.segments())


def test_at_the_cap_nothing_is_taken_until_something_was_removed(tmp_path: Path) -> None:
    """The writer hears it, the full segment is sealed so that it can go, and the rest stays."""
    budget = SpoolBudget(100)
    one = Spool(tmp_path / "one", budget=budget)
    two = Spool(tmp_path / "two", budget=budget)
    one.append([b"a" * 59 + b"\n"])
    two.append([b"b" * 39 + b"\n"])
    with pytest.raises(SpoolFullError):
        two.append([b"c\n"])
    assert not one.is_sealed(one.segments()[0])
    one.tend()
    assert one.is_sealed(one.segments()[0])
    one.remove(one.segments()[0])
    two.append([b"c\n"])
    assert b"b" * 39 + b"\nc\n" == _content(two)
    assert 42 == budget.used_bytes


def test_an_empty_spool_takes_what_is_larger_than_the_cap(tmp_path: Path) -> None:
    """Else it could never be taken."""
    opened = _open(tmp_path, limit_bytes=10)
    opened.append([b"x" * 20 + b"\n"])
    with pytest.raises(SpoolFullError):
        opened.append([b"y\n"])


def test_what_an_earlier_run_left_counts(tmp_path: Path) -> None:
    """The cap holds over restarts."""
    opened = _open(tmp_path)
    opened.append([b"12345\n"])
    opened.close()
    budget = SpoolBudget(10)
    Spool(tmp_path / "s", budget=budget)
    assert 6 == budget.used_bytes


def test_what_is_written_to_is_not_removed(tmp_path: Path) -> None:
    """Only a sealed segment may go."""
    opened = _open(tmp_path)
    opened.append([b"x\n"])
    with pytest.raises(ValueError, match="still written"):
        opened.remove(opened.segments()[0])


def test_a_full_disk_takes_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The half that the disk took is taken back, and the same lines can be appended later."""
    opened = _open(tmp_path)
    opened.append([b"before\n"])
    key = b"k" * 16
    with monkeypatch.context() as patched:
        patched.setattr(spool, "sync_data", _raise_full)
        with pytest.raises(StateError, match="No space"):
            opened.append([b"after\n"], chunks=[Chunk(key, 0, 1)])
    assert b"before\n" == _content(opened)
    assert not opened.is_known(key)
    opened.append([b"other\n"])
    opened.close()
    again = _open(tmp_path)
    assert b"before\nother\n" == _content(again)
    assert not again.is_known(key)
    again.append([b"after\n"], chunks=[Chunk(key, 0, 1)])
    assert again.is_known(key)


def test_a_full_disk_under_the_chunk_journal_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that did not become durable leaves no line and no key."""
    opened = _open(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(chunk_journal, "sync_data", _raise_full)
        with pytest.raises(StateError, match="No space"):
            opened.append([b"a\n"], chunks=[Chunk(b"k", 0, 1)])
    assert b"" == _content(opened)
    assert not opened.is_known(b"k")
    opened.append([b"a\n"], chunks=[Chunk(b"k", 0, 1)])
    opened.close()
    assert _open(tmp_path).is_known(b"k")


def _raise_full(file: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_chunks_are_known_after_a_restart_and_after_their_segment_is_gone(tmp_path: Path) -> None:
    """A client may ask again long after its chunk was shipped."""
    opened = _open(tmp_path)
    opened.append([b"a\n", b"b\n", b"c\n"], chunks=[Chunk(b"k1", 0, 1), Chunk(b"k2", 2, 1)])
    opened.seal()
    opened.remove(opened.segments()[0])
    opened.close()
    again = _open(tmp_path)
    assert [True, True, False] == [again.is_known(key) for key in (b"k1", b"k2", b"k3")]


@pytest.mark.slow
@given(cut=st.integers(0, 40), lines=st.lists(st.integers(1, 6), min_size=3, max_size=6))
def test_a_chunk_that_a_crash_cut_is_gone_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int, lines: list[int]
) -> None:
    """Wherever the crash was: a chunk is there and known, or not there and not known."""
    folder = tmp_path_factory.mktemp("spool")
    opened = _open(folder, segment_bytes=1000)
    opened.append([b"first\n"], chunks=[Chunk(b"k0", 0, 1)])
    batch = [b"%d" % place * length + b"\n" for place, length in enumerate(lines)]
    chunks = [Chunk(b"k1", 0, 2), Chunk(b"k2", 2, len(batch) - 2)]
    opened.append(batch, chunks=chunks)
    path = opened.segments()[0]
    opened.close()
    size = path.stat().st_size
    os.truncate(path, max(size - cut, len(b"first\n")))
    again = _open(folder)
    expected = b"first\n"
    for chunk in chunks:
        if again.is_known(chunk.key):
            expected += b"".join(batch[chunk.first_line : chunk.first_line + chunk.line_count])
    assert expected == _content(again)
    assert again.is_known(b"k0")
    assert (cut == 0) == again.is_known(b"k2")
    again.close()
    assert expected == _content(_open(folder))


def test_a_chunk_whose_bytes_never_reached_the_disk_is_not_known(tmp_path: Path) -> None:
    """A power cut may leave the length and not the bytes."""
    opened = _open(tmp_path)
    opened.append([b"abc\n"])
    opened.append([b"def\n"], chunks=[Chunk(b"k", 0, 1)])
    path = opened.segments()[0]
    opened.close()
    path.write_bytes(b"abc\n\0\0\0\n")
    again = _open(tmp_path)
    assert b"abc\n" == _content(again)
    assert not again.is_known(b"k")


class _KilledError(BaseException):
    """Nothing catches it, as nothing catches a power cut."""


def _kill(*_: object) -> None:
    raise _KilledError


def _die_before_the_lines(opened: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(spool, "_write_lines", _kill)
        with pytest.raises(_KilledError):
            opened.append([b"new\n"], chunks=[Chunk(b"new", 0, 1)])


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_second_crash_at_any_step_of_a_start_makes_no_unwritten_chunk_known(
    is_damaged: bool,  # noqa: FBT001 - pytest's way
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A start that makes the list of keys anew has not looked at the lines of the last one yet."""
    limit = 100 if is_damaged else 2
    monkeypatch.setattr(spool, "ChunkJournal", partial(ChunkJournal, known_limit=limit))
    steps = 0
    while steps < 30:
        folder = tmp_path / str(steps)
        opened = _open(folder)
        for number in range(3):
            opened.append([b"old\n"], chunks=[Chunk(b"k%d" % number, 0, 1)])
        _die_before_the_lines(opened, monkeypatch)
        if is_damaged:
            path = folder / "s" / "chunks"
            path.write_bytes(b"x" + path.read_bytes()[1:])
        is_over = _start_until_killed(folder, steps, monkeypatch)
        again = _open(folder)
        assert (False, b"old\n" * 3) == (again.is_known(b"new"), _content(again)), steps
        assert again.is_known(b"k2")
        again.append([b"new\n"], chunks=[Chunk(b"new", 0, 1)])
        again.close()
        assert _open(folder).is_known(b"new")
        assert b"old\n" * 3 + b"new\n" == _content(_open(folder))
        if is_over:
            break
        steps += 1
    assert 5 < steps < 30


def _start_until_killed(folder: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Open a spool, and die before the disk is asked for the next thing; whether it was opened."""
    rest = steps

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def ask(*arguments: Any) -> object:
            nonlocal rest
            rest -= 1
            if rest < 0:
                raise _KilledError
            return real(*arguments)

        return ask

    with monkeypatch.context() as patched:
        for name in ("open", "write", "pwrite", "fsync", "ftruncate", "replace", "rename"):
            patched.setattr(os, name, counted(getattr(os, name)))
        for module in (spool, chunk_journal, durable):
            patched.setattr(module, "sync_data", counted(module.sync_data))
        try:
            _open(folder)
        except _KilledError:
            return False
    return True


def test_a_full_disk_under_a_start_makes_no_unwritten_chunk_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines are cut off, its key can't be taken back: the next start must do that."""
    opened = _open(tmp_path)
    opened.append([b"old\n"], chunks=[Chunk(b"k0", 0, 1)])
    opened.append([b"old\n"], chunks=[Chunk(b"k1", 0, 1)])
    _die_before_the_lines(opened, monkeypatch)
    path = tmp_path / "s" / "chunks"
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with monkeypatch.context() as patched:
        patched.setattr(ChunkJournal, "forget", lambda *_: _raise_full(0))
        with pytest.raises(StateError, match="No space"):
            _open(tmp_path)
    again = _open(tmp_path)
    assert [True, False] == [again.is_known(key) for key in (b"k1", b"new")]
    assert b"old\n" * 2 == _content(again)


def test_the_chunk_journal_stays_small_and_forgets_the_oldest(tmp_path: Path) -> None:
    """Bounded, in memory and on disk."""
    journal = ChunkJournal(tmp_path / "chunks", known_limit=10)
    for number in range(100):
        journal.append(1, [ChunkRange(key=b"%d" % number, start=0, end=1, crc=0)])
        journal.confirm()
    journal.close()
    again = ChunkJournal(tmp_path / "chunks", known_limit=10)
    assert [b"%d" % number for number in range(90, 100)] == list(again.known)
    assert 2000 > (tmp_path / "chunks").stat().st_size


def test_a_chunk_journal_damaged_anywhere_costs_at_most_some_keys(tmp_path: Path) -> None:
    """It never refuses to open, and what it still knows is true."""
    path = tmp_path / "chunks"
    journal = ChunkJournal(path)
    keys = [b"key%d" % number for number in range(20)]
    for key in keys:
        journal.append(1, [ChunkRange(key=key, start=0, end=1, crc=0)])
        journal.confirm()
    journal.close()
    whole = path.read_bytes()
    chance = random.Random(5)
    for _ in range(50):
        damaged = bytearray(whole[: chance.randrange(len(whole))])
        if damaged:
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        assert set(keys) >= set(ChunkJournal(path).known)
        again = ChunkJournal(path)
        again.append(2, [ChunkRange(key=b"new", start=0, end=1, crc=0)])
        again.confirm()
        again.close()
        assert b"new" in ChunkJournal(path).known


def test_a_key_list_made_smaller_is_durable_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the old list back after a power cut, later chunks would be stored twice."""
    journal = ChunkJournal(tmp_path / "chunks", known_limit=2)
    synced: list[tuple[int, int]] = []

    def note(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append((found.st_ino, (tmp_path / "chunks").stat().st_ino))

    for number in range(3):
        journal.append(0, [ChunkRange(key=b"%d" % number, start=0, end=0, crc=0)])
        journal.confirm()
    before = (tmp_path / "chunks").stat().st_ino
    monkeypatch.setattr(os, "fsync", note)
    journal.append(0, [ChunkRange(key=b"3", start=0, end=0, crc=0)])
    journal.confirm()
    after = (tmp_path / "chunks").stat().st_ino
    assert before != after
    assert [(tmp_path.stat().st_ino, after)] == synced
    journal.close()


def test_a_key_list_whose_folder_could_not_be_synced_says_nothing_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No later entry is durable before the name of the file that it is in."""
    journal = ChunkJournal(tmp_path / "chunks", known_limit=2)
    for number in range(4):
        journal.append(0, [ChunkRange(key=b"%d" % number, start=0, end=0, crc=0)])
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", _raise_full)
            journal.confirm()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _raise_full)
        with pytest.raises(OSError, match="No space"):
            journal.append(0, [ChunkRange(key=b"4", start=0, end=0, crc=0)])
    journal.append(0, [ChunkRange(key=b"4", start=0, end=0, crc=0)])
    journal.confirm()
    journal.close()
    again = ChunkJournal(tmp_path / "chunks", known_limit=2)
    assert [b"3", b"4"] == list(again.known)
