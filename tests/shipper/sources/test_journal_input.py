"""shipper.sources.journal_input: numberings are sources; no entry is lost or repeated."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from shipper.errors import ConfigError, StateError
from shipper.sources.followed import SourceNumbers
from shipper.sources.journal_input import JournalInput
from shipper.sources.journald import (
    Batch,
    Entry,
    JournalGap,
    JournalReader,
    Place,
    parse_cursor,
)
from shipper.sources.part import LogPart
from shipper.sources.ports import Gap, SourcePorts
from shipper.state_folder import StateFolder
from shipper.wire.builder import RecordBuilder
from shipper.wire.journal_entries import build_line, shape
from shipper.wire.record import Identity, logs_index, parse_record_id, stored_bytes
from shipper.wire.state import Checkpoint, Closed, SourceRow
from shipper.wire.state import Entry as StateEntry
from shipper.wire.times import format_time
from shipper.wire.transforms import Drop
from shipper.wire.vitals import Vital, VitalsWriter
from tests.shipper.sources.follower import DAY_NANOS, Centre, HandClock

A, B = "a" * 32, "b" * 32
EVERYTHING = 1 << 30


class Written(NamedTuple):
    """An entry of the journal to be read."""

    sequence_id: str
    sequence: int
    is_own: bool = False

    @property
    def cursor(self) -> str:
        """Its place."""
        return f"s={self.sequence_id};i={self.sequence:x};b={A};m=1;t=1;x=1"

    @property
    def line(self) -> bytes:
        """Its bytes."""
        message = f'MESSAGE="{self.sequence}" of {self.sequence_id[:1]}'.encode()
        return build_line(
            [message], cursor=self.cursor, sequence=self.sequence, realtime_micros=10**15
        )


class ListReader(JournalReader):
    """A journal that is a list."""

    def __init__(self, written: list[Written]) -> None:
        super().__init__()
        self._written = written
        self._at = 0
        self.batch_entries = 1000
        self.error: Exception | None = None
        self.gap: JournalGap | None = None
        self.opened_after: list[str] = []

    def open(self, after: str = "", *, first: tuple[str, int] | None = None) -> None:
        """Begin behind `after`."""
        if self.error is not None:
            raise self.error
        self.opened_after.append(after)
        cursors = [entry.cursor for entry in self._written]
        self._at = cursors.index(after) + 1 if after else 0
        if not after and first is not None:
            self._at = [entry[:2] for entry in self._written].index(first)
        self.newest: Place | None = parse_cursor(cursors[-1]) if cursors else None

    def process(self) -> None:
        """Nothing to do."""
        if self.error is not None:
            raise self.error

    def read(self, limit_bytes: int) -> Batch | None:
        """The next entries of one numbering."""
        found: list[Written] = []
        while self._at < len(self._written) and len(found) < self.batch_entries:
            entry = self._written[self._at]
            if found and entry.sequence_id != found[0].sequence_id:
                break
            found.append(entry)
            self._at += 1
        if not found:
            return None
        gaps, self.gap = [self.gap] if self.gap else [], None
        return Batch(
            sequence_id=found[0].sequence_id,
            start=found[0].sequence,
            end=found[-1].sequence + 1,
            cursor=found[-1].cursor,
            entries=[
                Entry(sequence=one.sequence, cursor=one.cursor, data=one.line)
                for one in found
                if not one.is_own
            ],
            drops=[
                Drop(start=one.sequence, end=one.sequence + 1, count=1, reason="own")
                for one in found
                if one.is_own
            ],
            gaps=gaps,
        )


class Rig:
    """The input over a list and a real state folder, restarted as often as asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock()
        self.centre = Centre()
        self.written: list[Written] = []
        self.drops: list[Drop] = []
        self.disk_is_full = False
        self.pending: list[LogPart] = []
        self.restart()

    def restart(self) -> None:
        """The next process; what the one before had not saved is forgotten."""
        now = format_time(self.clock.now_nanos())
        self.state = StateFolder(self.folder, instance_id="i-1", now=now)
        self.reader = ListReader(self.written)
        self.input = JournalInput(
            self.reader,
            SourcePorts(
                journal=self,
                clock=self.clock,
                make_builder=self._make_builder,
                on_row=self._on_row,
                on_gap=self.centre.gaps.append,
                make_drop=self._make_drop,
                numbers=SourceNumbers(self.state.journal.next_source),
            ),
        )
        self.input.load(self.state.journal, self.state.load_checkpoint())
        self.pending = []

    def append(self, entries: Sequence[StateEntry]) -> None:
        """Make rows durable."""
        if self.disk_is_full:
            raise StateError("the disk is full")
        self.state.append(entries)

    def read(self) -> list[LogPart]:
        """All there is, stored by the centre and not acknowledged."""
        self.clock.advance(60.0)
        self.input.look()
        parts: list[LogPart] = []
        while (part := next(self.input.read_parts(EVERYTHING), None)) is not None:
            self.centre.take(part)
            parts.append(part)
        self.pending += parts
        return parts

    def acknowledge(self, parts: Sequence[LogPart]) -> None:
        """The answer came."""
        for part in parts:
            self.pending.remove(part)
            source = self.input.find(part.source)
            assert source is not None
            source.acknowledge(part, 0)
            source.published_rows = len(source.rows)
            source.unpublished_gaps = 0

    def save(self) -> None:
        """Write a checkpoint."""
        self.state.save_checkpoint(
            Checkpoint(
                stream=self.state.stream.stream,
                saved_at=format_time(self.clock.now_nanos()),
                sources={source.number: source.progress() for source in self.input.sources},
            )
        )
        self.input.note_saved()

    def close(self, number: int) -> None:
        """The source is shipped whole."""
        source = self.input.find(number)
        assert source is not None
        self.append([Closed(source=number, end=source.offset)])
        self.input.forget(number)

    def crash(self) -> None:
        """The process is gone."""
        self.state.close()

    def stored(self) -> list[tuple[str, int]]:
        """Numbering and number of each record at the centre; AssertionError: two for one entry."""
        ids = {row.source: row.fingerprint for row in self.centre.rows}
        found = []
        for (_, document_id), document in self.centre.documents.items():
            if document.get("event.action") == "drop":
                continue
            key = parse_record_id(document_id)
            entry = json.loads(stored_bytes(document_id, document))
            assert int(entry["__SEQNUM"]) == key.offset
            found.append((ids[key.source], key.offset))
        assert len(set(found)) == len(found), "an entry was stored twice"
        return sorted(found)

    def _make_builder(self, row: SourceRow) -> RecordBuilder:
        return RecordBuilder(
            identity=Identity(instance_id="i-1"),
            stream=self.state.stream.stream,
            source=row.source,
            path=row.path,
            index=logs_index(row.day),
            shape=shape,
        )

    def _make_drop(self, row: SourceRow, drop: Drop) -> Vital:
        self.drops.append(drop)
        writer = VitalsWriter(
            identity=Identity(instance_id="i-1"), stream=self.state.stream.stream, run=1
        )
        at = format_time(self.clock.now_nanos())
        return writer.drop(at, source=row.source, path=row.path, drop=drop)

    def _on_row(self, row: SourceRow) -> None:
        self.centre.rows.append(row)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """An empty journal."""
    made = Rig(tmp_path)
    yield made
    made.crash()


