"""The level that a log line names.

In: a line. Out: one of `LEVELS`, or nothing. Pure. A level is a word that stands as one (in
capitals, in brackets, behind `level=`), among the first words: "no error" is none.
"""

from __future__ import annotations

import re
from typing import Final

LEVELS: Final = ("trace", "debug", "info", "notice", "warn", "error", "critical")
"""What `log.level` may be, mildest first."""

_WORDS: Final = {
    "trace": ("trace",),
    "debug": ("debug",),
    "info": ("info",),
    "notice": ("notice",),
    "warn": ("warn", "warning"),
    "error": ("err", "error", "severe"),
    "critical": ("crit", "critical", "fatal", "alert", "emerg", "panic"),
}
LEVEL_OF_WORD: Final = {word.encode(): level for level, words in _WORDS.items() for word in words}
"""By lower-case word."""
LEVEL_OF_TOKEN: Final = {
    form % word: level
    for lower, level in LEVEL_OF_WORD.items()
    for word, forms in (
        (lower.upper(), (b"%b", b"%b:", b"[%b]", b"[%b]:", b"(%b)", b"<%b>", b"level=%b", b"|%b|")),
        (lower, (b"[%b]", b"[%b]:", b"<%b>", b"level=%b", b'level="%b"', b"severity=%b")),
    )
    for form in forms
}
"""By token, as it stands between white space."""
_NO_TOKEN: Final = frozenset(LEVEL_OF_TOKEN).isdisjoint

WITHIN_BYTES: Final = 160
WITHIN_TOKENS: Final = 8
_JSON_KEYS: Final = (b'"level"', b'"log.level"', b'"levelname"', b'"severity"')
COMPACT_LEVEL: Final = b'"level":"'
"""Of an object, as most write it."""
_JSON_VALUE: Final = re.compile(rb'\s*:\s*"([A-Za-z]+)"')
_JSON_WITHIN_BYTES: Final = 400
COMPACT_WITHIN_BYTES: Final = _JSON_WITHIN_BYTES - 1


def find_level(record: bytes) -> str:
    """The level that a line names; empty: none."""
    if record[:1] == b"{":
        return _find_in_json(record)
    tokens = record[:WITHIN_BYTES].split(None, WITHIN_TOKENS)
    if not _NO_TOKEN(tokens):
        return next(LEVEL_OF_TOKEN[token] for token in tokens if token in LEVEL_OF_TOKEN)
    if tokens and b":" in tokens[0]:  # ERROR:root:… (Python's logging.basicConfig)
        return LEVEL_OF_TOKEN.get(tokens[0].partition(b":")[0], "")
    return ""


def _find_in_json(record: bytes) -> str:
    at = record.find(COMPACT_LEVEL, 0, COMPACT_WITHIN_BYTES)
    if at >= 0:
        at += len(COMPACT_LEVEL)
        level = LEVEL_OF_WORD.get(record[at : record.find(b'"', at)].lower())
        if level:
            return level
    for key in _JSON_KEYS:
        at = record.find(key, 0, _JSON_WITHIN_BYTES)
        if at >= 0 and (match := _JSON_VALUE.match(record, at + len(key))) is not None:
            return LEVEL_OF_WORD.get(match[1].lower(), "")
    return ""
