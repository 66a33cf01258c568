"""The details of one event: all fields, both clocks, its original bytes, how to find it again.

In: a document or a gap. Out: lines for a `TextPane`, which makes them safe. Pure.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from forensics.moments import render_moment, render_span, seconds_between
from forensics.store.protocol import Document
from forensics.tui.commands import find_command, link_of, raw_command
from forensics.tui.log_line import SKEW_SECONDS, is_skewed
from forensics.tui.text_pane import Line
from forensics.tui.window import Gap, Row

LINES_SHOWN: Final = 200
"""Of a message, and of an object; how many more there are is said."""
_BYTES_SHOWN: Final = 200
_ELSEWHERE: Final = frozenset(
    ("message", "fields", "afterimage.before", "afterimage.after", "afterimage.masked")
)
"""Fields that have a section of their own."""


def build_details(row: Row | None, zone: dt.tzinfo) -> list[Line]:
    """What there is to say about a row."""
    if row is None:
        return [Line("Reading…", "dim")]
    if isinstance(row, Gap):
        return [
            Line("Silence", "head"),
            Line(f"No event for {render_span(row.seconds)}."),
            Line(f"from {render_moment(row.since, zone)}"),
            Line(f"to   {render_moment(row.until, zone)}"),
        ]
    lines = [Line("Find it again: C copies the command, y the event, Y the link", "head")]
    lines += [Line(command) for command in (find_command(row), raw_command(row)) if command]
    lines += [Line(""), Line("Message", "head")]
    lines += _bounded([Line(part) for part in row.message.split("\n")], "lines")
    lines += _structure(row)
    lines += [*_clocks(row, zone), *_bytes(row), Line(""), Line("Fields", "head")]
    lines += [
        Line(f"{name}: {_value(row.fields[name])}")
        for name in sorted(row.fields.keys() - _ELSEWHERE)
    ]
    lines += [
        Line(""),
        Line("Its place in the store", "head"),
        Line(f"_index: {row.index}"),
        Line(f"_id: {row.id}"),
        Line(link_of(row)),
    ]
    return lines


def _clocks(document: Document, zone: dt.tzinfo) -> list[Line]:
    lines = [
        Line(""),
        Line("Time", "head"),
        Line(f"of the event  {render_moment(document.timestamp, zone)}"),
    ]
    if document.created:
        lines.append(Line(f"read at       {render_moment(document.created, zone)}"))
        seconds = seconds_between(document.timestamp, document.created)
        if is_skewed(document):
            way = "after" if seconds > 0 else "before"
            text = f"~ read {render_span(abs(seconds))} {way} its own time: over {SKEW_SECONDS} s"
            lines.append(Line(f"{text}, so a clock or zone may be wrong", "error"))
    lines.append(Line(f"as stored     {document.timestamp}", "dim"))
    return lines


def _bytes(document: Document) -> list[Line]:
    if document.family != "logs":
        return []
    try:
        data = document.raw_bytes()
    except ValueError as error:
        return [Line(""), Line("Original bytes", "head"), Line(str(error), "error")]
    lines = [
        Line(""),
        Line("Original bytes", "head"),
        Line(f"{len(data):,} bytes, checksum in its id holds"),
    ]
    if "afterimage.raw" in document.fields:
        more = " …" if len(data) > _BYTES_SHOWN else ""
        lines.append(Line(f"as they are: {data[:_BYTES_SHOWN]!r}{more}"))
    for name in ("before", "after"):
        around = document.text(f"afterimage.{name}").removesuffix("\n")
        if around:
            lines.append(Line(f"{name} the message: {around[:_BYTES_SHOWN]}", "dim"))
    masked = document.masked
    if masked:
        count = sum(length for _, length in masked)
        where = ", ".join(f"[{start:,}, {start + length:,})" for start, length in masked[:20])
        more = " …" if len(masked) > 20 else ""  # noqa: PLR2004 - a screenful
        lines.append(Line(f"{count:,} of them were masked before shipping: {where}{more}"))
    return lines


def _structure(document: Document) -> list[Line]:
    """The object that came with the message, one line a value."""
    found = document.fields.get("fields")
    if not isinstance(found, Mapping):
        return []
    values = [Line(f"{name}: {_value(value)}") for name, value in _flatten(found)]
    return [Line(""), Line("Structured", "head"), *_bounded(values, "values")]


def _flatten(found: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names; documents are no deeper than a store lets them be."""
    for name, value in found.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _bounded(lines: list[Line], what: str) -> list[Line]:
    more = len(lines) - LINES_SHOWN
    if more <= 0:
        return lines
    return [*lines[:LINES_SHOWN], Line(f"… and {more:,} {what} more", "dim")]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