def _numbers(sequence_id: str, *numbers: int) -> list[Written]:
    return [Written(sequence_id, number) for number in numbers]


def _places(written: Sequence[Written]) -> list[tuple[str, int]]:
    return sorted((entry.sequence_id, entry.sequence) for entry in written if not entry.is_own)


def test_an_entry_becomes_a_record_at_its_number(rig: Rig) -> None:
    """Its bytes come back from the document, its message is the entry's."""
    rig.written += _numbers(A, 7, 8)
    (part,) = rig.read()
    assert (7, 9) == (part.start, part.end)
    assert _places(rig.written) == rig.stored()
    documents = list(rig.centre.documents.values())
    assert ['"7" of a', '"8" of a'] == [document["message"] for document in documents]
    (row,) = rig.centre.rows
    assert ("journald", A, 7) == (row.kind, row.fingerprint, row.from_offset)


def test_bytes_are_counted_as_bytes(rig: Rig) -> None:
    """Numbers are places alone; what is dropped has none."""
    rig.written += [Written(A, 1), Written(A, 2, is_own=True), Written(A, 3, is_own=True)]
    rig.reader.batch_entries = 1
    parts = rig.read()
    assert len(rig.written[0].line) == sum(part.raw_bytes_total for part in parts)
    (source,) = rig.input.sources
    assert (len(rig.written[0].line), 0) == (source.read_bytes, source.settled_bytes)
    rig.acknowledge(parts)
    assert source.settled_bytes == source.read_bytes
    assert [(2, 3), (3, 4)] == [(drop.start, drop.end) for drop in rig.drops]
    assert source.is_settled


