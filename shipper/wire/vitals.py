"""Vitals: the documents in which a stream tells its own story.

In: identity, stream, run and facts. Out: (`_id`, fields) pairs for the vitals index: birth, source,
heartbeat, gap, closing. Ids are `stream-v-run-seq`, but a source row's is `stream-v-source-n-from`,
since it is published again after a crash. It must never look at a clock.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from shipper.wire.record import Identity, build_document
from shipper.wire.state import SourceRow
from shipper.wire.transforms import Drop

DATASET: Final = "afterimage.vitals"


class Vital(NamedTuple):
    """One vitals document."""

    id: str
    fields: Mapping[str, Any]

    def build(self) -> bytes:
        """Its `_bulk` item."""
        return build_document("vitals", self.id, self.fields)


class VitalsWriter:
    """Makes the vitals of one run, numbering them."""

    def __init__(self, *, identity: Identity, stream: str, run: int) -> None:
        self._identity = identity.as_fields()
        self._stream = stream
        self._run = run
        self._seq = 0

    def birth(self, at: str, facts: Mapping[str, Any]) -> Vital:
        """The shipper started; `facts`: what it found of machine, boot and state."""
        return self._next(at, "birth", f"shipper started, run {self._run}", facts)

    def source(self, row: SourceRow, at: str) -> Vital:
        """A source row as a document; the same each time it is made, but for `event.created`."""
        fields = self._fields(row.at, "source", f"following {show_row(row)}")
        fields["event.created"] = at
        fields |= {
            "afterimage.source": row.source,
            "log.file.path": show_row(row),
            "log.file.inode": str(row.inode),
            "log.file.device": str(row.device),
            "afterimage.fingerprint": row.fingerprint,
            "afterimage.fingerprint_bytes": row.fingerprint_bytes,
            "afterimage.day": row.day,
            "afterimage.from_offset": row.from_offset,
            "afterimage.kind": row.kind,
        }
        if row.name:
            fields["afterimage.name"] = row.name
        place = f"{row.from_offset}-{row.inode}" if row.is_copy else str(row.from_offset)
        return Vital(f"{self._stream}-v-source-{row.source}-{place}", fields)

    def heartbeat(
        self, at: str, counters: Mapping[str, int], sources: Sequence[Mapping[str, int]]
    ) -> Vital:
        """How far each source that moved is: `{source, read, acked, size}`.

        And `dropped` and `dead_lettered` bytes where there are any.
        """
        return self._next(at, "heartbeat", "shipper is alive", _counts(counters, sources))

    def gap(
        self,
        at: str,
        *,
        source: int | None,
        path: str,
        start: int,
        end: int,
        cause: str,
        reason: str,
    ) -> Vital:
        """Bytes `[start, end)` that were not read; `end` equal to `start`: how many is unknown."""
        facts: dict[str, Any] = {
            "log.file.path": show_path(path),
            "afterimage.from": start,
            "afterimage.to": end,
            "afterimage.cause": cause,
            "afterimage.reason": reason,
        }
        if source is not None:
            facts["afterimage.source"] = source
        return self._next(at, "gap", f"gap in {show_path(path)}: {reason}", facts)

    def drop(self, at: str, *, source: int, path: str, drop: Drop) -> Vital:
        """Bytes that a rule kept from being shipped; the same id whenever they are read again."""
        records = "1 record" if drop.count == 1 else f"{drop.count} records"
        fields = self._fields(at, "drop", f"dropped {records} of {path}: {drop.reason}")
        fields |= {
            "log.file.path": path,
            "afterimage.source": source,
            "afterimage.from": drop.start,
            "afterimage.to": drop.end,
            "afterimage.count": drop.count,
            "afterimage.reason": drop.reason,
        }
        return Vital(f"{self._stream}-v-drop-{source}-{drop.start}-{drop.end}", fields)

    def closing(
        self,
        at: str,
        *,
        reason: str,
        counters: Mapping[str, int],
        sources: Sequence[Mapping[str, int]],
    ) -> Vital:
        """The shipper stopped, and everything that it read is stored."""
        facts = {"afterimage.reason": reason, **_counts(counters, sources)}
        return self._next(at, "closing", f"shipper stopped: {reason}", facts)

    def _next(self, at: str, action: str, message: str, facts: Mapping[str, Any]) -> Vital:
        self._seq += 1
        fields = {**self._fields(at, action, message), **facts}
        return Vital(f"{self._stream}-v-{self._run}-{self._seq}", fields)

    def _fields(self, at: str, action: str, message: str) -> dict[str, Any]:
        return {
            "@timestamp": at,
            "event.created": at,
            "event.dataset": DATASET,
            "event.action": action,
            "message": message,
            "afterimage.stream": self._stream,
            "afterimage.run": self._run,
            **self._identity,
        }


def show_path(path: str) -> str:
    r"""A path as a document can carry it: bytes that are no UTF-8 as `\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def show_row(row: SourceRow) -> str:
    """What the documents of a row say as its path: its name, where it has one."""
    return row.name or show_path(row.path)


def _counts(counters: Mapping[str, int], sources: Sequence[Mapping[str, int]]) -> dict[str, Any]:
    return {
        **{f"afterimage.counters.{name}": count for name, count in counters.items()},
        "afterimage.sources": list(sources),
    }
