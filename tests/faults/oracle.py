"""The one oracle: a line is owed from the moment it is written until the centre has it, once.

In: every piece that a writer wrote, and what the centre holds at the end. Out: an `Account` of
lost, repeated and altered lines. Every line carries the number of its file's life, its own number
and a checksum, so that no two are the same. It must never excuse a line that a shipper could have
saved: what nobody could is counted by itself (`raced`), and has to be declared at the centre.
"""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from shipper.wire.record import parse_record_id, stored_bytes

Stored = tuple[str, str, Mapping[str, Any]]
"""Index, id and fields."""

_SHOWN = 5


@dataclass(slots=True)
class Life:
    """One life of one file: from its creation, or the last truncation, to the next."""

    number: int
    path: str
    data: bytearray = field(default_factory=bytearray)
    """What was written, in order."""
    lines: int = 0
    risky_from: int | None = None
    """From this byte on nobody is to blame for a loss that is declared."""
    is_unseen: bool = False
    """It came and went while no shipper looked: nobody can declare what nobody knows of."""

    def excuse(self, from_byte: int, *, is_unseen: bool = False) -> None:
        """The bytes from here on went with the file before anybody could be sure to have them."""
        self.is_unseen |= is_unseen
        known = self.risky_from
        self.risky_from = from_byte if known is None else min(known, from_byte)

    def pieces(self) -> list[tuple[int, bytes]]:
        """The lines without their ends, each with its offset; a last one may have had no end."""
        found = []
        at = 0
        for piece in bytes(self.data).split(b"\n"):
            found.append((at, piece))
            at += len(piece) + 1
        if not found[-1][1]:
            found.pop()
        return found


class Ledger:
    """What was written. Threads may share it."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self._lock = threading.Lock()

    def begin(self, path: str) -> Life:
        """A file begins to live."""
        with self._lock:
            life = Life(len(self.lives), path)
            self.lives.append(life)
            return life

    @staticmethod
    def make_line(life: Life, payload: bytes) -> bytes:
        """The life's next line, end included; owed only once it was `note`d as written."""
        life.lines += 1
        return b"%05d-%07d %08x %b\n" % (life.number, life.lines, zlib.crc32(payload), payload)

    @staticmethod
    def note(life: Life, data: bytes) -> None:
        """These bytes are in the file now."""
        life.data += data

    @property
    def line_count(self) -> int:
        """How many lines are owed."""
        return sum(len(life.pieces()) for life in self.lives)


@dataclass(kw_only=True)
class Account:
    """What became of every line."""

    lines: int = 0
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    raced: int = 0
    """Lost with their file before anybody could have them; declared, where anybody saw the file."""
    declared: int = 0
    """Stored again under another stream, as a damaged state folder may have it."""

    def __str__(self) -> str:
        text = (
            f"{self.lines} lines,"
            f" loss/repeats/altered = {len(self.lost)}/{len(self.repeated)}/{len(self.altered)}"
        )
        if self.raced:
            text += f", {self.raced} went with their file and are declared"
        if self.declared:
            text += f", {self.declared} again under another stream"
        return text

    @property
    def faults(self) -> list[str]:
        """What is wrong, in words: the first of each kind."""
        return [
            f"{kind}: {text}"
            for kind in ("lost", "repeated", "altered")
            for text in getattr(self, kind)[:_SHOWN]
        ]


def judge(ledger: Ledger, logs: Iterable[Stored], gaps: Iterable[Mapping[str, Any]]) -> Account:
    """Hold the records of Afterimage's streams, and their declared gaps, against the ledger."""
    account = Account()
    streams: dict[str, dict[int, list[tuple[int, bytes]]]] = {}
    for _, document_id, fields in logs:
        key = parse_record_id(document_id)
        try:
            data = stored_bytes(document_id, fields)
        except ValueError as error:
            account.altered.append(str(error))
            continue
        streams.setdefault(key.stream, {}).setdefault(key.source, []).append((key.offset, data))
    stored: Counter[bytes] = Counter()
    edges: set[bytes] = set()
    for sources in streams.values():
        of_stream: Counter[bytes] = Counter()
        for number, records in sources.items():
            _read_source(account, number, records, of_stream, edges)
        account.declared += sum(min(count, stored[piece]) for piece, count in of_stream.items())
        for piece, count in of_stream.items():
            stored[piece] = max(stored[piece], count)
    _compare(account, ledger, stored, {str(gap["log.file.path"]) for gap in gaps}, edges)
    return account


def judge_messages(ledger: Ledger, messages: Iterable[bytes]) -> Account:
    """Hold the messages of any shipper, one line each, against the ledger."""
    account = Account()
    _compare(account, ledger, Counter(messages), None, frozenset())
    return account


def _read_source(
    account: Account,
    number: int,
    records: list[tuple[int, bytes]],
    pieces: Counter[bytes],
    edges: set[bytes],
) -> None:
    """Lay a source's records side by side and cut them into lines; a hole leaves edges."""
    records.sort()
    at = 0
    run = bytearray()
    is_whole = True  # the run begins where a line does
    for offset, data in records:
        if offset < at:
            account.repeated.append(f"source {number}: [{offset}, {at}) is stored twice")
            continue
        if offset > at:
            _cut_run(run, pieces, edges, is_whole=is_whole, goes_on=True)
            run, is_whole = bytearray(), False
        run += data
        at = offset + len(data)
    _cut_run(run, pieces, edges, is_whole=is_whole, goes_on=False)


def _cut_run(
    run: bytearray, pieces: Counter[bytes], edges: set[bytes], *, is_whole: bool, goes_on: bool
) -> None:
    """What stands at a hole may be a whole line or a part of one."""
    lines = bytes(run).split(b"\n")
    if not lines[-1]:
        lines.pop()
    elif goes_on:
        edges.add(lines[-1])
    if lines and not is_whole:
        edges.add(lines[0])
    pieces.update(lines)


def _compare(
    account: Account,
    ledger: Ledger,
    stored: Counter[bytes],
    gap_paths: set[str] | None,
    edges: AbstractSet[bytes],
) -> None:
    """Hold lines against lines.

    `gap_paths`: where something was declared missing; None: this shipper declares nothing.
    `edges`: what may be a part of a line, beside a hole.
    """
    owed: Counter[bytes] = Counter()
    risky: dict[bytes, Life] = {}
    paths: dict[bytes, str] = {}
    for life in ledger.lives:
        for offset, piece in life.pieces():
            owed[piece] += 1
            paths[piece] = life.path
            if life.risky_from is not None and offset + len(piece) >= life.risky_from:
                risky[piece] = life
    account.lines = owed.total()
    for piece, count in (owed - stored).items():
        excused = risky.get(piece)
        if excused is None:
            account.lost += [f"{paths[piece]}: {piece[:80]!r}"] * count
        elif gap_paths is not None and not excused.is_unseen and excused.path not in gap_paths:
            account.lost += [f"{piece[:80]!r} went with its file, and no gap says so"] * count
        else:
            account.raced += count
    for piece, count in (stored - owed).items():
        if owed[piece]:
            account.repeated += [f"{piece[:80]!r}"] * count
        elif not any(
            piece in life.data for life in (ledger.lives if piece in edges else risky.values())
        ):
            account.altered += [f"{piece[:80]!r} was never written"] * count
