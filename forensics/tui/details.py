"""The details of one event: all fields, both clocks, its original bytes, how to find it again.

In: a document or a gap. Out: lines for a `TextPane`, which makes them safe. Pure.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from forensics.moments import render_moment, render_span, seconds_between
from forensics.store.protocol import Document
from forensics.tui.commands import find_command, link_of, raw_command
from forensics.tui.log_line import SKEW_SECONDS, is_skewed
from forensics.tui.text_pane import Line
from forensics.tui.window import Gap, Row


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
    lines += [Line(part) for part in row.message.split("\n")[:200]]
    lines += [*_clocks(row, zone), *_bytes(row), Line(""), Line("Fields", "head")]
    lines += [
        Line(f"{name}: {_value(row.fields[name])}")
        for name in sorted(row.fields)
        if name != "message"
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
        lines.append(Line(f"not UTF-8: {data[:200]!r}{' …' if len(data) > 200 else ''}"))  # noqa: PLR2004 - a first look
    return lines


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
