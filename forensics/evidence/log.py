"""An append-only log in an evidence store: one numbered object for each entry of a chain.

In: bodies to append, by any number of processes at once. Out: entries, each put exactly once, and
the whole log, verified, on reading.
Must never lose an entry to a race: the conditional put of the next number decides who comes next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from forensics.errors import NotFoundError, TimedOutError
from forensics.evidence.chain import Entry, build_entry, encode_entry, verify_chain
from forensics.evidence.ports import EvidenceStore
from shipper.wire.times import format_time

_RACES_LIMIT: Final = 1000


class ChainedLog:
    """The log whose objects are `NAME/000001.json`, `NAME/000002.json` and so on."""

    def __init__(
        self, evidence: EvidenceStore, name: str, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.name = name
        self._evidence = evidence
        self._clock = clock
        self._entries: list[Entry] = []

    def append(self, body: Mapping[str, Any]) -> Entry:
        """Add one entry after all that are there; it is durable when this returns."""
        for _ in range(_RACES_LIMIT):
            entries = self.read()
            previous = entries[-1] if entries else None
            entry = build_entry(self.name, previous, format_time(self._clock()), body)
            if self._evidence.put_new(self._key(entry.n), encode_entry(entry)):
                self._entries.append(entry)
                return entry
        raise TimedOutError(
            f"{self.name}: no turn to append",
            why=f"{_RACES_LIMIT} entries of others came first",
            next_step="see who else works on this case, and try again",
        )

    def read(self, *, count: int | None = None, head: str = "") -> Sequence[Entry]:
        """Every entry, in order, verified; those read before are not read again.

        `count` and `head`: what others remember, see `verify_chain`.
        """
        self._entries = list(
            verify_chain(
                self.name, self._fetch_new(), verified=self._entries, count=count, head=head
            )
        )
        return tuple(self._entries)

    def _fetch_new(self) -> Sequence[bytes]:
        """What is stored after the entries known so far, in the order of the keys."""
        found: list[bytes] = []
        while True:
            known = len(self._entries) + len(found)
            try:
                found.append(self._evidence.get(self._key(known + 1)))
                continue
            except NotFoundError:
                pass
            # A hole in the numbers must not hide what lies behind it. Numbers are given in order,
            # so a next one that is there by now means only that somebody writes.
            later = [key for key in self._evidence.list(f"{self.name}/") if key > self._key(known)]
            if self._key(known + 1) not in later:
                return [*found, *(self._evidence.get(key) for key in later)]

    def _key(self, n: int) -> str:
        return f"{self.name}/{n:06d}.json"
