"""The huge-log widget: a window of server pages drawn line by line, in constant memory.

In: an `EventSource` and a query. Out: the rows on screen; messages when the place, the numbers or
the running work change, and when a question failed. Drawing never waits: a row that has not come is
a dim placeholder, and what it lacks is read once the view rests.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from typing import ClassVar, Final

from rich.segment import Segment
from textual.strip import Strip
from textual.timer import Timer

from forensics.moments import render_moment
from forensics.store.protocol import Cursor, Document, Query
from forensics.tui.log_line import first_line, render_row, split_words
from forensics.tui.log_work import LogWork
from forensics.tui.pager import END, START, EventSource, Filter, Pager, start_of, with_words
from forensics.tui.window import Gap, Row

REST_SECONDS: Final = 0.05
PATIENCE: Final = 5
"""A histogram that takes t seconds is asked for no more often than every 5 t while following."""


class LogView(LogWork):
    """Shows one log. Its keys stand in `log_keys.LogKeys`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--time", "log--dim", "log--plain", "log--debug", "log--warning", "log--error",
        "log--lifecycle", "log--gap", "log--match",
    }  # fmt: skip
    DEFAULT_CSS = """
    LogView {
        & > .log--time { color: $text-muted; }
        & > .log--dim { color: $text-muted; }
        & > .log--plain { color: $foreground; }
        & > .log--debug { color: $text-disabled; }
        & > .log--warning { color: $text-warning; text-style: bold; }
        & > .log--error { color: $text-error; text-style: bold; }
        & > .log--lifecycle { color: $text-accent; text-style: bold; }
        & > .log--gap { color: $text-muted; text-style: italic; }
        & > .log--match { text-style: reverse; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.pager: Pager | None = None
        self.zone: dt.tzinfo = dt.UTC
        self.following = True
        self.search = ""
        self.hits: int | None = None
        self.loaded = False
        self.empty_text = "No events are stored for this instance."
        self._rest: Timer | None = None
        self._map_asked_at = 0.0
        self._map_took_seconds = 0.0

    # --- what is shown -------------------------------------------------------------------------

    def open_log(self, source: EventSource, query: Query) -> None:
        """Show a log from its end, last words first; again: anew, with filters and place kept."""
        if self.pager is None:
            self.pager = Pager(source, query)
            self.load(None)
        else:
            self.pager.source = source
            self.reload()

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return None if self.pager is None else self.pager.window.row(self.cursor)

    @property
    def document(self) -> Document | None:
        """The event under the cursor."""
        row = self.row
        return row if isinstance(row, Document) else None

    @property
    def time_at_cursor(self) -> str:
        """The 30-character time under the cursor; empty where there is none yet."""
        row = self.row
        if isinstance(row, Document):
            return row.timestamp
        if isinstance(row, Gap):
            return row.until
        known = self.pager is not None and self.pager.map.total
        return self.pager.place_of(self.cursor).timestamp if self.pager and known else ""

    def render_row(self, number: int, width: int) -> list[Segment]:
        """See `CursorView.render_row`."""
        row = None if self.pager is None else self.pager.window.row(number)
        words = split_words(self.search)
        pieces = render_row(row, width, zone=self.zone, words=words, shift=self.shift)
        return [
            Segment(text, self.get_component_rich_style(f"log--{kind}", partial=True))
            for text, kind in pieces
        ]

    def long_length(self, number: int) -> int:
        """See `CursorView.long_length`."""
        row = None if self.pager is None else self.pager.window.row(number)
        return len(first_line(row)) if isinstance(row, Document) else 0

    def render_line(self, y: int) -> Strip:
        """See `CursorView.render_line`; says why where there is nothing."""
        if y == 0 and not self.row_count:
            text = f" {self.empty_text if self.loaded else 'Reading…'}"
            style = self.get_component_rich_style("log--dim", partial=True)
            strip = Strip([Segment(text, style)]).crop_extend(0, self.size.width, None)
            return strip.apply_style(self.rich_style)
        return super().render_line(y)

    def render_position(self) -> str:
        """`~41% · 2026-01-03 14:05:12.221Z · event ~12,345 of 30,000`."""
        pager = self.pager
        if pager is None or not self.row_count:
            return "no events" if self.loaded else "reading…"
        number, exact = pager.ordinal(self.cursor)
        total = pager.map.total if pager.map_known else 0
        about = "" if exact else "~"
        parts = []
        if total:
            parts.append(f"{about}{min(100, number * 100 // total)}%")
        parts.append(render_moment(self.time_at_cursor, self.zone))
        parts.append(f"{about}{number:,} of {f'{total:,}' if total else '…'}")
        return " · ".join(parts)

    # --- reading -------------------------------------------------------------------------------

    def load(self, place: Cursor | None) -> None:
        """Read anew, at a place or (None) at the end; the numbers come beside."""
        pager = self.pager
        if pager is None:
            return
        self.forget_failure()

        async def read() -> None:
            if place is None:
                await pager.go_end()
            else:
                await pager.go_to(place)
            self.show_window(place is None)

        self.run_work("reading", read)
        self.run_beside("histogram", self.fetch_map)

    def reload(self) -> None:
        """Read anew where the cursor stands; at the end, stay at the end."""
        document = self.document
        at_end = self.cursor >= self.row_count - 1
        self.load(None if document is None or at_end else start_of(document))

    async def fetch_map(self) -> None:
        """Count over time; once it is known, row numbers become estimates of places."""
        pager = self.pager
        if pager is None:
            return
        self._map_asked_at = time.monotonic()
        try:
            await pager.fetch_map()
        finally:
            self._map_took_seconds = time.monotonic() - self._map_asked_at
        window = pager.window
        first = window.first_cursor
        if first is not None:
            base = pager.map.row_at(first.timestamp)
            if window.end_reached and not window.start_reached:
                base = max(0, pager.map.total - window.documents_before(window.stop))
            move = 0 if window.start_reached else base - window.base
            window.base += move
            self._move(move)
        self.post_message(self.Changed())

    def show_window(self, at_end: bool, number: int | None = None) -> None:  # noqa: FBT001 - own
        """What was read replaces what is shown; the cursor goes to its end, start or `number`."""
        pager = self.pager
        if pager is None:
            return
        self.loaded = True
        settled = pager.settle()
        if number is None:
            number = pager.window.stop - 1 if at_end else pager.window.base
        else:
            number += settled
        self.set_row_count(pager.row_count)
        top = number - self.visible_height // 2
        self.place(number, None if at_end else max(0, top))
        self.refresh()
        self.post_message(self.CursorMoved())
        self.post_message(self.Changed())
        self.read_missing()

    def _move(self, by: int) -> None:
        """Row numbers moved: move cursor and scrolling with them, so that nothing jumps."""
        pager = self.pager
        if pager is None:
            return
        by += pager.settle()
        top = self.scroll_offset.y + by
        cursor = self.cursor + by
        self.set_row_count(pager.row_count)
        self.place(cursor, max(0, top))
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """See `CursorView`; what comes into sight is read once scrolling rests."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.read_missing()

    def watch_cursor(self, before: int, after: int) -> None:
        """See `CursorView`."""
        super().watch_cursor(before, after)
        self.read_missing()

    def read_missing(self) -> None:
        """Read what is on screen or near it and not held: soon if far away, else now."""
        pager = self.pager
        if pager is None or self.working or self.rests_after_failure():
            return
        need = pager.missing(self.scroll_offset.y, self.visible_height)
        if need == "jump":
            if self._rest is not None:
                self._rest.stop()
            self._rest = self.set_timer(REST_SECONDS, self._read_far)
        elif need:
            self._extend(need)

    def _extend(self, direction: str) -> None:
        pager = self.pager
        if pager is None:
            return

        async def read() -> None:
            need = direction
            while need in ("up", "down"):
                await (pager.extend_down() if need == "down" else pager.extend_up())
                self._move(0)
                need = pager.missing(self.scroll_offset.y, self.visible_height)

        self.run_work("reading", read)

    def _read_far(self) -> None:
        """The scrollbar was moved far: read there."""
        pager = self.pager
        if pager is None or pager.missing(self.scroll_offset.y, self.visible_height) != "jump":
            return
        top = self.scroll_offset.y
        place = Cursor(pager.map.time_at(top))

        async def read() -> None:
            found = await pager.go_to(place, base=top)
            offset = self.cursor - top
            self.show_window(not found, pager.window.base + offset if found else None)

        self.run_work("reading", read)

    def open_at(self, at: str, document_id: str) -> None:
        """Leave the end at which the log opened for a document, or where none has it, a time."""
        pager = self.pager
        if pager is None:
            return
        number = pager.window.number_of(document_id)
        if number is not None:
            self.place(number, max(0, number - self.visible_height // 2))
            return

        async def read() -> None:
            found = await pager.go_to(Cursor(at))
            self.show_window(not found, pager.window.number_of(document_id))

        self.run_work("reading", read)

    def open_at_last_line(self) -> None:
        """Leave the end at which the log opened for the last line that the instance wrote."""
        pager = self.pager
        document = self.document
        if pager is None or document is None or document.family == "logs":
            return

        async def find() -> None:
            query = replace(pager.query, families=frozenset(("logs",)))
            found = await pager.seek(query, END, -1)
            if found is not None:
                self.call_next(self.show_document, found)

        self.run_work("reading", find)

    def show_document(self, document: Document) -> None:
        """Go to a document: in what is held, else where it stands in the store."""
        pager = self.pager
        if pager is None:
            return
        number = pager.window.number_of(document.id)
        if number is not None:
            self.place(number, max(0, number - self.visible_height // 2))
            return

        async def read() -> None:
            await pager.go_to(start_of(document))
            self.show_window(at_end=False, number=pager.window.number_of(document.id))

        self.run_work("reading", read)

    def seek(self, query: Query, step: int, what: str) -> None:
        """Go to the next or previous document of a query, wherever it is in the store."""
        pager = self.pager
        if pager is None:
            return
        place = pager.place_of(self.cursor)

        async def find() -> None:
            found = await pager.seek(query, place, step)
            if found is None:
                found = await pager.seek(query, START if step > 0 else END, step)
                self.say(self._wrapped_words(found, step, what))
            if found is not None:
                self.call_next(self.show_document, found)

        self.run_work(f"looking for {what}", find)

    def _wrapped_words(self, found: Document | None, step: int, what: str) -> str:
        """What is told when nothing more lies in that direction."""
        if found is None:
            return f"No {what} in the whole log."
        here = self.document
        if here is not None and here.id == found.id:
            return f"This is the only {what}."
        if step > 0:
            return f"No {what} further on: went round to the first one."
        return f"No {what} further back: went round to the last one."

    def find(self, words: str) -> None:
        """Search for words: to the next hit, and count them all beside."""
        pager = self.pager
        if pager is None:
            return
        self.search = words.strip()
        self.hits = None
        self.refresh()
        if not split_words(self.search):
            self.search = ""
            self.post_message(self.Changed())
            return
        query = with_words(pager.query, self.search)

        async def count() -> None:
            self.hits = await pager.source.count(query)
            self.post_message(self.Changed())

        async def find() -> None:
            place = pager.place_of(self.cursor)
            found = await pager.seek(query, place._replace(id=""), 1)
            found = found or await pager.seek(query, place, -1)
            if found is None:
                self.say(f"Nothing holds the words: {self.search}")
            else:
                self.call_next(self.show_document, found)

        self.run_work("searching", find)
        self.run_beside("hits", count)

    def set_filters(self, filters: list[Filter]) -> None:
        """Other filters; the place stays if it can."""
        pager = self.pager
        if pager is None:
            return
        document = self.document
        pager.filters = filters
        pager.map_known = False
        if filters:
            self.empty_text = "No events pass the filters: Backspace removes the last one."
        else:
            self.empty_text = "No events are stored for this instance."
        self.load(None if document is None else start_of(document))

    async def fetch_new(self) -> None:
        """Take what came since, if the end is held; stay at the end if the cursor is there."""
        pager = self.pager
        if pager is None or not self.following or self.working or not self.loaded:
            return
        if not pager.window.end_reached:
            return
        at_end = self.cursor >= self.row_count - 1
        if pager.window.last_cursor is None:
            self.load(None)
            return

        async def read() -> None:
            if await pager.extend_down():
                self._move(0)
                if at_end:
                    self.place(self.row_count - 1)
                if time.monotonic() - self._map_asked_at >= PATIENCE * self._map_took_seconds:
                    self.run_beside("histogram", self.fetch_map)

        self.run_work("looking for new events", read)


def levels_query(query: Query, levels: frozenset[str]) -> Query:
    """The query, of these levels alone, whatever level filter is on."""
    return replace(query, levels=levels)
