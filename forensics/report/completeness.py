"""Completeness of every path of an instance: which of its bytes are stored, and up to where.

In: a store and a ledger row. Out: one `PathRow` per path or name. The judging of ranges is
`forensics.proof`'s; this module counts what `raw` would give and says what it adds up to.
"""

from __future__ import annotations

from dataclasses import asdict

from forensics.errors import IntegrityError
from forensics.ledger.model import InstanceRow
from forensics.proof.declared import load_paths
from forensics.proof.pieces import Bytes, Dropped, Hole, Masked, Numbered, Piece
from forensics.proof.raw import read_path
from forensics.proof.sources import load_generations
from forensics.report.model import DropRow, HoleRow, JournalEntries, PathRow, Verdict
from forensics.store.protocol import Store


class Account:
    """What the pieces of one path add up to."""

    def __init__(self) -> None:
        self.stored_bytes = 0
        self.holes: list[HoleRow] = []
        self.masked_records = 0
        self.masked_bytes = 0
        self.journal: JournalEntries | None = None
        self._dropped: dict[str, DropRow] = {}

    def add(self, piece: Piece) -> None:
        """Count a piece in."""
        match piece:
            case Bytes(data):
                self.stored_bytes += len(data)
            case Hole():
                self.holes.append(HoleRow(**asdict(piece)))
            case Dropped():
                self._add_dropped(piece)
            case Masked(records, size_bytes):
                self.masked_records += records
                self.masked_bytes += size_bytes
            case Numbered():
                self._add_numbered(piece)

    @property
    def dropped(self) -> tuple[DropRow, ...]:
        """What rules left out, by reason."""
        return tuple(self._dropped[reason] for reason in sorted(self._dropped))

    def _add_dropped(self, piece: Dropped) -> None:
        row = self._dropped.get(piece.reason)
        size_bytes = piece.end - piece.start if piece.unit == "bytes" else 0
        self._dropped[piece.reason] = DropRow(
            reason=piece.reason,
            records=piece.count + (row.records if row else 0),
            size_bytes=size_bytes + (row.size_bytes if row else 0),
            places=1 + (row.places if row else 0),
        )

    def _add_numbered(self, piece: Numbered) -> None:
        """Each journal (one a machine, or one a boot) has its own numbers: the last one's stay."""
        before = self.journal.count if self.journal else 0
        if piece.count or self.journal is None:
            self.journal = JournalEntries(
                count=before + piece.count, first=piece.first, last=piece.last
            )


async def read_completeness(store: Store, instance: InstanceRow) -> tuple[PathRow, ...]:
    """One row for each path or name that the instance's streams opened."""
    paths = await load_paths(store, instance.instance_id)
    return tuple([await _read_row(store, instance, path) for path in paths])


async def _read_row(store: Store, instance: InstanceRow, path: str) -> PathRow:
    generations = await load_generations(store, instance.instance_id, path)
    account, problem = Account(), ""
    try:
        async for piece in read_path(store, instance.instance_id, path):
            account.add(piece)
    except IntegrityError as error:
        problem = f"{error.what}: {error.why}"
    return PathRow(
        path=path,
        files=len(generations),
        sources=tuple(source.name for generation in generations for source in generation.sources),
        stored_bytes=account.stored_bytes,
        verdict=_judge(account, closed=instance.closed, altered=bool(problem)),
        holes=tuple(account.holes),
        problem=problem,
        kind=generations[0].kind if generations else "file",
        dropped=account.dropped,
        masked_records=account.masked_records,
        masked_bytes=account.masked_bytes,
        journal=account.journal,
    )


def _judge(account: Account, *, closed: bool, altered: bool) -> Verdict:
    if altered:
        return Verdict.ALTERED
    if account.holes:
        return Verdict.MISSING
    if not closed:
        return Verdict.OPEN
    return Verdict.NUMBERED if account.journal is not None else Verdict.COMPLETE
