"""One instance's logs, stored lifecycle and derived events, as one `EventSource`.

In: two openings of a store (or none) and the ledger's row. Out: pages, counts and bars over all of
it in one order of time. Pages have an opening of their own: a long count must never hold up a page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from forensics.ledger.lifecycle import to_document
from forensics.ledger.model import InstanceRow, LifecycleEvent
from forensics.ledger.timeline import TimelineEntry, merge_page, select_events
from forensics.moments import nanos_or_none
from forensics.store.protocol import Bucket, Cursor, Document, Page, Query, Store
from shipper.wire.times import format_time

DERIVED_INDEX: Final = "afterimage-lifecycle (derived)"
"""In place of an index, where an event is told by the ledger and stored nowhere."""


class TimelineSource:
    """The whole story of one instance."""

    def __init__(self, pages: Store | None, counts: Store | None, row: InstanceRow) -> None:
        self._pages = pages
        self._counts = counts
        self._events: Sequence[LifecycleEvent] = row.events
        self._stored: frozenset[str] | None = None

    async def page(
        self,
        query: Query,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 500,
    ) -> Page:
        """See `Store.page`."""
        stored = Page((), more=False)
        if self._pages is not None:
            stored = await self._pages.page(query, after=after, before=before, limit=limit)
        events = select_events(self._events, query)
        merged = merge_page(stored, events, after=after, before=before)
        entries = merged.entries if before is None else merged.entries[::-1]
        chosen = list(map(_document_of, entries[:limit]))
        if before is not None:
            chosen.reverse()
        return Page(chosen, stored.more or len(entries) > limit)

    async def count(self, query: Query) -> int:
        """See `Store.count`."""
        events = await self._unstored(query)
        stored = 0 if self._counts is None else await self._counts.count(query)
        return stored + len(events)

    async def histogram(self, query: Query, buckets: int) -> Sequence[Bucket]:
        """See `Store.histogram`; where derived events lie outside, the bars are made wider."""
        stored = () if self._counts is None else await self._counts.histogram(query, buckets)
        events = await self._unstored(query)
        return add_events(stored, events, buckets)

    async def _unstored(self, query: Query) -> Sequence[LifecycleEvent]:
        """The derived events that no stored document tells too."""
        events = select_events(self._events, query)
        if self._counts is None or not events:
            return events
        if self._stored is None:
            only = replace(
                Query(families=frozenset(("lifecycle",))), instance_ids=query.instance_ids
            )
            found: list[str] = []
            after: Cursor | None = None
            while True:
                page = await self._counts.page(only, after=after)
                found += [document.id for document in page.documents]
                if not page.more or not page.documents:
                    break
                after = page.documents[-1].cursor
            self._stored = frozenset(found)
        return [event for event in events if to_document(event)[0] not in self._stored]


def _document_of(entry: TimelineEntry) -> Document:
    if entry.document is not None:
        return entry.document
    if entry.event is None:
        raise ValueError(f"the entry at {entry.at} has neither document nor event")
    document_id, fields = to_document(entry.event)
    return Document(document_id, DERIVED_INDEX, fields)


def add_events(
    bars: Sequence[Bucket], events: Sequence[LifecycleEvent], buckets: int
) -> list[Bucket]:
    """The bars with events counted in: into the bars there are, or into as many wider ones."""
    times = [nanos for event in events if (nanos := nanos_or_none(event.at)) is not None]
    if not times:
        return list(bars)
    starts = [nanos_or_none(bar.start) or 0 for bar in bars]
    width = starts[1] - starts[0] if len(starts) > 1 else 1_000_000_000
    low = min((*times, *starts[:1]))
    high = max((*times, *(start + width - 1 for start in starts[-1:])))
    if starts and low >= starts[0] and high < starts[-1] + width:
        low, count = starts[0], len(starts)
    else:
        width = max((high - low) // max(1, buckets) + 1, 1)
        count = (high - low) // width + 1
    totals = [0] * count
    levels: list[Counter[str]] = [Counter() for _ in range(count)]
    for start, bar in zip(starts, bars, strict=True):
        number = (start - low) // width
        totals[number] += bar.count
        levels[number].update(bar.by_level)
    for nanos in times:
        totals[(nanos - low) // width] += 1
    return [
        Bucket(format_time(low + number * width), totals[number], dict(levels[number]))
        for number in range(count)
    ]
