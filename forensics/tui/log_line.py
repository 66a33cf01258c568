"""One event as one line: time, level letter, where from, message. Readable without colour.

In: a row of the window. Out: pieces of safe text, each with the name of its kind (a component class
of the log view gives the colour). Pure. Log text must never leave here unsafe.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size

from forensics.moments import render_short, render_span, seconds_between
from forensics.safe_text import safe_text
from forensics.store.protocol import Document
from forensics.tui.window import Gap, Row
from shipper.wire.levels import find_level

LETTERS: Final = {
    "trace": "T", "debug": "D", "info": "I", "notice": "N", "warn": "W", "error": "E",
    "critical": "C",
}  # fmt: skip
SKEW_SECONDS: Final = 300
"""The line's own time and the time it was read differ by more: marked."""

_WIDE: Final = 90
_WORD: Final = re.compile(r"[^\W_]+")
_DAY_TO_MINUTE: Final = 16
_TO_SECOND: Final = 19
_PREFIX_CHARACTERS: Final = 80
_ISO: Final = re.compile(
    r"\[?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?( ?Z| ?UTC| ?[+-]\d\d:?\d\d)?\]?(?!\S)"
)
_SYSLOG: Final = re.compile(r"([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d)(?!\S)")
_LEVEL: Final = re.compile(r"[\[(<|]?[A-Za-z]+[\])>|]?:?|level=\w+")
_LAST_LINE_CHARACTERS: Final = 2_000
_SEARCHED_CHARACTERS: Final = 65_536
"""So much of what a row hides is looked through for the words that are searched for."""
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"


class Piece(NamedTuple):
    """A run of text of one kind."""

    text: str
    kind: str
    """`time`, `dim`, `plain`, `warning`, `error`, `debug`, `lifecycle`, `gap`, `match`."""


def severity_of(document: Document) -> str:
    """`error`, `warning`, `debug`, `lifecycle` or `plain`: how an event is shown."""
    if document.family != "logs":
        return "error" if document.text("event.outcome") == "failure" else "lifecycle"
    level = document.level
    if level in ("error", "critical"):
        return "error"
    if level == "warn":
        return "warning"
    return "debug" if level in ("debug", "trace") else "plain"


def source_of(document: Document) -> str:
    """Where an event comes from in a few letters: the file's name, or who says so. Safe."""
    if document.family == "lifecycle":
        return safe_text(document.text("event.provider") or "lifecycle", 40)
    if document.family == "vitals":
        return "shipper"
    path = document.path
    return safe_text(path.rpartition("/")[2] or path or document.index, 40)


def letter_of(document: Document) -> str:
    """The level in one letter; `*` for what happened to the instance, `·` for none."""
    if document.family != "logs":
        return "!" if document.text("event.outcome") == "failure" else "*"
    return LETTERS.get(document.level, "·")


def is_skewed(document: Document) -> bool:
    """Whether the line's own time and the time it was read are far apart."""
    at, created = document.timestamp, document.created
    if not created or at[:_DAY_TO_MINUTE] == created[:_DAY_TO_MINUTE]:
        return False
    return abs(seconds_between(at, created)) > SKEW_SECONDS


def without_prefix(document: Document) -> str:
    """The message without the time and level that the row's own columns show already.

    Only a time that is the event's to the second goes, and behind it only the event's level.
    """
    message = document.message
    rest = _after_time(message, document.timestamp)
    if document.family != "logs" or rest is None:
        return message
    word, _, after = rest.partition(" ")
    level = find_level(word.encode("utf-8", "replace"))
    if _LEVEL.fullmatch(word) and document.level and level == document.level:
        rest = after.lstrip(" ")
    return rest or message


def first_line(document: Document) -> str:
    """What a row shows of a record of several lines, and all of a record of one."""
    return without_prefix(document).partition("\n")[0]


