"""shipper.sources.tail: reading, partial lines, days, and restarts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipper.errors import StateError
from shipper.sources.watch import PARTIAL_IDLE_SECONDS
from shipper.wire.framing import frame
from shipper.wire.state import Entry
from tests.shipper.sources.follower import DAY_NANOS, Follower


def test_lines_come_once_and_whole(follower: Follower) -> None:
    """What is appended between two looks is one more part, from where the last one ended."""
    follower.write("a.log", b"one\ntwo\n")
    follower.step()
    follower.write("a.log", b"three\n")
    follower.step()
    assert [] == follower.step()
    assert {0: b"one\ntwo\nthree\n"} == follower.centre.contents()


def test_growth_is_seen_between_two_rescans(follower: Follower) -> None:
    """An open file is polled: no directory is read for it."""
    follower.write("a.log", b"one\n")
    follower.step()
    follower.write("a.log", b"two\n")
    follower.tail.poll()
    follower.read()
    assert {0: b"one\ntwo\n"} == follower.centre.contents()


def test_an_empty_file_gets_no_number(follower: Follower) -> None:
    """It has no first byte to know it by; its first byte makes it a source."""
    follower.write("a.log", b"")
    follower.step()
    assert [] == follower.centre.rows
    follower.write("a.log", b"x\n")
    follower.step()
    assert {0: b"x\n"} == follower.centre.contents()


def test_a_partial_line_waits_for_its_newline(follower: Follower) -> None:
    """A line that is written in two parts is one record."""
    follower.write("a.log", b"one\npart")
    follower.step()
    follower.write("a.log", b"ial\n")
    follower.step()
    assert [0, 4] == [offset for _, offset in follower.centre.indices(0)]
    assert {0: b"one\npartial\n"} == follower.centre.contents()


def test_a_partial_line_of_a_quiet_file_is_sent_and_is_never_framed_otherwise(
    follower: Follower,
) -> None:
    """After a crash, with its rest there, it is the same record again, and the rest another."""
    follower.write("a.log", b"one\nlast words")
    follower.step()
    follower.step(PARTIAL_IDLE_SECONDS)
    assert {0: b"one\nlast words"} == follower.centre.contents()
    follower.write("a.log", b" and more\n")
    follower.crash()  # nothing was saved: all is read again
    follower.restart()
    follower.step()
    assert {0: b"one\nlast words and more\n"} == follower.centre.contents()
    assert [0, 4, 14] == [offset for _, offset in follower.centre.indices(0)]


def test_a_drain_ends_where_files_ended_and_takes_partial_lines(follower: Follower) -> None:
    """What is written after its begin is the next start's."""
    follower.write("a.log", b"one\nhalf")
    follower.write("b.log", b"other\n")
    follower.tail.rescan()
    follower.tail.begin_drain()
    follower.write("b.log", b"later\n")
    follower.tail.rescan()
    while not follower.tail.is_drained:
        follower.read()
    assert [b"one\nhalf", b"other\n"] == sorted(follower.centre.contents().values())


def test_a_restart_goes_on_behind_the_checkpoint(follower: Follower) -> None:
    """What is acknowledged and saved is not read again."""
    follower.write("a.log", b"one\n")
    follower.step()
    follower.save()
    follower.crash()
    follower.write("a.log", b"two\n")
    follower.restart()
    parts = follower.step()
    assert [4] == [part.start for part in parts]
    assert {0: b"one\ntwo\n"} == follower.centre.contents()


def test_a_checkpoint_never_passes_what_is_not_acknowledged(follower: Follower) -> None:
    """A crash between reading and the answer: it is read again, under the same ids."""
    follower.write("a.log", b"one\n")
    follower.step(acknowledge=False)
    follower.save()
    follower.centre.documents.clear()  # the request never arrived
    follower.crash()
    follower.restart()
    follower.step()
    assert {0: b"one\n"} == follower.centre.contents()