def test_another_numbering_is_another_source_and_ends_the_one_before(rig: Rig) -> None:
    """Which is closed once it is acknowledged."""
    rig.written += [*_numbers(A, 1, 2), *_numbers(B, 1)]
    parts = rig.read()
    one, other = rig.input.sources
    assert (True, False) == (one.ended, other.ended)
    rig.acknowledge(parts[:1])
    rig.save()
    assert [] == list(rig.input.closable)  # a restart would begin with its last entry
    rig.acknowledge(parts[1:])
    rig.save()
    assert [one] == list(rig.input.closable)
    rig.close(one.number)
    assert [other] == list(rig.input.sources)


def test_numberings_that_alternate_stay_two_sources(rig: Rig) -> None:
    """While neither is closed."""
    rig.written += [*_numbers(A, 1), *_numbers(B, 1), *_numbers(A, 2), *_numbers(B, 2)]
    rig.read()
    assert [A, B] == [row.fingerprint for row in rig.centre.rows]
    assert _places(rig.written) == rig.stored()


def test_a_restart_begins_with_the_oldest_that_is_not_stored(rig: Rig) -> None:
    """Although a later numbering's entries are: those are not sent again."""
    rig.written += [*_numbers(A, 1, 2, 3), *_numbers(B, 1, 2)]
    rig.reader.batch_entries = 1
    parts = rig.read()
    rig.acknowledge([parts[0], *parts[3:]])
    rig.save()
    rig.crash()
    rig.restart()
    again = rig.read()
    assert [rig.written[0].cursor] == rig.reader.opened_after
    assert [(0, 2, 4)] == [(part.source, part.start, part.end) for part in again]


def test_a_restart_before_the_first_answer_begins_with_the_first_entry(rig: Rig) -> None:
    """There is no cursor then, but its row says the number."""
    rig.written += _numbers(A, 5, 6)
    rig.read()
    rig.crash()
    rig.written[:0] = _numbers(B, 1, 2)  # another boot's, which is not this stream's
    rig.restart()
    (part,) = rig.read()
    assert (0, 5, 7) == (part.source, part.start, part.end)


def test_a_broken_journal_is_opened_again_where_it_was(rig: Rig) -> None:
    """What is on its way is not read again."""
    rig.written += _numbers(A, 1, 2)
    rig.read()
    rig.reader.error = OSError("the journal is broken")
    rig.clock.advance(60.0)
    rig.input.look()
    assert "the journal is broken" == rig.input.error
    assert rig.input.file is None
    assert rig.input.is_drained
    rig.written += _numbers(A, 3)
    rig.reader.error = ConfigError("no right")
    assert [] == rig.read()
    rig.reader.error = None
    (part,) = rig.read()
    assert (3, 4) == (part.start, part.end)
    assert "" == rig.input.error


def test_a_full_disk_loses_no_batch(rig: Rig) -> None:
    """The row can't be written: the entries wait, in order."""
    rig.written += _numbers(A, 1, 2)
    rig.disk_is_full = True
    for _ in range(2):
        with pytest.raises(StateError):
            rig.read()
        assert not rig.input.is_drained
    rig.disk_is_full = False
    (part,) = rig.read()
    assert (1, 3) == (part.start, part.end)
    assert [0] == [row.source for row in rig.centre.rows]


