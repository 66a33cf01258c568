"""`shipper dead-letters list`: the documents that the centre refused for good.

In: `dead-letters.jsonl` of the state folder. Out: one line each for a person, or one JSON document.
It must never change the file, nor stop at a line that a power cut tore.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from shipper.dead_letter_file import DeadLetterFile
from shipper.errors import StateError
from shipper.narration import printable
from shipper.wire.state import DeadLetter

SCHEMA: Final = "afterimage.shipper.dead-letters"
SCHEMA_VERSION: Final = 1

_WORDS_CHARACTERS: Final = 80


class Letter(NamedTuple):
    """What a refused item was."""

    path: str
    """Of its file, or its source's name; empty: it is no log record, or it can't be read."""
    message: str
    """How it begins, safe for a terminal."""


def load_dead_letters(directory: Path) -> tuple[list[DeadLetter], list[int]]:
    """The letters in the state folder, and the numbers of the lines that can't be read.

    Raises:
        StateError: the file can't be read. That there is none is the good case: no letters.
    """
    file = DeadLetterFile(directory)
    try:
        return file.load()
    except OSError as error:
        raise StateError(
            f"{file.path} can't be read",
            why=error.strerror or str(error),
            next_step="ask as the user that the shipper runs as",
        ) from error


def choose_letters(letters: Sequence[DeadLetter], prefixes: Sequence[str]) -> list[DeadLetter]:
    """Those whose id starts with one of the prefixes; all, where none is given."""
    if not prefixes:
        return list(letters)
    return [letter for letter in letters if letter.id.startswith(tuple(prefixes))]


def read_letter(letter: DeadLetter) -> Letter:
    """Path and first words of what was refused, as far as its item tells them."""
    try:
        document = json.loads(letter.item.partition(b"\n")[2])
        words = document.get("message")
        if words is None:
            raw = base64.b64decode(document.get("afterimage.raw", ""))
            words = raw.decode("utf-8", "backslashreplace")
        path = document.get("log.file.path", "")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Letter("", "")
    return Letter(printable(str(path)), printable(str(words)[:_WORDS_CHARACTERS].rstrip()))


def render_text(letters: Sequence[DeadLetter]) -> str:
    """One line a letter: when, where to, how large, of which file, why, and its first words."""
    lines = []
    for one in letters:
        path, words = read_letter(one)
        known = (one.at, one.index, one.id, f"{len(one.item)} bytes", path, one.reason, words)
        lines.append(printable("  ".join(filter(None, known))) + "\n")
    return "".join(lines)


def render_json(directory: Path, letters: Sequence[DeadLetter], unreadable: Sequence[int]) -> str:
    """All letters as one JSON document; the refused items stay in the file that it names."""
    document = {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "file": str(directory / "dead-letters.jsonl"),
        "dead_letters": [
            {
                "at": one.at,
                "index": one.index,
                "id": one.id,
                "reason": one.reason,
                "item_bytes": len(one.item),
                **read_letter(one)._asdict(),
            }
            for one in letters
        ],
        "unreadable_lines": list(unreadable),
    }
    return json.dumps(document, indent=2) + "\n"
