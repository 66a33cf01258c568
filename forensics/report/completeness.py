"""Completeness of every path of an instance: which of its bytes are stored, and up to where.

In: a store and a ledger row. Out: one `PathRow` per path, by path. The judging of ranges is
`forensics.proof`'s; this module counts what `raw` would give and says what it adds up to.
"""

from __future__ import annotations

from forensics.errors import IntegrityError
from forensics.ledger.model import InstanceRow
from forensics.proof.raw import Bytes, read_path
from forensics.proof.sources import load_generations, load_paths
from forensics.report.model import HoleRow, PathRow, Verdict
from forensics.store.protocol import Store


async def read_completeness(store: Store, instance: InstanceRow) -> tuple[PathRow, ...]:
    """One row for each path that the instance's streams opened."""
    paths = await load_paths(store, instance.instance_id)
    return tuple([await _read_row(store, instance, path) for path in paths])


async def _read_row(store: Store, instance: InstanceRow, path: str) -> PathRow:
    generations = await load_generations(store, instance.instance_id, path)
    names = [source.name for generation in generations for source in generation.sources]
    stored_bytes, holes, problem = 0, [], ""
    try:
        async for piece in read_path(store, instance.instance_id, path):
            if isinstance(piece, Bytes):
                stored_bytes += len(piece.data)
            else:
                holes.append(
                    HoleRow(
                        source=piece.source, start=piece.start, end=piece.end, reason=piece.reason
                    )
                )
    except IntegrityError as error:
        problem = f"{error.what}: {error.why}"
    return PathRow(
        path=path,
        files=len(generations),
        sources=tuple(names),
        stored_bytes=stored_bytes,
        verdict=_judge(closed=instance.closed, holes=bool(holes), altered=bool(problem)),
        holes=tuple(holes),
        problem=problem,
    )


def _judge(*, closed: bool, holes: bool, altered: bool) -> Verdict:
    if altered:
        return Verdict.ALTERED
    if holes:
        return Verdict.MISSING
    return Verdict.COMPLETE if closed else Verdict.OPEN
