"""The list of instances: any number of them, drawn line by line, the cursor held by id.

In: the ledger's rows. Out: the rows on screen and which one is chosen. It must never lose the
cursor's instance when rows come, go or change their order.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from textual.strip import Strip

from forensics.ledger.model import InstanceRow, InstanceState
from forensics.safe_text import fold_lines
from forensics.tui.cursor_view import CursorView
from forensics.tui.instance_rows import (
    SORTS,
    Need,
    choose,
    is_found,
    judge,
    render_cells,
)

_KINDS: Final = {
    "running": "running", "quarantined": "alarm", "terminated": "gone", "stopped": "gone",
    "pending": "plain", "unknown": "plain",
}  # fmt: skip


class InstanceList(CursorView):
    """Rows of the ledger."""

    places: ClassVar[tuple[str, ...]] = ("rows",)

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "list--plain", "list--running", "list--alarm", "list--gone", "list--urgent",
    }  # fmt: skip
    DEFAULT_CSS = """
    InstanceList {
        & > .list--plain { color: $foreground; }
        & > .list--running { color: $text-success; }
        & > .list--alarm { color: $text-error; text-style: bold; }
        & > .list--gone { color: $text-muted; }
        & > .list--urgent { color: $text-warning; text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.rows: Sequence[InstanceRow] = ()
        self.shown: list[InstanceRow] = []
        self.state = ""
        self.sort = SORTS[0]
        self.search = ""
        self.empty_text = "Reading…"
        self.now_nanos = time.time_ns()

    @property
    def chosen(self) -> InstanceRow | None:
        """The row under the cursor."""
        return self.shown[self.cursor] if self.cursor < len(self.shown) else None

    @property
    def row_width(self) -> int:
        """How many cells a row has beside the cursor's mark."""
        return max(0, self.size.width - 1)

    def show_rows(self, rows: Sequence[InstanceRow]) -> None:
        """Other rows, or other facts about them."""
        self.rows = rows
        self.rearrange()

    def rearrange(self) -> None:
        """Choose and order anew; the cursor stays on its instance, at its height on screen."""
        before = self.chosen
        height = self.cursor - self.scroll_offset.y
        self.now_nanos = time.time_ns()
        self.shown = choose(self.rows, state=self.state, sort=self.sort, now_nanos=self.now_nanos)
        self.set_row_count(len(self.shown))
        if before is not None:
            for number, row in enumerate(self.shown):
                if row.instance_id == before.instance_id:
                    self.place(number, max(0, number - height))
                    break
        self.refresh()
        self.post_message(self.CursorMoved())

    def find(self, step: int, start: int | None = None) -> bool:
        """Go to the next or previous row that the search finds, round the end; False: none is."""
        count = len(self.shown)
        first = self.cursor + step if start is None else start
        for offset in range(count):
            number = (first + offset * step) % count
            if is_found(self.shown[number], self.search):
                self.place(number)
                return True
        return False

    def count_found(self) -> int:
        """How many rows the search finds."""
        return sum(is_found(row, self.search) for row in self.shown)

    def render_row(self, number: int, width: int) -> list[Segment]:
        """See `CursorView.render_row`."""
        row = self.shown[number]
        cells = render_cells(row, width, self.now_nanos, self.shift)
        kinds = ["plain"] * len(cells)
        kinds[0] = _KINDS[row.state]
        if judge(row, self.now_nanos).need not in (Need.NONE, Need.QUARANTINED):
            kinds[2] = "urgent"
            if row.state in (InstanceState.RUNNING, InstanceState.PENDING):
                kinds[0] = "urgent"
        return [
            Segment(f"{cell} ", self.get_component_rich_style(f"list--{kind}", partial=True))
            for cell, kind in zip(cells, kinds, strict=True)
        ]

    def long_length(self, number: int) -> int:
        """See `CursorView.long_length`."""
        return len(fold_lines(self.shown[number].last_word))

    def render_line(self, y: int) -> Strip:
        """See `CursorView.render_line`; says why where there is nothing."""
        if y == 0 and not self.row_count:
            strip = Strip([Segment(f" {self.empty_text}")])
            return strip.crop_extend(0, self.size.width, None).apply_style(self.rich_style)
        return super().render_line(y)