def _after_time(message: str, timestamp: str) -> str | None:
    """What follows the time that the message begins with; None: there is none, or another."""
    start = message[:_PREFIX_CHARACTERS]
    if (match := _ISO.match(start)) is not None:
        day, clock, zone = match.groups()
        own = _to_second(f"{day}T{clock}", (zone or "").strip())
        is_same = own == timestamp[:_TO_SECOND]
    elif (match := _SYSLOG.match(start)) is not None:
        name, day, clock = match.groups()
        month = _MONTHS.find(name) // 3 + 1
        is_same = f"{month:02d}-{int(day):02d}T{clock}" == timestamp[5:_TO_SECOND]
    else:
        return None
    return message[match.end() :].lstrip(" ") if is_same else None


def _to_second(text: str, zone: str) -> str:
    """An ISO time to the second, in UTC; as it stands where it names no zone."""
    if zone in ("", "Z", "UTC"):
        return text
    try:
        local = dt.datetime.fromisoformat(f"{text}{zone}")
        return local.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError):
        return ""


def render_row(
    row: Row | None, width: int, *, zone: dt.tzinfo, words: Sequence[str] = (), shift: int = 0
) -> list[Piece]:
    """A row's pieces; None is a row that has not come yet."""
    if row is None:
        return [Piece("  ··· reading", "dim")]
    if isinstance(row, Gap):
        text = f" {render_span(row.seconds)} without events "
        side = "─" * max(3, (width - len(text)) // 2)
        return [Piece(f"{side}{text}{side}", "gap")]
    kind = severity_of(row)
    source_width = 14 if width >= _WIDE else 10
    source = set_cell_size(source_of(row), source_width)
    head = [
        Piece(render_short(row.timestamp, zone), "time"),
        Piece("~" if is_skewed(row) else " ", "warning"),
        Piece(letter_of(row), kind),
        Piece(f" {source} ", "dim"),
    ]
    room = max(1, width - sum(cell_len(piece.text) for piece in head))
    text, _, hidden = without_prefix(row).partition("\n")
    mark = _count_lines(hidden) if hidden else ""
    cells = max(1, room - len(mark))
    # What can't show is not made safe: a line of a megabyte costs as much as a short one.
    message = safe_text(text[: shift + cells + 1], shift + cells + 1)[shift:]
    simulated = row.fields.get("afterimage.simulated")
    if simulated is True or simulated == "true":
        message = f"[simulated] {message}"
    if not hidden:
        return head + _mark_words(message, kind, words)
    if cell_len(message) > cells:
        message = set_cell_size(message, cells)
    return [*head, *_mark_words(message, kind, words), *_folded(mark, hidden, kind, words, room)]


def _count_lines(hidden: str) -> str:
    count = hidden.count("\n") + 1
    return f" +{count:,} lines" if count > 1 else " +1 line"


def _folded(mark: str, hidden: str, kind: str, words: Sequence[str], room: int) -> list[Piece]:
    """How many lines more there are, and the last of them: of a stack trace it says the most."""
    last = hidden.rstrip()[-_LAST_LINE_CHARACTERS:].rpartition("\n")[2].strip()
    pieces = [Piece(mark, "match" if _holds(hidden, words) else "dim")]
    if last:
        pieces += [Piece(": ", "dim"), *_mark_words(safe_text(last[:room], room), kind, words)]
    return pieces


def _holds(text: str, words: Sequence[str]) -> bool:
    """Whether one of the words that are searched for is in it."""
    if not words:
        return False
    found = {match[0].casefold() for match in _WORD.finditer(text[:_SEARCHED_CHARACTERS])}
    return not found.isdisjoint(word.casefold() for word in words)


def _mark_words(message: str, kind: str, words: Sequence[str]) -> list[Piece]:
    """The message, with the words that were searched for as pieces of their own."""
    wanted = {word.casefold() for word in words}
    if not wanted:
        return [Piece(message, kind)]
    pieces: list[Piece] = []
    done = 0
    for match in _WORD.finditer(message):
        if match[0].casefold() in wanted:
            pieces.append(Piece(message[done : match.start()], kind))
            pieces.append(Piece(match[0], "match"))
            done = match.end()
    pieces.append(Piece(message[done:], kind))
    return pieces


def split_words(text: str) -> list[str]:
    """The words of a search, as the store understands them: runs of letters and digits."""
    return _WORD.findall(text)
