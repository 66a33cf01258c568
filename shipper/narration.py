"""What the shipper says of itself while it runs: lines on stderr, never on stdout.

In: a level and a text. Out: one line, with the level in front where the journal reads it
(sd-daemon(3)). It must never write a control character that came from outside: a path or a
server's answer may hold one, and a terminal obeys it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final, Literal

Level = Literal["error", "warning", "info"]

_PRIORITIES: Final = {"error": 3, "warning": 4, "info": 6}


def narrate(level: Level, text: str) -> None:
    """Write `text` to stderr; a text of several lines becomes several entries of that level."""
    if _is_journal():
        lines = [f"<{_PRIORITIES[level]}>{line}" for line in _lines(text)]
    else:
        word = "" if level == "info" else f"{level}: "
        first, *rest = _lines(text)
        lines = [f"shipper: {word}{first}", *rest]
    with suppress(OSError):  # words that the disk behind stderr refuses must not stop the shipping
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()


def printable(text: str) -> str:
    """`text` in one line, with everything that a terminal could obey or hide made visible."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _lines(text: str) -> list[str]:
    return [printable(line) for line in text.split("\n")]


def _is_journal() -> bool:
    """Whether stderr is the journal itself: JOURNAL_STREAM is inherited by redirected children."""
    stream = os.environ.get("JOURNAL_STREAM", "")
    if not stream:
        return False
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"
