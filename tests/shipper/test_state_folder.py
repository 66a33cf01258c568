"""shipper.state_folder: what must not be forgotten is on disk, in the right order."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.errors import StateError
from shipper.state_folder import COMPACTED_ABOVE_BYTES, StateFolder
from shipper.wire.state import (
    Checkpoint,
    Closed,
    Cut,
    DeadLetter,
    Progress,
    Run,
    SourceRow,
    format_compacted,
    format_entry,
    format_journal_head,
    parse_dead_letter,
    parse_journal,
)

AT = "2026-01-03T14:05:12.000000000Z"
ROW = SourceRow(
    source=0,
    path="/var/log/app.log",
    device=1,
    inode=2,
    fingerprint="00",
    fingerprint_bytes=1,
    day="2026-01-03",
    from_offset=0,
    at=AT,
)


@contextmanager
def opened(directory: Path, instance_id: str = "i-1") -> Iterator[StateFolder]:
    """The folder, closed at the end."""
    folder = StateFolder(directory, instance_id=instance_id, now=AT)
    try:
        yield folder
    finally:
        folder.close()


def test_a_stream_and_its_entries_outlive_the_process(tmp_path: Path) -> None:
    """The second start knows what the first one appended."""
    with opened(tmp_path / "state") as first:
        first.append([Run(run=1, at=AT), ROW, Cut(source=0, offset=9)])
        stream = first.stream
    with opened(tmp_path / "state") as second:
        assert stream == second.stream
        assert ({0: [ROW]}, {0: [9]}, 1, 1) == (
            second.journal.rows,
            second.journal.cuts,
            second.journal.runs,
            second.journal.next_source,
        )
        assert [] == second.notices


def test_a_second_shipper_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    """It says that another one holds it, and leaves everything as it was."""
    with opened(tmp_path), pytest.raises(StateError, match="another shipper holds its lock"):
        StateFolder(tmp_path, instance_id="i-1", now=AT)


def test_a_folder_that_was_cloned_to_another_instance_begins_a_new_stream(tmp_path: Path) -> None:
    """Ids of two machines must never meet."""
    with opened(tmp_path) as first:
        first.append([ROW])
        first.save_checkpoint(
            Checkpoint(
                stream=first.stream.stream, saved_at=AT, sources={0: Progress(acked=5, size=5)}
            )
        )
    with opened(tmp_path, "i-2") as second:
        assert first.stream.stream != second.stream.stream
        assert {} == second.journal.rows
        assert {} == second.load_checkpoint().sources
        assert "is from i-1" in second.notices[0]


def test_a_folder_of_another_machine_begins_a_new_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloned disk whose instance id is configured: the machine's own id tells the two apart."""
    monkeypatch.setattr("shipper.state_folder.machine_id", lambda: "a" * 32)
    with opened(tmp_path) as first:
        first.append([ROW])
    monkeypatch.setattr("shipper.state_folder.machine_id", lambda: "b" * 32)
    with opened(tmp_path) as second:
        assert first.stream.stream != second.stream.stream
        assert {} == second.journal.rows
        assert f"machine {'a' * 32}" in second.notices[0]
    with opened(tmp_path) as third:
        assert second.stream == third.stream


def test_streams_are_80_random_bits(tmp_path: Path) -> None:
    """Two folders, two streams."""
    with opened(tmp_path / "a") as one, opened(tmp_path / "b") as other:
        assert one.stream.stream != other.stream.stream
        assert 20 == len(one.stream.stream)


def test_a_missing_journal_begins_a_new_stream(tmp_path: Path) -> None:
    """The numbers it had given are not known, so none may be given again."""
    with opened(tmp_path) as first:
        first.append([ROW])
    (tmp_path / "sources").unlink()
    with opened(tmp_path) as second:
        assert first.stream.stream != second.stream.stream
        assert "is missing" in second.notices[0]


