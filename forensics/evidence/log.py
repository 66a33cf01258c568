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
from forensics.ports import EvidenceStore
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
        self._stored: list[bytes] = []

    def append(self, body: Mapping[str, Any]) -> Entry:
        """Add one entry after all that are there; it is durable when this returns."""
        entries = self.read()
        previous = entries[-1] if entries else None
        for _ in range(_RACES_LIMIT):
            entry = build_entry(self.name, previous, format_time(self._clock()), body)
            data = encode_entry(entry)
            if self._evidence.put_new(self._key(entry.n), data):
                self._stored.append(data)
                return entry
            self._stored.append(self._evidence.get(self._key(entry.n)))
            previous = verify_chain(self.name, self._stored)[-1]
        raise TimedOutError(
            f"{self.name}: no turn to append",
            why=f"{_RACES_LIMIT} entries of others came first",
            next_step="see who else works on this case, and try again",
        )

    def read(
        self, *, count: int | None = None, head: str = "", start_at: int = 0
    ) -> Sequence[Entry]:
        """Every entry after the first `start_at`, in order; the whole chain is verified.

        `count` and `head`: what others remember, see `verify_chain`.
        """
        self._load_new()
        return verify_chain(self.name, self._stored, count=count, head=head)[start_at:]

    def _load_new(self) -> None:
        while self._load_next():
            pass
        # A hole in the numbers ends the loop above: what lies behind it must be seen too. Numbers
        # are given in order, so a next one that is there by now means only that somebody writes.
        later = [key for key in self._evidence.list(f"{self.name}/") if key > self._last_key()]
        if not later:
            return
        if self._load_next():
            self._load_new()
        else:
            self._stored += [self._evidence.get(key) for key in later]

    def _load_next(self) -> bool:
        try:
            self._stored.append(self._evidence.get(self._key(len(self._stored) + 1)))
        except NotFoundError:
            return False
        return True

    def _last_key(self) -> str:
        return self._key(len(self._stored))

    def _key(self, n: int) -> str:
        return f"{self.name}/{n:06d}.json"
