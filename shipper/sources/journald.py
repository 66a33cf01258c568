"""The journal as a source: entries in their order, from this boot's start or from a cursor on.

In: a cursor, or none, and a bound in bytes. Out: batches of entries, each as its canonical line
under its sequence number; what is the shipper's own and so not shipped; numbers that should be
there and are not. It must never give an entry twice, nor pass over one without saying so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shipper.sources.journal_access import check_access, find_damaged
from shipper.sources.libsystemd import GONE, LIBRARY, JournalHandle, Libsystemd
from shipper.wire.journal_entries import build_line
from shipper.wire.transforms import Drop

BATCH_ENTRIES: Final = 1000
OWN_REASON: Final = "the shipper's own entries"
_GAPS_LIMIT: Final = 16
"""How many gaps a batch tells apart; of more it tells from where to where."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_CGROUP: Final = Path("/proc/self/cgroup")
_CURSOR: Final = re.compile(
    r"s=([0-9a-f]{32});i=([0-9a-f]+);b=([0-9a-f]{32});m=([0-9a-f]+);t=([0-9a-f]+);x=([0-9a-f]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an entry stands, as its cursor says."""

    cursor: str
    sequence_id: str
    """Which numbering: journald begins another one where it can't go on with the one before."""
    sequence: int
    boot: str
    monotonic_micros: int
    realtime_micros: int
    digest: str
    """Of its fields: with its times it is what an entry keeps when it is numbered anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry."""

    sequence: int
    cursor: str
    data: bytes
    """Its line (wire/journal_entries.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalGap:
    """Sequence numbers that were not seen, `[start, end)`; equal: which, can't be known."""

    sequence_id: str
    start: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What was read at once, all under one sequence id."""

    sequence_id: str
    start: int
    """The first entry's number."""
    end: int
    """One more than the last one's."""
    cursor: str
    """The last one's, be it shipped or not: reading goes on behind it."""
    entries: Sequence[Entry]
    drops: Sequence[Drop]
    """Runs of numbers that are not shipped."""
    gaps: Sequence[JournalGap]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    place: Place
    data: bytes
    """Empty: it is the shipper's own."""
    gap: JournalGap | None


class JournalReader:
    """One journal. One thread's."""

    def __init__(
        self, folder: Path | None = None, *, own_unit: str = "", library: str = LIBRARY
    ) -> None:
        """`folder`: journal files to read instead of the machine's; `own_unit`: is not shipped."""
        self._folder = folder
        self._own = b"_SYSTEMD_UNIT=%b" % own_unit.encode() if own_unit else b""
        self._library_name = library
        self._library: Libsystemd | None = None
        self._handle: JournalHandle | None = None
        self._last: Place | None = None
        """The last entry that was given out, by this run or, at first, by the one before."""
        self._is_resuming = False
        self._held: _Step | None = None
        self.damaged: dict[str, str] = {}
        """Files of the folder that are no journal, when it was opened last; and why."""
        self.newest: Place | None = None
        """The last entry that there was when it was opened."""

    def open(self, after: str = "", *, first: tuple[str, int] | None = None) -> None:
        """Begin behind the entry of the cursor `after`; without one, with the newest boot.

        `first`, a sequence id and a number, says with which entry to begin instead.

        Raises:
            ConfigError: there is no library, no journal, or no right to read it.
            OSError: it can't be opened for now.
        """
        self.close()
        self._library = self._library or Libsystemd(self._library_name)
        check_access(self._folder)
        self.damaged = find_damaged(self._folder)
        self._handle = handle = JournalHandle(self._folder, library=self._library)
        handle.seek_tail()
        self.newest = parse_cursor(handle.cursor()) if handle.previous() else None
        self._last = parse_cursor(after)
        self._is_resuming = self._last is not None
        if self._last is not None:  # an earlier boot's last words, too
            handle.seek_cursor(after)
            return
        if first is not None and _seek_number(handle, *first):
            return
        boot = self._find_boot()
        if boot:
            handle.match_boot(boot)
        handle.seek_head()

    def fileno(self) -> int:
        """Readable when something may have come: then `process` and `read`."""
        return self._opened.file

    def process(self) -> None:
        """Take note of new entries and files; without it `read` may not see them."""
        self._opened.process()

    def read(self, limit_bytes: int) -> Batch | None:
        """The next entries, up to the one that passes `limit_bytes`; None: there are none now.

        Raises:
            OSError: the journal can't be read; `open` it again with the last cursor.
        """
        steps: list[_Step] = []
        size_bytes = 0
        while size_bytes < limit_bytes and len(steps) < BATCH_ENTRIES:
            step, self._held = self._held or self._advance(), None
            if step is None:
                break
            if steps and step.place.sequence_id != steps[0].place.sequence_id:
                self._held = step
                break
            steps.append(step)
            size_bytes += len(step.data)
        return _build_batch(steps) if steps else None

    def close(self) -> None:
        """Let go of the journal's files."""
        self._held = None
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    @property
    def _opened(self) -> JournalHandle:
        if self._handle is None:
            raise OSError("the journal is not open")
        return self._handle

    def _find_boot(self) -> str:
        if self._folder is None:
            return _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")
        return "" if self.newest is None else self.newest.boot

    def _advance(self) -> _Step | None:
        while self._opened.next():
            try:
                step = self._take()
            except OSError as error:
                if error.errno not in GONE:
                    raise
                continue  # the next entry's number shows that this one is missing
            if step is not None:
                return step
        return None

    def _take(self) -> _Step | None:
        """The entry that the library stands at; None: it was given before."""
        place = self._read_place()
        last = self._last
        if last is not None and _is_missing_between(last, place) and self._opened.process():
            # a user's file may have come after entries of the next numbers were read
            self._opened.seek_cursor(last.cursor)
            if not self._opened.next():
                return None
            place = self._read_place()
        if last is not None and _is_given(place, last):
            self._is_resuming = False
            return None
        data = self._read_line(place)
        step = _Step(place=place, data=data, gap=self._find_gap(place))
        self._last = place
        self._is_resuming = False
        return step

    def _read_place(self) -> Place:
        cursor = self._opened.cursor()
        place = parse_cursor(cursor)
        if place is None:
            raise OSError(f"journal: a cursor of unknown form: {cursor!r}")
        return place

    def _read_line(self, place: Place) -> bytes:
        values = list(self._opened.values())
        if self._own and self._own in values:
            return b""
        return build_line(
            values,
            cursor=place.cursor,
            sequence=place.sequence,
            realtime_micros=self._opened.realtime_micros(),
        )

    def _find_gap(self, place: Place) -> JournalGap | None:
        last = self._last
        if last is None:
            return None
        start = end = last.sequence + 1
        if place.sequence_id == last.sequence_id:
            end = place.sequence
            if start == end:
                return None
            reason = "removed from the journal before they were read, or never written whole"
        elif self._is_resuming:
            reason = "the entry that was read last is gone, and the numbering is another one"
        else:
            return None
        return JournalGap(sequence_id=last.sequence_id, start=start, end=end, reason=reason)


def parse_cursor(cursor: str) -> Place | None:
    """What a cursor says; None: it is of no known form."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        return None
    sequence_id, sequence, boot, monotonic, realtime, digest = match.groups()
    return Place(
        cursor=cursor,
        sequence_id=sequence_id,
        sequence=int(sequence, 16),
        boot=boot,
        monotonic_micros=int(monotonic, 16),
        realtime_micros=int(realtime, 16),
        digest=digest,
    )


def find_earliest(cursors: Iterable[str]) -> str:
    """The one that is read first; empty: there is none, or one is of no known form."""
    earliest: Place | None = None
    for cursor in cursors:
        place = parse_cursor(cursor)
        if place is None:
            return ""
        if earliest is None or _is_before(place, earliest):
            earliest = place
    return "" if earliest is None else earliest.cursor


def _is_before(one: Place, other: Place) -> bool:
    """As the library has it."""
    if one.sequence_id == other.sequence_id:
        return one.sequence < other.sequence
    if one.boot == other.boot:
        return one.monotonic_micros < other.monotonic_micros
    return one.realtime_micros < other.realtime_micros


def find_own_unit(cgroup: Path = _CGROUP) -> str:
    """The system service that this process is; empty: it is none."""
    try:
        lines = cgroup.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        _, _, place = line.partition(":")
        controllers, _, path = place.partition(":")
        folders = path.split("/")
        if (
            controllers in ("", "name=systemd")
            and folders[-1].endswith(".service")
            and not any(folder.startswith("user@") for folder in folders)
        ):
            return folders[-1]
    return ""


def _seek_number(handle: JournalHandle, sequence_id: str, sequence: int) -> bool:
    """Have the next entry be the first at or after a number; False: that numbering is gone."""
    handle.seek_cursor(f"s={sequence_id};i={sequence:x}")
    while handle.next():  # files of other numberings begin at their heads
        place = parse_cursor(handle.cursor())
        if place is not None and place.sequence_id == sequence_id:
            handle.seek_cursor(place.cursor)
            return True
    return False


def _is_missing_between(last: Place, place: Place) -> bool:
    return place.sequence_id == last.sequence_id and place.sequence > last.sequence + 1


def _is_given(place: Place, last: Place) -> bool:
    if place.sequence_id == last.sequence_id:
        return place.sequence <= last.sequence
    return (place.boot, place.monotonic_micros, place.digest) == (
        last.boot,
        last.monotonic_micros,
        last.digest,
    )


def _build_batch(steps: Sequence[_Step]) -> Batch:
    gaps = [step.gap for step in steps if step.gap is not None]
    if len(gaps) > _GAPS_LIMIT:
        reason = f"{sum(gap.end - gap.start for gap in gaps)} numbers between are missing"
        gaps = [
            JournalGap(
                sequence_id=gaps[0].sequence_id,
                start=gaps[0].start,
                end=gaps[-1].end,
                reason=f"{gaps[0].reason}: {reason}",
            )
        ]
    return Batch(
        sequence_id=steps[0].place.sequence_id,
        start=steps[0].place.sequence,
        end=steps[-1].place.sequence + 1,
        cursor=steps[-1].place.cursor,
        entries=[
            Entry(sequence=step.place.sequence, cursor=step.place.cursor, data=step.data)
            for step in steps
            if step.data
        ],
        drops=_build_drops(steps),
        gaps=gaps,
    )


def _build_drops(steps: Sequence[_Step]) -> list[Drop]:
    drops: list[Drop] = []
    for before, step in zip((None, *steps[:-1]), steps, strict=True):
        if step.data:
            continue
        start, count = step.place.sequence, 1
        if drops and before is not None and not before.data and step.gap is None:
            grown = drops.pop()
            start, count = grown.start, grown.count + 1
        end = step.place.sequence + 1
        drops.append(Drop(start=start, end=end, count=count, reason=OWN_REASON))
    return drops