FILES = ("stream", "sources", "checkpoint")


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    name=st.sampled_from(FILES),
    place=st.integers(0, 600),
    flip=st.integers(1, 255),
    cut=st.booleans(),
)
def test_a_damaged_file_costs_reading_again_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    place: int,
    flip: int,
    cut: bool,  # noqa: FBT001 - drawn
) -> None:
    """One byte altered, or the rest cut off, in any file: it starts, and gives no number twice."""
    directory = tmp_path_factory.mktemp("state")
    with opened(directory) as first:
        first.append([Run(run=1, at=AT), ROW])
        first.save_checkpoint(
            Checkpoint(
                stream=first.stream.stream, saved_at=AT, sources={0: Progress(acked=5, size=5)}
            )
        )
    path = directory / name
    data = bytearray(path.read_bytes())
    place %= len(data)
    if cut:
        del data[place:]
    else:
        data[place] ^= flip
    path.write_bytes(data)
    with opened(directory) as second:
        checkpoint = second.load_checkpoint()
        is_same_stream = first.stream.stream == second.stream.stream
        assert checkpoint.sources == {} or is_same_stream
        if is_same_stream and 0 not in second.journal.rows:
            assert second.journal.next_source > 0 or cut
        second.append([Run(run=2, at=AT)])
    with opened(directory) as third:
        assert second.stream == third.stream
        assert 2 == third.journal.runs


def test_an_entry_is_synced_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after that finds the row: it is flushed to the disk, not only written."""
    synced: list[bytes] = []

    def sync(file: int) -> None:
        synced.append(Path(f"/proc/self/fd/{file}").resolve().read_bytes())

    with opened(tmp_path) as folder:
        monkeypatch.setattr("shipper.state_folder.sync_data", sync)
        folder.append([ROW])
    assert [b'"path":"/var/log/app.log"' in data for data in synced] == [True]


def test_a_full_disk_leaves_the_journal_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a row that the disk took is taken back, and the next one stands in its place."""
    with opened(tmp_path) as folder:
        real = os.pwrite

        def short(file: int, data: bytes, offset: int) -> int:
            if offset > folder.journal.valid_bytes:
                raise OSError(28, "No space left on device")
            return real(file, data[:10], offset)

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", short)
            with pytest.raises(StateError, match="No space left"):
                folder.append([ROW])
        folder.append([Closed(source=0, end=3)])
    with opened(tmp_path) as again:
        assert ({}, {0: 3}) == (again.journal.rows, again.journal.closed)


def test_dead_letters_are_appended_and_synced_and_a_torn_one_swallows_none(tmp_path: Path) -> None:
    """One line each, also behind a line that a power cut tore."""
    letter = DeadLetter(at=AT, reason="400", index="i", id="d", item=b"\x00\n")
    with opened(tmp_path) as folder:
        folder.append_dead_letters([letter])
        with (tmp_path / "dead-letters.jsonl").open("ab") as file:
            file.write(b'{"at":"torn')
        folder.append_dead_letters([letter, letter])
    lines = (tmp_path / "dead-letters.jsonl").read_bytes().splitlines()
    assert [letter, letter, letter] == [parse_dead_letter(lines[at]) for at in (0, 2, 3)]


