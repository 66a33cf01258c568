"""What the CLI writes: data on stdout, narration on stderr, hostile text made harmless in both.

JSON is ASCII, so that no character of a log can act on a terminal, and none is lost.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from forensics.moments import render_utc
from forensics.safe_text import safe_lines, safe_text

_CELL_LIMIT: Final = 120
_INSET: Final = " " * len("2026-01-03T14:05:12.221Z E ")
_LEVEL_COLORS: Final = {"E": "31", "C": "1;31", "W": "33"}


def write_line(text: str) -> None:
    """A line of data, already safe, on stdout."""
    sys.stdout.write(f"{text}\n")


def narrate(text: str) -> None:
    """A line for a person on stderr; made safe here."""
    sys.stderr.write(f"{safe_text(text)}\n")


def warn_each(warnings: Iterable[str]) -> None:
    """Each warning on stderr, marked as one."""
    for warning in warnings:
        narrate(f"warning: {warning}")


def write_json(schema: str, payload: Mapping[str, Any]) -> None:
    """One JSON document on stdout: `schema` first."""
    text = json.dumps({"schema": schema, **payload}, indent=2, default=str)
    write_line(_hide_delete(text))


def write_json_line(payload: Mapping[str, Any]) -> None:
    """One JSON object on one line of stdout."""
    write_line(_hide_delete(json.dumps(payload, separators=(",", ":"), default=str)))


def render_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows under their heads, in columns as wide as they need; every cell made safe."""
    cells = [tuple(head), *(tuple(safe_text(cell, _CELL_LIMIT) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def render_log_line(
    at: str, level: str, where: str, text: str, *, color: bool, mark: str = ""
) -> str:
    """`2026-01-03T14:05:12.221Z E /var/log/app.log │ text`; readable without its colour.

    A record of several lines goes on below, each of them set in so far that it is no record's.
    """
    letter = level[:1].upper() or "·"
    first, *more = safe_lines(text)
    line = f"{render_utc(at)} {letter} {safe_text(where, _CELL_LIMIT)} │ {mark}{first}"
    line = "".join([line, *(f"\n{_INSET}│ {part}" for part in more)])
    code = _LEVEL_COLORS.get(letter)
    return f"\x1b[{code}m{line}\x1b[0m" if color and code else line


def _hide_delete(text: str) -> str:
    return text.replace("\x7f", "\\u007f")  # the one control that JSON leaves as it is