def test_a_source_row_is_durable_before_a_record_is_given_out(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes no row: nothing is read of a new file, and all of it later."""

    def full(entries: list[Entry]) -> None:
        if entries:
            raise StateError("full")

    follower.write("a.log", b"one\n")
    with monkeypatch.context() as patch:
        patch.setattr(follower.state, "append", full)
        with pytest.raises(StateError):
            follower.step()
        assert {} == follower.centre.documents
    follower.step()
    assert {0: b"one\n"} == follower.centre.contents()


def test_a_cut_is_durable_before_its_record_is_given_out(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes no cut: the partial line goes on waiting."""

    def full(entries: list[Entry]) -> None:
        if entries:
            raise StateError("full")

    follower.write("a.log", b"half")
    follower.step()
    with monkeypatch.context() as patch:
        patch.setattr(follower.state, "append", full)
        with pytest.raises(StateError):
            follower.step(PARTIAL_IDLE_SECONDS)
    assert {} == follower.centre.documents
    follower.step()
    assert {0: b"half"} == follower.centre.contents()


def test_midnight_gives_the_next_record_a_new_day(follower: Follower) -> None:
    """Records go to the index of the day on which their source row was made."""
    follower.write("a.log", b"one\n")
    follower.step()
    follower.clock.nanos += DAY_NANOS
    follower.write("a.log", b"two\n")
    follower.step()
    assert [("afterimage-logs-2026.01.03", 0), ("afterimage-logs-2026.01.04", 4)] == (
        follower.centre.indices(0)
    )
    assert [0, 4] == [row.from_offset for row in follower.centre.rows]


@pytest.mark.parametrize("days", [(1, -1, 1), (1, 1, 1), (-1, 2, -1)])
def test_days_that_come_and_go_over_a_quiet_file_make_no_row_twice(
    follower: Follower, days: tuple[int, ...]
) -> None:
    """A row's name is its place: the same place again would look like an old state folder."""
    path = follower.write("app.log", b"one\n")
    follower.step()
    for number in days:
        follower.clock.nanos += number * DAY_NANOS
        os.utime(path, ns=(follower.clock.nanos, follower.clock.nanos))
        follower.step()
    follower.write("app.log", b"two\n")
    follower.step()
    places = [(row.source, row.from_offset) for row in follower.centre.rows]
    assert sorted(set(places)) == sorted(places)
    assert {0: b"one\ntwo\n"} == follower.centre.contents()


def test_a_file_that_was_truncated_over_midnight_gives_its_row_no_other_fingerprint(
    follower: Follower,
) -> None:
    """Else what was copied from it before would not be known again, and come twice."""
    path = follower.write("cut.log", b"one\ntwo\n")
    follower.step()
    path.with_name("cut.log.1").write_bytes(path.read_bytes())
    path.write_bytes(b"")
    follower.write("cut.log", b"after the cut\n" * 3)
    follower.clock.nanos += DAY_NANOS
    for _ in range(3):
        follower.step()
    contents = follower.centre.contents()
    assert {b"one\ntwo\n", b"after the cut\n" * 3} == set(contents.values())
    assert 2 == len(contents)


def test_a_new_days_row_is_durable_before_its_first_record(follower: Follower) -> None:
    """A crash after midnight: what went to the new day's index goes there again."""
    follower.write("a.log", b"one\n")
    follower.step()
    follower.clock.nanos += DAY_NANOS
    follower.write("a.log", b"two\n")
    follower.step()
    follower.crash()
    follower.restart()
    follower.step()
    assert {0: b"one\ntwo\n"} == follower.centre.contents()


def test_a_restart_on_a_later_day_sends_what_may_have_been_sent_to_the_same_index(
    follower: Follower,
) -> None:
    """All that the file had then stays with the old day: no id comes to be in two indices."""
    follower.write("a.log", b"one\ntwo\nhal")
    follower.step(acknowledge=False)
    follower.crash()
    follower.clock.nanos += DAY_NANOS
    follower.restart()
    follower.write("a.log", b"f\nthree\n")
    follower.step()
    follower.write("a.log", b"four\n")
    follower.step()
    old, new = "afterimage-logs-2026.01.03", "afterimage-logs-2026.01.04"
    assert [(old, 0), (old, 4), (old, 8), (old, 13), (new, 19)] == follower.centre.indices(0)
    assert {0: b"one\ntwo\nhalf\nthree\nfour\n"} == follower.centre.contents()


def test_a_busy_file_does_not_starve_the_others(follower: Follower) -> None:
    """Every file gets a chunk before one gets its second."""
    follower.write("busy.log", b"x" * 99 + b"\n" + b"y" * 99 + b"\n" * 20000)
    follower.write("calm.log", b"one\n")
    for _ in range(4):
        follower.write("busy.log", (b"z" * 99 + b"\n") * 10000)
    follower.clock.advance(1)
    follower.tail.rescan()
    paths = {source.number: source.first_path for source in follower.tail.sources}
    order = [Path(paths[part.source]).name for part in follower.tail.read_parts(2 << 20)]
    assert {"busy.log", "calm.log"} == set(order[:2])
    assert order.count("busy.log") > 2


def test_what_was_written_last_is_read_last(follower: Follower) -> None:
    """So that `event.created` tells which of two files had the last word."""
    for name in ("a.log", "b.log", "c.log"):
        follower.write(name, b"one\n")
    follower.step()
    for number, name in enumerate(("b.log", "c.log", "a.log")):
        follower.write(name, b"two\n")
        os.utime(follower.logs / name, ns=(number + 1, number + 1))
    follower.clock.advance(1)
    follower.tail.rescan()
    paths = {source.number: source.first_path for source in follower.tail.sources}
    order = [Path(paths[part.source]).name for part in follower.tail.read_parts(2 << 20)]
    assert ["b.log", "c.log", "a.log"] == order


def test_reading_stops_at_the_budget(follower: Follower) -> None:
    """About as many bytes as were asked for; the rest the next time."""
    follower.write("a.log", (b"z" * 99 + b"\n") * 20000)
    follower.tail.rescan()
    read = sum(part.end - part.start for part in follower.tail.read_parts(300_000))
    assert 300_000 <= read < 600_000
    assert 2_000_000 - read == sum(
        part.end - part.start for part in follower.tail.read_parts(1 << 30)
    )


def test_a_line_longer_than_a_chunk_is_read_in_slices(follower: Follower) -> None:
    """3 MB without a newline."""
    line = b"x" * (3 << 20) + b"\n"
    follower.write("a.log", line)
    follower.step()
    assert {0: line} == follower.centre.contents()


def test_more_files_than_may_be_open_are_all_read(tmp_path: Path) -> None:
    """Idle ones are let go of, and opened again when they grow."""
    follower = Follower(tmp_path, open_files_limit=3)
    for turn in range(2):
        for number in range(10):
            follower.write(f"{number}.log", b"%d.%d\n" % (number, turn))
        for _ in range(6):
            follower.step()
            assert sum(source.file is not None for source in follower.tail.sources) <= 3
    expected = [b"%d.0\n%d.1\n" % (number, number) for number in range(10)]
    assert expected == sorted(follower.centre.contents().values())
    follower.crash()


def test_a_name_of_any_bytes_is_followed(follower: Follower) -> None:
    """A newline, an escape, and bytes that are no UTF-8."""
    name = os.fsdecode(b"new\nline\x1b[31m\xff.log")
    follower.write(name, b"one\n")
    follower.step()
    follower.crash()
    follower.restart()
    follower.step()
    assert {0: b"one\n"} == follower.centre.contents()


def test_a_file_that_can_not_be_opened_is_told_once_and_read_when_it_can_be(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gap without a source, until the rights are mended."""

    def refuse(path: str) -> int:
        raise PermissionError(13, "Permission denied", path)

    follower.write("a.log", b"one\n")
    with monkeypatch.context() as patch:
        patch.setattr("shipper.sources.opening.open_file", refuse)
        follower.step()
        follower.step()
        assert {"Permission denied"} == set(follower.tail.unreadable.values())
    assert [(None, "unreadable", "Permission denied")] == [
        (gap.source, gap.cause, gap.reason) for gap in follower.centre.gaps
    ]
    follower.step()
    assert {0: b"one\n"} == follower.centre.contents()
    assert {} == follower.tail.unreadable


def test_a_bug_in_one_format_stops_no_other_file_and_loses_nothing(
    follower: Follower, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file waits, with its error, and is read once it can be."""
    follower.write("a.log", b"one\n")
    follower.write("b.log", b"two\n")
    broken = True

    def framer(chunk: bytes, /, *, final: bool = False) -> list[bytes]:
        if broken and chunk.startswith(b"one"):
            raise IndexError("beyond the end")
        return frame(chunk, final=final)

    (source_watch,) = [watch for watch, _ in follower.tail._scanners]
    object.__setattr__(source_watch, "framer", framer)
    follower.step()
    assert [b"two\n"] == list(follower.centre.contents().values())
    assert ["a bug in reading it: IndexError('beyond the end')"] == [
        source.error for source in follower.tail.sources if source.error
    ]
    assert "please report it" in capsys.readouterr().err
    broken = False
    follower.write("a.log", b"more\n")
    follower.step()
    assert [b"one\nmore\n", b"two\n"] == sorted(follower.centre.contents().values())