def test_state_is_the_owners_alone(tmp_path: Path) -> None:
    """A dead letter holds a log's words."""
    with opened(tmp_path / "state") as folder:
        folder.append_dead_letters([])
        folder.save_status("{}\n")
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()
    }
    assert {0o600} == set(modes.values())
    assert 0o700 == stat.S_IMODE((tmp_path / "state").stat().st_mode)


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    """What, why, and what to do."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateError, match="choose another"):
        StateFolder(tmp_path / "file" / "state", instance_id="i-1", now=AT)


def fill_with_closed(directory: Path, *, live: tuple[int, ...] = (3, 7), count: int = 400) -> bytes:
    """A journal most of whose sources are closed, over the size that is left alone; its bytes."""
    with opened(directory) as folder:
        folder.append([Run(run=1, at=AT), Run(run=2, at=AT)])
        folder.append([dataclasses.replace(ROW, source=number) for number in range(count)])
        folder.append([Cut(source=3, offset=9), Cut(source=4, offset=5)])
        folder.append(
            [Closed(source=number, end=1) for number in range(count) if number not in live]
        )
    data = (directory / "sources").read_bytes()
    assert len(data) > COMPACTED_ABOVE_BYTES
    return data


def test_a_journal_of_mostly_closed_sources_is_made_smaller(tmp_path: Path) -> None:
    """Live sources, the run's number and the highest source's stay; a number never comes again."""
    before = fill_with_closed(tmp_path)
    for _ in range(2):
        with opened(tmp_path) as folder:
            assert [] == folder.notices
            assert len((tmp_path / "sources").read_bytes()) < len(before) / 20
            assert (2, 400) == (folder.journal.runs, folder.journal.next_source)
            open_rows = folder.journal.rows.keys() - folder.journal.closed.keys()
            assert {3, 7} == open_rows
            assert [9] == folder.journal.cuts[3]
    with opened(tmp_path) as folder:
        folder.append([dataclasses.replace(ROW, source=400)])
    with opened(tmp_path) as folder:
        assert 401 == folder.journal.next_source
        assert {3, 7, 400} == folder.journal.rows.keys() - folder.journal.closed.keys()


def test_a_journal_of_live_sources_is_left_alone(tmp_path: Path) -> None:
    """However large it is: there is nothing to forget."""
    before = fill_with_closed(tmp_path, live=tuple(range(400)))
    with opened(tmp_path):
        assert before == (tmp_path / "sources").read_bytes()


@settings(max_examples=100)
@given(
    live=st.sets(st.integers(0, 9)),
    count=st.integers(0, 10),
    runs=st.integers(0, 3),
    cuts=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 99)), max_size=9),
)
def test_a_compacted_journal_says_the_same_of_what_is_open(
    live: set[int], count: int, runs: int, cuts: list[tuple[int, int]]
) -> None:
    """Rows, cuts, runs and the next number, whatever is closed."""
    entries: list[Run | SourceRow | Cut | Closed] = [
        *(Run(run=number + 1, at=AT) for number in range(runs)),
        *(dataclasses.replace(ROW, source=number) for number in range(count)),
        *(Cut(source=number, offset=at) for number, at in cuts if number < count),
        *(Closed(source=number, end=1) for number in range(count) if number not in live),
    ]
    full = parse_journal(b"".join((format_journal_head("s"), *map(format_entry, entries))))
    small = parse_journal(format_compacted(full))
    assert (full.stream, full.runs, full.next_source) == (
        small.stream,
        small.runs,
        small.next_source,
    )
    for number in range(count):
        if number in live:
            assert (full.rows[number], full.cuts.get(number)) == (
                small.rows[number],
                small.cuts.get(number),
            )
            assert number not in small.closed
        else:
            assert number in small.closed or number not in small.rows


@pytest.mark.parametrize("kept", [0, 1, 50, 300])
def test_a_crash_while_the_journal_is_made_smaller_costs_nothing(tmp_path: Path, kept: int) -> None:
    """Half a new file beside the old one is never read, and the next start makes it anew."""
    before = fill_with_closed(tmp_path)
    with opened(tmp_path) as folder:
        stream = folder.stream
    small = (tmp_path / "sources").read_bytes()
    (tmp_path / "sources").write_bytes(before)
    (tmp_path / "sources.new").write_bytes(small[:kept])
    with opened(tmp_path) as folder:
        assert (stream, []) == (folder.stream, folder.notices)
        assert small == (tmp_path / "sources").read_bytes()
    assert not (tmp_path / "sources.new").exists()


def test_a_full_disk_leaves_the_large_journal_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To make it smaller is a wish, not a need."""
    before = fill_with_closed(tmp_path)

    def refuse(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        folder = StateFolder(tmp_path, instance_id="i-1", now=AT)
    folder.append([dataclasses.replace(ROW, source=400)])
    folder.close()
    assert not (tmp_path / "sources.new").exists()
    assert (tmp_path / "sources").read_bytes().startswith(before)
    with opened(tmp_path) as again:
        assert 401 == again.journal.next_source


def test_what_must_survive_a_power_cut_is_synced_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead letters, and the folder after each replaced file: no test here can cut the power."""
    synced: set[int] = set()

    def note(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)

    with opened(tmp_path) as folder:
        monkeypatch.setattr(os, "fsync", note)
        monkeypatch.setattr("shipper.durable.sync_data", note)
        folder.append_dead_letters(
            [DeadLetter(at=AT, reason="400", index="i", id="d", item=b"x\n")]
        )
        letters, here = (tmp_path / "dead-letters.jsonl").stat().st_ino, tmp_path.stat().st_ino
        assert {letters, here} == synced
        synced.clear()
        folder.save_checkpoint(Checkpoint(stream=folder.stream.stream, saved_at=AT))
        expected = {(tmp_path / "checkpoint").stat().st_ino, tmp_path.stat().st_ino}
        assert expected == synced
