"""Pages through a huge log: what to ask the store for a jump, a step and a search.

In: an `EventSource` (a store, or a timeline over one), a query, places to go to. Out: a `Window` of
rows around the place, a `ScrollMap` of all, and documents found. It holds at most the window's
pages and asks for one page at a time. It must never know a widget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from forensics.store.protocol import Bucket, Cursor, Document, Page, Query
from forensics.tui.scroll_map import ScrollMap
from forensics.tui.window import PAGE_SIZE, Gap, Window
from shipper.wire.times import EARLIEST, LATEST

PREFETCH_ROWS: Final = 150
HISTOGRAM_BUCKETS: Final = 120
START: Final = Cursor(EARLIEST)
"""Before every document."""
END: Final = Cursor(LATEST)
"""After every document."""


class EventSource(Protocol):
    """The three questions of `forensics.store.protocol.Store` that a log view asks."""

    async def page(
        self,
        query: Query,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 500,
    ) -> Page:
        """See `Store.page`."""
        ...

    async def count(self, query: Query) -> int:
        """See `Store.count`."""
        ...

    async def histogram(self, query: Query, buckets: int) -> Sequence[Bucket]:
        """See `Store.histogram`."""
        ...


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition more, and how it reads."""

    label: str
    """May quote hostile text."""
    changes: tuple[tuple[str, Any], ...]
    """Fields of `Query` and their values."""


def narrow(query: Query, filters: Sequence[Filter]) -> Query:
    """The query with all filters; where two set the same field, the later one holds."""
    changes: dict[str, Any] = {}
    for one in filters:
        changes.update(one.changes)
    return replace(query, **changes)


def with_words(query: Query, words: str) -> Query:
    """The query with these words asked for in addition."""
    return replace(query, match=f"{query.match} {words}".strip())


class Pager:
    """One log and the part of it that is held."""

    def __init__(self, source: EventSource, query: Query) -> None:
        self.source = source
        self.base_query = query
        self.filters: list[Filter] = []
        self.window = Window()
        self.map = ScrollMap()
        self.map_known = False

    @property
    def query(self) -> Query:
        """What is asked for now."""
        return narrow(self.base_query, self.filters)

    @property
    def row_count(self) -> int:
        """How many rows there are: exact once the end is held, else estimated."""
        window = self.window
        if window.end_reached:
            return window.stop
        return max(self.map.total, window.stop + 1)

    async def fetch_map(self) -> None:
        """Count what there is, over time."""
        self.map = ScrollMap(await self.source.histogram(self.query, HISTOGRAM_BUCKETS))
        self.map_known = True

    async def go_start(self) -> None:
        """Hold the first page."""
        page = await self.source.page(self.query, limit=PAGE_SIZE)
        self.window.reset(page, base=0, start_reached=True, end_reached=not page.more)

    async def go_end(self) -> None:
        """Hold the last page."""
        page = await self.source.page(self.query, before=END, limit=PAGE_SIZE)
        base = max(0, self.map.total - len(page.documents)) if page.more else 0
        self.window.reset(page, base=base, start_reached=not page.more, end_reached=True)

    async def go_to(self, place: Cursor, base: int | None = None) -> bool:
        """Hold the page that begins at a place; False: nothing comes after it, the end is held.

        `base` is the row number that the page shall begin at; None: estimated.
        """
        page = await self.source.page(self.query, after=place, limit=PAGE_SIZE)
        if not page.documents:
            await self.go_end()
            return False
        if base is None:
            base = self.map.row_at(page.documents[0].timestamp)
        self.window.reset(page, base=base, start_reached=False, end_reached=not page.more)
        return True

    async def extend_down(self) -> int:
        """Hold the page that follows too. Returns how many documents it brought."""
        last = self.window.last_cursor
        page = await self.source.page(self.query, after=last, limit=PAGE_SIZE)
        self.window.append(page)
        return len(page.documents)

    async def extend_up(self) -> None:
        """Hold the page that precedes too."""
        page = await self.source.page(self.query, before=self.window.first_cursor, limit=PAGE_SIZE)
        self.window.prepend(page)

    async def seek(self, query: Query, place: Cursor, step: int) -> Document | None:
        """The next (`step` 1) or previous (-1) document of a query, in all the log."""
        if step > 0:
            page = await self.source.page(query, after=place, limit=1)
        else:
            page = await self.source.page(query, before=place, limit=1)
        return page.documents[0] if page.documents else None

    def settle(self) -> int:
        """Make row numbers fit once an end is known. Returns by how much all numbers moved."""
        window = self.window
        move = 0
        if window.start_reached:
            move = -window.base
        elif window.base <= 0:
            move = PAGE_SIZE - window.base
        window.base += move
        return move

    def missing(self, top: int, height: int) -> str:
        """What to read for these rows to be on screen and near ones at hand.

        `jump` (they are far from what is held), `up`, `down`, or empty: nothing.
        """
        window = self.window
        if top + height <= window.base or top >= window.stop:
            return "jump" if window.rows else ""
        if not window.end_reached and top + height + PREFETCH_ROWS > window.stop:
            return "down"
        if not window.start_reached and top - PREFETCH_ROWS < window.base:
            return "up"
        return ""

    def place_of(self, number: int) -> Cursor:
        """Where a row stands in time order."""
        row = self.window.row(number)
        if isinstance(row, Document):
            return row.cursor
        if isinstance(row, Gap):
            return Cursor(row.until)
        return Cursor(self.map.time_at(number))

    def ordinal(self, number: int) -> tuple[int, bool]:
        """Which event it is, counted from 1, and whether that is exact."""
        window = self.window
        before = window.documents_before(number)
        if window.start_reached:
            return before + 1, True
        held = window.documents_before(window.stop)
        if window.end_reached and self.map_known:
            return self.map.total - held + before + 1, True
        row = window.row(number)
        at = row.timestamp if isinstance(row, Document) else ""
        return (self.map.row_at(at) if at else number) + 1, False


def start_of(document: Document) -> Cursor:
    """The place directly before a document: `after` it comes the document itself."""
    return document.cursor._replace(id="")
