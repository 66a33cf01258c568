"""The list of instances as a person reads it: who needs a look and why, order, search, cells.

In: the ledger's rows and what time it is. Out: rows chosen and ordered, and safe text. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from rich.cells import set_cell_size

from forensics.ledger.model import InstanceRow, InstanceState
from forensics.moments import NOTHING, nanos_or_none, render_age, render_span
from forensics.safe_text import fold_lines, safe_text
from shipper.wire.levels import find_level
from shipper.wire.times import NANOS_PER_SECOND

SILENT_SECONDS: Final = 120
"""A running instance that was not heard for so long needs a look; a stream speaks more often."""

STATE_LETTERS: Final = {
    InstanceState.PENDING: "P",
    InstanceState.RUNNING: "R",
    InstanceState.STOPPED: "S",
    InstanceState.QUARANTINED: "Q",
    InstanceState.TERMINATED: "T",
    InstanceState.UNKNOWN: "U",
}
SORTS: Final = ("needs a look", "last sign", "age", "group", "image", "id")

_WIDE: Final = 116
"""Cells of a row on a screen of 120: cursor mark and scrollbar take some."""


class Need(IntEnum):
    """How much an instance needs a look, most first."""

    QUARANTINED = 0
    SILENT = 1
    NO_GOODBYE = 2
    BAD_END = 3
    UNHEARD = 4
    NONE = 5


@dataclass(frozen=True, slots=True)
class Look:
    """Whether an instance needs a look, and why in a few words."""

    need: Need
    why: str


def judge(row: InstanceRow, now_nanos: int) -> Look:
    """What a person on call should know first about an instance."""
    if row.state is InstanceState.QUARANTINED:
        return Look(Need.QUARANTINED, "set aside by a quarantine")
    last = nanos_or_none(row.last_sign_at)
    silent_seconds = None if last is None else (now_nanos - last) / NANOS_PER_SECOND
    is_silent = silent_seconds is not None and silent_seconds > SILENT_SECONDS
    span = render_span(silent_seconds or 0)
    look = Look(Need.NONE, "")
    if row.state in (InstanceState.RUNNING, InstanceState.PENDING):
        if last is None:
            look = Look(Need.UNHEARD, "no shipper was ever heard from it")
        elif is_silent and not row.closed:
            look = Look(Need.SILENT, f"should be running, but silent for {span}")
    elif row.state is InstanceState.TERMINATED and row.closed and has_bad_last_word(row):
        look = Look(Need.BAD_END, f"{row.state}, its last word an error, last heard {span} ago")
    elif last is not None and not row.closed:
        if row.state in (InstanceState.TERMINATED, InstanceState.STOPPED):
            look = Look(Need.NO_GOODBYE, f"{row.state} without a goodbye, last heard {span} ago")
        elif is_silent:
            look = Look(Need.NO_GOODBYE, f"silent for {span}, without a goodbye")
    return look


def is_heard(row: InstanceRow, now_nanos: int) -> bool:
    """Whether new events can be expected: it should be running, or was heard lately."""
    if row.state in (InstanceState.TERMINATED, InstanceState.STOPPED):
        return False
    if row.state in (InstanceState.RUNNING, InstanceState.PENDING):
        return True
    last = nanos_or_none(row.last_sign_at)
    return last is not None and (now_nanos - last) / NANOS_PER_SECOND <= SILENT_SECONDS


def has_bad_last_word(row: InstanceRow) -> bool:
    """Whether the last log line names itself an error or worse, by the shipper's own rule."""
    return find_level(row.last_word.encode("utf-8", "replace")) in {"error", "critical"}


def render_state(row: InstanceRow, now_nanos: int) -> str:
    """Letter and state; `R silent 5m` where a running instance is not heard any more."""
    letter = STATE_LETTERS[row.state]
    match judge(row, now_nanos).need:
        case Need.SILENT:
            return f"{letter} silent {render_age(row.last_sign_at, now_nanos)}"
        case Need.UNHEARD:
            return f"{letter} never heard"
        case _:
            return f"{letter} {row.state}"


