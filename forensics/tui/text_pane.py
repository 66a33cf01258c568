"""A pane of safe text, wrapped to its width and scrolled by line: facts, report, details, help.

In: lines with the name of their kind. Out: the lines on screen. Every line passes safe_text here,
so that no caller can forget it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from forensics.safe_text import safe_text
from forensics.tui.actions import bindings

_WORD = re.compile(r"\S+\s*|\s+")


class Line(NamedTuple):
    """A line of text."""

    text: str
    """May be hostile."""
    kind: str = "plain"
    """`plain`, `head`, `dim` or `error`."""
    copied: str = ""
    """What `y` copies from here; empty: the line itself."""
    command: str = ""
    """What `C` copies from here."""


def wrap_words(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken between words where that can be."""
    lines = [""]
    for word in _WORD.findall(text):
        if cell_len(lines[-1]) + cell_len(word.rstrip()) <= width:
            lines[-1] += word
        elif cell_len(word) <= width:
            lines.append(word)
        else:
            lines += chop_cells(word, width)
    return [line.rstrip() for line in lines if line.strip()] or [""]


class TextPane(ScrollView, can_focus=True):
    """Lines to read."""

    BINDINGS = bindings("text")
    places: ClassVar[tuple[str, ...]] = ("text",)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "text--plain", "text--head", "text--dim", "text--error"
    }  # fmt: skip
    DEFAULT_CSS = """
    TextPane {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        padding: 0 1;
        & > .text--plain { color: $foreground; }
        & > .text--head { color: $text-primary; text-style: bold; }
        & > .text--dim { color: $text-muted; }
        & > .text--error { color: $text-error; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()
        self._wrapped: list[Line] = []
        self._wrapped_width = 0

    def show_lines(self, lines: Sequence[Line], *, keep_place: bool = False) -> None:
        """Show these lines, from the first or from where the view stands."""
        if keep_place and self._lines == lines:
            return
        self._lines = lines
        self._wrap()
        if not keep_place:
            self.scroll_to(y=0)
        self.refresh()

    @property
    def plain_text(self) -> str:
        """What is shown, line by line."""
        return "\n".join(line.text for line in self._wrapped)

    def on_resize(self) -> None:
        """Wrap to the new width."""
        if self.size.width != self._wrapped_width:
            self._wrap()
            self.refresh()

    def _wrap(self) -> None:
        width = self._wrapped_width = self.size.width
        wrapped: list[Line] = []
        for line in self._lines:
            text = safe_text(line.text)
            if width < 1 or cell_len(text) <= width:
                wrapped.append(line._replace(text=text))
            else:
                wrapped.extend(line._replace(text=part) for part in wrap_words(text, width))
        self._wrapped = wrapped
        self.virtual_size = Size(0, len(wrapped))

    def scroll_to(self, x: float | None = None, y: float | None = None, **options: Any) -> None:
        """Scroll at once, whoever asks."""
        super().scroll_to(x, y, **{**options, "animate": False})

    def render_line(self, y: int) -> Strip:
        """One visible line."""
        width = self.size.width
        number = self.scroll_offset.y + y
        if number >= len(self._wrapped):
            return Strip.blank(width, self.rich_style)
        line = self._wrapped[number]
        style = self.get_component_rich_style(f"text--{line.kind}", partial=True)
        strip = Strip([Segment(line.text, style)]).crop_extend(0, width, None)
        span = None if self.text_selection is None else self.text_selection.get_span(number)
        if span is not None:
            end = strip.cell_length if span[1] < 0 else span[1]
            chosen = self.screen.get_component_rich_style("screen--selection", partial=True)
            middle = "".join(part.text for part in strip.crop(span[0], end))
            strip = Strip.join(
                [strip.crop(0, span[0]), Strip([Segment(middle, chosen)]), strip.crop(end)]
            )
        return strip.apply_style(self.rich_style).apply_offsets(0, number)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, as it is shown."""
        return selection.extract(self.plain_text), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - Textual asks
        """Show it."""
        self.refresh()