def test_a_gap_is_of_the_numbering_that_it_names(rig: Rig) -> None:
    """And holds that source open until the centre has it."""
    rig.written += _numbers(A, 1)
    rig.acknowledge(rig.read())
    rig.written += _numbers(B, 1)
    rig.reader.gap = JournalGap(sequence_id=A, start=2, end=2, reason="gone")
    rig.read()
    gap = Gap(source=0, path="journald", start=2, end=2, cause="journal", reason="gone")
    assert [gap] == rig.centre.gaps
    one, _ = rig.input.sources
    rig.acknowledge(rig.pending)
    one.unpublished_gaps = 1
    rig.save()
    assert [] == list(rig.input.closable)


def test_from_midnight_on_entries_go_to_the_new_days_index(rig: Rig) -> None:
    """But for those that an earlier run may have sent: they keep their index."""
    rig.written += _numbers(A, 1, 2)
    rig.read()
    rig.crash()
    rig.clock.nanos += DAY_NANOS
    rig.written += _numbers(A, 3)  # written while no shipper ran, and so perhaps read
    rig.restart()
    rig.reader.batch_entries = 2
    rig.read()
    rig.written += _numbers(A, 4)
    rig.read()
    assert [("afterimage-logs-2026.01.03", 1), ("afterimage-logs-2026.01.03", 2),
            ("afterimage-logs-2026.01.03", 3), ("afterimage-logs-2026.01.04", 4)] == (
        rig.centre.indices(0)
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_or_repeated_over_crashes(tmp_path: Path, seed: int) -> None:
    """Whatever is acknowledged in whatever order, saved or not, over days and numberings."""
    choose = random.Random(seed)
    rig = Rig(tmp_path)
    following = {A: 1, B: 1}
    for _ in range(60):
        match choose.choice(("write", "write", "read", "acknowledge", "save", "crash", "day")):
            case "write":
                for _ in range(choose.randrange(4)):
                    sequence_id = choose.choice((A, B))
                    is_own = choose.random() < 0.2
                    rig.written.append(Written(sequence_id, following[sequence_id], is_own))
                    following[sequence_id] += 1
            case "read":
                rig.reader.batch_entries = choose.randrange(1, 5)
                rig.read()
            case "acknowledge":
                rig.acknowledge(choose.sample(rig.pending, len(rig.pending) // 2))
                for source in rig.input.closable:
                    rig.close(source.number)
            case "save":
                rig.save()
            case "crash":
                rig.crash()
                rig.restart()
            case "day":
                rig.clock.nanos += DAY_NANOS
    rig.read()
    assert _places(rig.written) == rig.stored()
    rig.crash()


def test_a_journal_that_can_not_be_read_is_declared_once(rig: Rig) -> None:
    """At once, of unknown size, with what to do; again where it was well between."""
    rig.written += _numbers(A, 1)
    for _ in range(2):
        rig.reader.error = ConfigError("there is no journal", why="no folder", next_step="make it")
        assert [] == rig.read() == rig.read()
        rig.reader.error = None
        rig.read()
        rig.reader.error = OSError("gone")
        rig.input.look()
    declared = Gap(
        source=None,
        path="journald",
        start=0,
        end=0,
        cause="unreadable",
        reason="there is no journal: no folder",
        next_step="make it",
    )
    assert [declared, declared] == rig.centre.gaps


def test_a_file_that_is_no_journal_is_declared_beside_what_is_read(rig: Rig) -> None:
    """The library passes over it without a word."""
    rig.written += _numbers(A, 1, 2)
    rig.reader.damaged = {"/j/b.journal": "its first bytes are others"}
    rig.read()
    assert [(A, 1), (A, 2)] == rig.stored()
    assert [("/j/b.journal", "unreadable")] == [(gap.path, gap.cause) for gap in rig.centre.gaps]
    assert {"/j/b.journal": "its first bytes are others"} == rig.input.damaged
