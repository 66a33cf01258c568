"""Reads an instance's lines in order of time, all or the last N, holding one page at a time.

In: a store, a query, the derived events, a filter. Out: entries, oldest first. To give the last N
it walks back counting, remembers only where the N-th stands, and reads forward from there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from forensics.ledger.model import LifecycleEvent
from forensics.ledger.timeline import TimelineEntry, TimelinePage, merge_page, select_events
from forensics.store.protocol import Cursor, Query, Store
from shipper.wire.times import LATEST

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Start:
    """Where the last N begin, and where they ended when that was asked."""

    first: Cursor
    last: Cursor
    more: bool
    """Whether the filter keeps still older entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One question to the store, read page by page."""

    store: Store
    query: Query
    events: Sequence[LifecycleEvent]
    keep: Callable[[TimelineEntry], bool]

    async def find_start(self, limit: int) -> Start | None:
        """Where the last `limit` kept entries begin; None: there are not more than these."""
        before: Cursor | None = Cursor(LATEST)
        count, first, last = 0, None, None
        while before is not None:
            page = await self._page(before=before)
            for entry in reversed(page.entries):
                last = last or entry.cursor
                if not self.keep(entry):
                    continue
                if first is not None and count == limit:
                    return Start(first, last, more=True)
                count, first = count + 1, entry.cursor
            before = page.first if page.more else None
        return None

    async def read_from(self, start: Start | None) -> AsyncIterator[TimelineEntry]:
        """Kept entries from `start` to its end; None: all of them."""
        # Strictly after a place without id is at that place or later; earlier ones are skipped.
        after = None if start is None else start.first._replace(id="")
        while True:
            page = await self._page(after=after)
            for entry in page.entries:
                if start is not None and entry.cursor < start.first:
                    continue
                if start is not None and entry.cursor > start.last:
                    return
                if self.keep(entry):
                    yield entry
            if not page.more or page.last is None:
                return
            after = page.last

    async def _page(
        self, *, after: Cursor | None = None, before: Cursor | None = None
    ) -> TimelinePage:
        page = await self.store.page(self.query, after=after, before=before, limit=_PAGE)
        events = select_events(self.events, self.query)
        return merge_page(page, events, after=after, before=before)
