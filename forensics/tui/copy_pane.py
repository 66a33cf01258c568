"""A text pane with a cursor: the line under it can be copied by key.

In: lines, some of which name what to copy. Out: the cursor's line on screen, and text to copy. It
must never copy what is not named or shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual.message import Message
from textual.strip import Strip

from forensics.tui.actions import bindings
from forensics.tui.text_pane import Line, TextPane


class CopyPane(TextPane):
    """Facts, each of which may be wanted elsewhere."""

    BINDINGS = bindings("copy")
    places: ClassVar[tuple[str, ...]] = ("copy", "text")

    cursor = 0

    class Copied(Message):
        """Something shall be copied; empty: there is nothing here of that kind."""

        def __init__(self, text: str, what: str) -> None:
            super().__init__()
            self.text = text
            self.what = what

    @property
    def line(self) -> Line:
        """The line under the cursor."""
        return self._wrapped[self.cursor] if self.cursor < len(self._wrapped) else Line("")

    def show_lines(self, lines: Sequence[Line], *, keep_place: bool = False) -> None:
        """See `TextPane.show_lines`."""
        super().show_lines(lines, keep_place=keep_place)
        self._go(self.cursor if keep_place else 0)

    def _go(self, number: int) -> None:
        self.cursor = max(0, min(number, len(self._wrapped) - 1))
        height = max(1, self.scrollable_content_region.height)
        top = self.scroll_offset.y
        self.scroll_to(y=max(self.cursor - height + 1, min(top, self.cursor)))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """See `TextPane.render_line`."""
        strip = super().render_line(y)
        is_here = self.has_focus and self.scroll_offset.y + y == self.cursor
        return strip.apply_style(Style(reverse=True)) if is_here else strip

    def action_scroll_down(self) -> None:
        self._go(self.cursor + 1)

    def action_scroll_up(self) -> None:
        self._go(self.cursor - 1)

    def action_page_down(self) -> None:
        self._go(self.cursor + max(1, self.scrollable_content_region.height))

    def action_page_up(self) -> None:
        self._go(self.cursor - max(1, self.scrollable_content_region.height))

    def action_scroll_home(self) -> None:
        self._go(0)

    def action_scroll_end(self) -> None:
        self._go(len(self._wrapped) - 1)

    def action_copy(self) -> None:
        line = self.line
        self.post_message(self.Copied(line.copied or line.text.strip(), "The line"))

    def action_copy_command(self) -> None:
        line = self.line
        self.post_message(self.Copied(line.command, "The command"))
