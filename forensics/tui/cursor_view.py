"""A list of any number of rows with a cursor: draws only what is visible, never animates.

In: how many rows there are, and a `render_row` of the subclass, whose text is safe already. Out:
the rows on screen, `CursorMoved` and text selection. It must never fetch or block while drawing.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from forensics.tui.actions import bindings

SHIFT_STEP = 20
MAX_SELECTED_ROWS = 5_000


class CursorView(ScrollView, can_focus=True):
    """Rows by number; keys and mouse move a cursor over them."""

    BINDINGS = bindings("rows")
    COMPONENT_CLASSES: ClassVar[set[str]] = {"cursor-view--cursor", "cursor-view--dim"}
    DEFAULT_CSS = """
    CursorView {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .cursor-view--cursor { background: $panel; text-style: bold; }
        &:focus > .cursor-view--cursor { background: $primary-muted; }
        & > .cursor-view--dim { color: $text-muted; }
    }
    """

    cursor: reactive[int] = reactive(0, repaint=False)
    shift = 0
    """Characters of the long column that are scrolled out to the left."""

    class CursorMoved(Message):
        """The cursor stands on another row, or its row has other content."""

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return self.virtual_size.height

    @property
    def visible_height(self) -> int:
        """How many rows fit."""
        return max(1, self.scrollable_content_region.height)

    def set_row_count(self, count: int) -> None:
        """There are that many rows now; the cursor stays inside."""
        if count != self.row_count:
            self.virtual_size = Size(0, count)
        self.refresh()
        last = max(0, count - 1)
        self.cursor = min(self.cursor, last)

    def place(self, cursor: int, top: int | None = None) -> None:
        """Put the cursor on a row and scroll so that it shows, from row `top` if that is given."""
        self.cursor = max(0, min(cursor, self.row_count - 1))
        height = self.visible_height
        first = self.scroll_offset.y if top is None else top
        if self.cursor < first:
            first = self.cursor
        elif self.cursor >= first + height:
            first = self.cursor - height + 1
        self.scroll_to(y=first, animate=False, force=True)

    def render_row(self, number: int, width: int) -> list[Segment]:
        """The row's segments, styled without a background; text through safe_text."""
        raise NotImplementedError

    def long_length(self, number: int) -> int:
        """How many characters the row's long column has; nothing further right is shown."""
        raise NotImplementedError

    # Scrolling that animates would draw, and fetch, every line on its way.
    def scroll_to(self, x: float | None = None, y: float | None = None, **options: Any) -> None:
        """Scroll at once, whoever asks."""
        super().scroll_to(x, y, **{**options, "animate": False})

    def on_resize(self) -> None:
        """Keep the cursor on screen when there is less room."""
        self.place(self.cursor)

    def watch_cursor(self, before: int, after: int) -> None:
        """Draw the two rows anew."""
        if before != after:
            self.refresh_line(before)
            self.refresh_line(after)
            self.post_message(self.CursorMoved())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Keep the cursor on screen when wheel or scrollbar move."""
        super().watch_scroll_y(old_value, new_value)
        top = round(new_value)
        if self.row_count:
            bottom = min(top + self.visible_height, self.row_count) - 1
            self.cursor = max(top, min(self.cursor, bottom))

    def render_line(self, y: int) -> Strip:
        """One visible row."""
        width = self.size.width
        number = self.scroll_offset.y + y
        base = self.rich_style
        if number >= self.row_count:
            return Strip.blank(width, base)
        if number == self.cursor:
            base += self.get_component_rich_style("cursor-view--cursor", partial=True)
        mark = Segment("›" if number == self.cursor else " ")
        strip = Strip([mark, *self.render_row(number, width - 1)])
        strip = strip.crop_extend(0, width, None).apply_style(base)
        strip = self._show_selection(strip, number)
        return strip.apply_offsets(0, number)

    def _show_selection(self, strip: Strip, number: int) -> Strip:
        selection = self.text_selection
        span = None if selection is None else selection.get_span(number)
        if span is None:
            return strip
        start, end = span
        if end < 0:
            end = strip.cell_length
        style = self.screen.get_component_rich_style("screen--selection", partial=True)
        left, middle, right = strip.crop(0, start), strip.crop(start, end), strip.crop(end)
        chosen = Strip(
            [Segment(text, (own or Style()) + style) for text, own, _ in middle], middle.cell_length
        )
        return Strip.join([left, chosen, right])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, as it is shown."""
        first = 0 if selection.start is None else selection.start.y
        last = self.row_count - 1 if selection.end is None else selection.end.y
        lines = []
        for number in range(first, min(last, first + MAX_SELECTED_ROWS, self.row_count - 1) + 1):
            span = selection.get_span(number)
            if span is not None:
                text = " " + "".join(part.text for part in self.render_row(number, 10_000))
                lines.append(text[span[0] : None if span[1] < 0 else span[1]].rstrip())
        return "\n".join(lines), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - Textual asks
        """Show it."""
        self.refresh()

    async def on_click(self, event: Any) -> None:
        """The cursor goes to the row that was clicked."""
        number = self.scroll_offset.y + int(event.y)
        if number < self.row_count:
            self.place(number)

    def action_cursor_down(self) -> None:
        self.place(self.cursor + 1)

    def action_cursor_up(self) -> None:
        self.place(self.cursor - 1)

    def action_page_down(self) -> None:
        self._page(self.visible_height)

    def action_page_up(self) -> None:
        self._page(-self.visible_height)

    def action_half_down(self) -> None:
        self._page(self.visible_height // 2)

    def action_half_up(self) -> None:
        self._page(-(self.visible_height // 2))

    def _page(self, rows: int) -> None:
        self.place(self.cursor + rows, top=max(0, self.scroll_offset.y + rows))

    def action_first(self) -> None:
        self.place(0)

    def action_last(self) -> None:
        self.place(self.row_count - 1)

    def action_shift_right(self) -> None:
        top = self.scroll_offset.y
        visible = range(top, min(top + self.visible_height, self.row_count))
        longest = max(map(self.long_length, visible), default=0)
        self.shift = min(self.shift + SHIFT_STEP, max(0, longest - 1))
        self.refresh()

    def action_shift_left(self) -> None:
        self.shift = max(0, self.shift - SHIFT_STEP)
        self.refresh()