def render_headline(rows: Sequence[InstanceRow], now_nanos: int) -> tuple[str, str]:
    """The answer of the first screen: who needs a look; and the most urgent one in a line. Safe."""
    looks = [(judge(row, now_nanos), row) for row in rows]
    urgent = [(look, row) for look, row in looks if look.need is not Need.NONE]
    if not rows:
        return "No instance is known.", "Neither the store nor the account mentions one."
    if not urgent:
        heard = sum(row.state is InstanceState.RUNNING for row in rows)
        return f"Nothing needs a look: {heard} running, all heard lately or closed in order.", ""
    words = {
        Need.QUARANTINED: "quarantined",
        Need.SILENT: "silent though running",
        Need.NO_GOODBYE: "ended without a goodbye",
        Need.BAD_END: "ended with an error",
        Need.UNHEARD: "never heard",
    }
    counts = [(word, sum(look.need is need for look, _ in urgent)) for need, word in words.items()]
    told = ", ".join(f"{count} {word}" for word, count in counts if count)
    look, row = min(urgent, key=lambda pair: (pair[0].need, _newest_first(pair[1].last_sign_at)))
    word = f": “{safe_text(fold_lines(row.last_word), 200)}”" if row.last_word else ""
    first = f"First {safe_text(row.instance_id, 40)}, {look.why}{word}"
    return f"{len(urgent)} of {len(rows)} need a look: {told}.", first


def choose(
    rows: Sequence[InstanceRow], *, state: str, sort: str, now_nanos: int
) -> list[InstanceRow]:
    """The rows of that state (empty: of all), in that order."""
    chosen = [row for row in rows if not state or row.state == state]
    keys: dict[str, Callable[[InstanceRow], object]] = {
        "needs a look": lambda row: (
            judge(row, now_nanos).need,
            _newest_first(row.last_sign_at or row.launched_at),
            row.instance_id,
        ),
        "last sign": lambda row: (_newest_first(row.last_sign_at), row.instance_id),
        "age": lambda row: (_newest_first(row.launched_at or row.first_seen_at), row.instance_id),
        "group": lambda row: (row.group or "￿", row.instance_id),
        "image": lambda row: (row.image_id or "￿", row.instance_id),
        "id": lambda row: row.instance_id,
    }
    return sorted(chosen, key=keys[sort])  # type: ignore[arg-type] # each key's own kind compares


def _newest_first(at: str) -> int:
    return -(nanos_or_none(at) or 0)


def is_found(row: InstanceRow, text: str) -> bool:
    """Whether a search finds the row: all its words stand somewhere in it, in any case."""
    hay = (
        f"{row.instance_id} {row.image_id} {row.group} {row.availability_zone} {row.state} "
        f"{row.private_ip} {row.case_id} {row.last_word}"
    ).casefold()
    return all(word in hay for word in text.casefold().split())


def columns(width: int) -> list[tuple[str, int]]:
    """Heading and width of each column; the last one takes what is left."""
    named = [("State", 13), ("Instance", 20), ("Heard", 5), ("Age", 5), ("Group", 14)]
    if width >= _WIDE:
        named += [("Image", 22), ("Zone", 12)]
    used = sum(size + 1 for _, size in named)
    return [*named, ("Last word", max(8, width - used))]


def render_heading(width: int) -> str:
    """The line above the list."""
    return " ".join(set_cell_size(name, size) for name, size in columns(width))


def render_cells(row: InstanceRow, width: int, now_nanos: int, shift: int = 0) -> list[str]:
    """The row's cells, safe and as wide as their columns."""
    texts = {
        "State": render_state(row, now_nanos),
        "Instance": row.instance_id,
        "Heard": render_age(row.last_sign_at, now_nanos),
        "Age": render_age(row.launched_at or row.first_seen_at, now_nanos),
        "Group": row.group or NOTHING,
        "Image": row.image_id or NOTHING,
        "Zone": row.availability_zone or NOTHING,
        "Last word": fold_lines(row.last_word)[shift:] or ("" if shift else NOTHING),
    }
    return [
        set_cell_size(safe_text(texts[name][: size + 1], size + 1), size)
        for name, size in columns(width)
    ]
