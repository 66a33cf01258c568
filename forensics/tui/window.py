"""The window of a huge log: a few pages of it, as rows, with their place among all rows.

In: pages of a store, forwards, backwards or anew. Out: rows (documents, and gaps between them), the
cursors from which to go on, and how far all row numbers moved. Pure: it asks nothing and draws
nothing. It must never hold more than `MAX_PAGES` pages, whatever is scrolled through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from forensics.moments import seconds_between
from forensics.store.protocol import Cursor, Document, Page

PAGE_SIZE: Final = 500
MAX_PAGES: Final = 8
GAP_SECONDS: Final = 300
"""A silence at least this long becomes a row of its own."""

_MINUTE_CHARACTERS: Final = len("2026-01-03T14:05")


@dataclass(frozen=True, slots=True)
class Gap:
    """A silence between two events that follow each other."""

    since: str
    until: str

    @property
    def seconds(self) -> float:
        """How long it was."""
        return seconds_between(self.since, self.until)


Row = Document | Gap


class Window:
    """Consecutive pages. `base` is the (estimated) number of its first row among all rows."""

    def __init__(self) -> None:
        self._pages: deque[Sequence[Document]] = deque()
        self.rows: list[Row] = []
        self.base = 0
        self.start_reached = False
        self.end_reached = False

    def reset(self, page: Page, *, base: int, start_reached: bool, end_reached: bool) -> None:
        """Forget everything and hold this page, its first row at `base`."""
        self._pages = deque([page.documents] if page.documents else [])
        self.base = base
        self.start_reached = start_reached
        self.end_reached = end_reached
        self._build_rows()

    def append(self, page: Page) -> None:
        """Take the page that follows; the first page goes where there are too many."""
        self.end_reached = not page.more
        if not page.documents:
            return
        if self._pages and len(self._pages[-1]) + len(page.documents) <= PAGE_SIZE:
            # A live log grows by a few events at a time: they fill up the last page.
            self._pages[-1] = [*self._pages[-1], *page.documents]
        else:
            self._pages.append(page.documents)
        self._build_rows()
        if len(self._pages) > MAX_PAGES:
            before = len(self.rows)
            self._pages.popleft()
            self._build_rows()
            self.base += before - len(self.rows)
            self.start_reached = False

    def prepend(self, page: Page) -> None:
        """Take the page that precedes; the last page goes where there are too many."""
        self.start_reached = not page.more
        if not page.documents:
            return
        before = len(self.rows)
        self._pages.appendleft(page.documents)
        self._build_rows()
        self.base -= len(self.rows) - before
        if len(self._pages) > MAX_PAGES:
            self._pages.pop()
            self._build_rows()
            self.end_reached = False

    def row(self, number: int) -> Row | None:
        """The row of that number among all rows; None where it is not held."""
        index = number - self.base
        return self.rows[index] if 0 <= index < len(self.rows) else None

    @property
    def stop(self) -> int:
        """The number after the last row held."""
        return self.base + len(self.rows)

    @property
    def pages_held(self) -> int:
        """How many pages are held."""
        return len(self._pages)

    @property
    def first_cursor(self) -> Cursor | None:
        """The place of the first document held."""
        return self._pages[0][0].cursor if self._pages else None

    @property
    def last_cursor(self) -> Cursor | None:
        """The place of the last document held."""
        return self._pages[-1][-1].cursor if self._pages else None

    def number_of(self, document_id: str) -> int | None:
        """The row number of a document that is held."""
        for index, row in enumerate(self.rows):
            if isinstance(row, Document) and row.id == document_id:
                return self.base + index
        return None

    def next_gap(self, number: int, step: int) -> int | None:
        """The row after the next (`step` 1) or previous (-1) gap beside a row, if that is held."""
        index = number - self.base + (step if step > 0 else 2 * step)
        while 0 <= index < len(self.rows):
            if isinstance(self.rows[index], Gap):
                return self.base + index + 1
            index += step
        return None

    def documents_before(self, number: int) -> int:
        """How many documents are held above that row."""
        return sum(isinstance(row, Document) for row in self.rows[: max(0, number - self.base)])

    def _build_rows(self) -> None:
        rows: list[Row] = []
        previous = ""
        for page in self._pages:
            for document in page:
                at = document.timestamp
                # Texts of one minute can't be a gap apart: no parsing for nearly every line.
                if previous and at[:_MINUTE_CHARACTERS] != previous[:_MINUTE_CHARACTERS]:
                    gap = Gap(previous, at)
                    if gap.seconds >= GAP_SECONDS:
                        rows.append(gap)
                rows.append(document)
                previous = at
        self.rows = rows
