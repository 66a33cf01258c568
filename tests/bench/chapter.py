"""What a bench found: rows to read, and each target beside its measured value.

In: figures. Out: text for a terminal, Markdown for docs/bench.md. Pure. It must never call a
target met that was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One promise and what was measured of it."""

    what: str
    value: float
    limit: float
    sense: Literal["at most", "at least"] = "at most"
    unit: str = ""
    """Empty: a ratio."""

    @property
    def verdict(self) -> Literal["met", "missed", "not measured"]:
        """Whether it is kept."""
        if math.isnan(self.value):
            return "not measured"
        is_met = self.value <= self.limit if self.sense == "at most" else self.value >= self.limit
        return "met" if is_met else "missed"

    def show_value(self) -> str:
        """The value with its unit."""
        return "-" if math.isnan(self.value) else show_number(self.value, self.unit)

    def show_limit(self) -> str:
        """The limit with its unit."""
        sign = {"at most": "≤", "at least": "≥"}[self.sense]
        return f"{sign} {show_number(self.limit, self.unit)}"


@dataclass(slots=True, kw_only=True)
class Chapter:
    """One bench's result."""

    title: str
    method: str
    header: Sequence[str] = ()
    rows: list[Sequence[str]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def show_number(value: float, unit: str = "") -> str:
    """Three digits are all that a bench can tell."""
    if math.isnan(value):
        return "-"
    digits = 0 if abs(value) >= 100 or isinstance(value, int) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}" + (f" {unit}" if unit else "")


def render_text(chapter: Chapter) -> str:
    """For a terminal."""
    lines = [f"== {chapter.title}", chapter.method, ""]
    lines += _columns([chapter.header, *chapter.rows]) if chapter.rows else []
    lines += [""] if chapter.rows else []
    lines += _columns(
        [
            (target.verdict, target.what, target.show_value(), f"({target.show_limit()})")
            for target in chapter.targets
        ]
    )
    lines += chapter.notes
    lines += [f"skipped: {text}" for text in chapter.skipped]
    return "\n".join(lines) + "\n"


def render_markdown(chapter: Chapter) -> str:
    """For docs/bench.md."""
    lines = [f"## {chapter.title}", "", chapter.method, ""]
    targets = [
        (target.what, target.show_value(), target.show_limit(), target.verdict)
        for target in chapter.targets
    ]
    for header, rows in (
        (chapter.header, chapter.rows),
        (("target", "measured", "limit", "verdict"), targets),
    ):
        if rows:
            lines += [_row(header), _row(["---"] * len(header)), *map(_row, rows), ""]
    for text in (*chapter.notes, *(f"Skipped: {text}" for text in chapter.skipped)):
        lines += [text, ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column left, the others right, except in lists of sentences."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
    return [
        "  ".join(
            cell.ljust(width) if place == 0 or not _is_number(cell) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() or cell[:1] in {"-", "("}
