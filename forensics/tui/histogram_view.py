"""The histogram above a log: bars of events over time, errors at the foot, a mark at the cursor.

In: bars, a width, the cursor's time. Out: a few lines of block characters. `render_bars` is pure;
the widget only draws. It must never ask a store.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from forensics.moments import render_moment, render_span
from forensics.store.protocol import Bucket
from forensics.tui.log_line import Piece
from forensics.tui.scroll_map import ScrollMap

EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
ERROR_LEVELS: Final = ("error", "critical")
BAR_ROWS: Final = 3


def render_bars(buckets: Sequence[Bucket], width: int, rows: int = BAR_ROWS) -> list[list[Piece]]:
    """The bars, top line first; any event shows, and any error shows at the foot of its bar."""
    columns = (
        [buckets[column * len(buckets) // width] for column in range(width)] if buckets else []
    )
    highest = max((bucket.count for bucket in columns), default=0) or 1
    steps = rows * 8
    heights = [
        max(1, round(bucket.count * steps / highest)) if bucket.count else 0 for bucket in columns
    ]
    errors = [_errors(bucket) for bucket in columns]
    error_rows = [max(1, round(count * rows / highest)) if count else 0 for count in errors]
    lines = []
    for line in range(rows - 1, -1, -1):
        pieces = []
        for height, error_height in zip(heights, error_rows, strict=True):
            eighths = min(8, max(0, height - line * 8))
            kind = "error" if line < error_height and eighths else "bar"
            pieces.append(Piece(EIGHTHS[eighths], kind))
        lines.append(pieces)
    return lines


def _errors(bucket: Bucket) -> int:
    return sum(bucket.by_level.get(level, 0) for level in ERROR_LEVELS)


def render_axis(scroll_map: ScrollMap, width: int, at: str, zone: dt.tzinfo) -> str:
    """The line under the bars: where it starts, what a bar is, where it ends, `▲` at the cursor."""
    buckets = scroll_map.buckets
    if not buckets:
        return "no events"
    errors = sum(map(_errors, buckets))
    start = render_moment(buckets[0].start, zone)[5:16]
    end = render_moment(buckets[-1].start, zone)[5:16]
    told = f"{errors:,} error{'' if errors == 1 else 's'}"
    middle = f"1 bar = {render_span(scroll_map.width_seconds)} · {told}"
    if not at:
        return _lay_out(start, middle, end, width)
    mark = round(scroll_map.index_at(at) * (width - 1) / max(1, len(buckets) - 1))
    # A label never stands where the mark does: it moves to its inner side.
    if mark < len(start):
        return f"{'─' * mark}▲{_lay_out(start, middle, end, width - mark - 1)}"
    if mark >= width - len(end):
        return f"{_lay_out(start, middle, end, mark)}▲{'─' * (width - mark - 1)}"
    left, right = mark - len(start), width - mark - 1 - len(end)
    before, after = (middle, "") if left > right else ("", middle)
    return f"{start}{_fill(before, left)}▲{_fill(after, right)}{end}"


def _lay_out(start: str, middle: str, end: str, width: int) -> str:
    """Labels at both ends and in the middle; on a narrow line the middle one alone."""
    room = width - len(start) - len(end)
    return f"{start}{middle:─^{room}}{end}" if room > len(middle) else _fill(middle, width)


def _fill(text: str, width: int) -> str:
    """The text in the middle of a line; the bare line where it does not fit."""
    return f"{text if len(text) <= width else '':─^{max(0, width)}}"


class HistogramView(Widget):
    """Draws a ScrollMap."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "histogram--bar", "histogram--error", "histogram--axis"
    }  # fmt: skip
    DEFAULT_CSS = """
    HistogramView {
        height: 4;
        & > .histogram--bar { color: $primary; }
        & > .histogram--error { color: $text-error; }
        & > .histogram--axis { color: $text-muted; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._map = ScrollMap()
        self._at = ""
        self._zone: dt.tzinfo = dt.UTC

    def show(self, scroll_map: ScrollMap, at: str, zone: dt.tzinfo) -> None:
        """Draw these bars, with the mark at this time."""
        if (self._map, self._at, self._zone) != (scroll_map, at, zone):
            self._map, self._at, self._zone = scroll_map, at, zone
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of it."""
        width = self.size.width
        if width < 1:
            return Strip.blank(0)
        if y == BAR_ROWS:
            line = render_axis(self._map, width, self._at, self._zone)
            segments = [Segment(line, self._style("axis"))]
        elif y < BAR_ROWS and self._map.buckets:
            pieces = render_bars(self._map.buckets, width)[y]
            segments = [Segment(text, self._style(kind)) for text, kind in pieces]
        else:
            segments = []
        return Strip(segments).crop_extend(0, width, None).apply_style(self.rich_style)

    def _style(self, kind: str) -> Style:
        return self.get_component_rich_style(f"histogram--{kind}", partial=True)
