"""A tail over real files and a real state folder, with a clock in the test's hands.

In: a folder of logs. Out: what was given out, put together by source, as a centre would hold it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shipper.sources.followed import SourceNumbers
from shipper.sources.notify import Watcher
from shipper.sources.part import LogPart
from shipper.sources.ports import Gap, SourcePorts
from shipper.sources.tail import Tail
from shipper.sources.watch import Segments, Watch
from shipper.state_folder import StateFolder
from shipper.wire.builder import RecordBuilder, split_items
from shipper.wire.record import Identity, logs_index, parse_record_id, stored_bytes
from shipper.wire.state import Checkpoint, SourceRow
from shipper.wire.times import format_time, parse_time
from shipper.wire.transforms import Drop
from shipper.wire.vitals import Vital, VitalsWriter

NOON = parse_time("2026-01-03T12:00:00Z")
DAY_NANOS = 86_400 * 1_000_000_000


@dataclass
class HandClock:
    """A clock that moves when it is told to."""

    nanos: int = NOON
    seconds: float = 1000.0

    def now_nanos(self) -> int:
        """The time of day."""
        return self.nanos

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
        self.nanos += int(seconds * 1e9)


@dataclass
class Centre:
    """What was given out: documents by (index, id), and rows and gaps in order."""

    documents: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    rows: list[SourceRow] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def take(self, part: LogPart) -> None:
        """Store a part's documents; the same id twice is one document."""
        for item in split_items(part.build().body):
            action, document, _ = item.split(b"\n")
            place = json.loads(action)["create"]
            self.documents[place["_index"], place["_id"]] = json.loads(document)

    def contents(self) -> dict[int, bytes]:
        """The bytes of each source; AssertionError: a hole, an overlap, or an id in two indices."""
        found: dict[int, bytes] = {}
        places = [(parse_record_id(document_id), document_id) for _, document_id in self.documents]
        assert len(places) == len({document_id for _, document_id in places})
        by_id = {document_id: fields for (_, document_id), fields in self.documents.items()}
        for key, document_id in sorted(places):
            assert key.offset == len(found.get(key.source, b"")), f"at {document_id}"
            data = stored_bytes(document_id, by_id[document_id])
            found[key.source] = found.get(key.source, b"") + data
        return found

    def indices(self, source: int) -> list[tuple[str, int]]:
        """Index and offset of each record of a source, by offset."""
        return sorted(
            (
                (index, parse_record_id(document_id).offset)
                for index, document_id in self.documents
                if parse_record_id(document_id).source == source
            ),
            key=lambda item: item[1],
        )


class Follower:
    """One tail at a time, restarted as often as asked."""

    def __init__(
        self,
        folder: Path,
        *patterns: str,
        open_files_limit: int = 512,
        watcher: Watcher | None = None,
        segments: Segments | None = None,
    ) -> None:
        self.logs = folder / "logs"
        self.logs.mkdir(exist_ok=True)
        self._watcher = watcher
        self._segments = segments
        self.clock = HandClock()
        self.centre = Centre()
        self._folder = folder
        self._patterns = [str(self.logs / pattern) for pattern in patterns or ("*.log",)]
        self._open_files_limit = open_files_limit
        self._start()

    def _start(self) -> None:
        now = format_time(self.clock.now_nanos())
        self.state = StateFolder(self._folder / "state", instance_id="i-1", now=now)
        self.tail = Tail(
            [Watch(patterns=self._patterns, segments=self._segments)],
            SourcePorts(
                journal=self.state,
                clock=self.clock,
                make_builder=self._make_builder,
                on_row=self._on_row,
                on_gap=self._on_gap,
                make_drop=self._make_drop,
                numbers=SourceNumbers(self.state.journal.next_source),
            ),
            unpack_folder=str(self._folder),
            since=self.state.stream.created,
            watcher=self._watcher,
            open_files_limit=self._open_files_limit,
        )
        self.tail.load(self.state.journal, self.state.load_checkpoint())

    def _make_builder(self, row: SourceRow) -> RecordBuilder:
        return RecordBuilder(
            identity=Identity(instance_id="i-1"),
            stream=self.state.stream.stream,
            source=row.source,
            path=row.path,
            index=logs_index(row.day),
        )

    def _make_drop(self, row: SourceRow, drop: Drop) -> Vital:
        writer = VitalsWriter(
            identity=Identity(instance_id="i-1"), stream=self.state.stream.stream, run=1
        )
        at = format_time(self.clock.now_nanos())
        return writer.drop(at, source=row.source, path=row.path, drop=drop)

    def _on_row(self, row: SourceRow) -> None:
        self.centre.rows.append(row)
        source = self.tail.find(row.source)
        if source is not None:
            source.published_rows += 1

    def _on_gap(self, gap: Gap) -> None:
        self.centre.gaps.append(gap)
        if gap.source is not None and gap.source in {s.number for s in self.tail.sources}:
            self.note_gap_published(gap.source)

    def note_gap_published(self, number: int) -> None:
        """The centre has the gap's document."""
        source = self.tail.find(number)
        assert source is not None
        source.unpublished_gaps -= 1

    def step(self, seconds: float = 1.0, *, acknowledge: bool = True) -> list[LogPart]:
        """A second passes: look for files, read all there is."""
        self.clock.advance(seconds)
        self.tail.rescan()
        return self.read(acknowledge=acknowledge)

    def read(self, *, acknowledge: bool = True) -> list[LogPart]:
        """Read all there is, and have the centre store it."""
        self.tail.cut_partials()
        parts = list(self.tail.read_parts(1 << 30))
        for part in parts:
            self.centre.take(part)
            if acknowledge:
                source = self.tail.find(part.source)
                assert source is not None
                source.acknowledge(part, 0)
        self.tail.close_settled()
        return parts

    def save(self) -> None:
        """Write a checkpoint."""
        progress = {source.number: source.progress() for source in self.tail.sources}
        now = format_time(self.clock.now_nanos())
        self.state.save_checkpoint(
            Checkpoint(stream=self.state.stream.stream, saved_at=now, sources=progress)
        )

    def crash(self) -> None:
        """The process is gone; what it did not save is forgotten."""
        self.tail.close()
        self.state.close()

    def restart(self) -> None:
        """The next process on the same state folder."""
        self._start()

    def write(self, name: str, data: bytes) -> Path:
        """Append to a log."""
        path = self.logs / name
        with path.open("ab") as file:
            file.write(data)
        return path


def rotate(follower: Follower, name: str, *, keep: int = 9) -> None:
    """A chain: name.1 → name.2, name → name.1."""
    for number in range(keep, 0, -1):
        older = follower.logs / f"{name}.{number}"
        if older.exists():
            older.rename(follower.logs / f"{name}.{number + 1}")
    (follower.logs / name).rename(follower.logs / f"{name}.1")
