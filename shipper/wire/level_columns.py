"""The levels that a chunk's lines name, found for all of them at once.

In: lines. Out: for each, the text that its level stands for. Lines of one program name their level
at one place, so what stood there once is looked up; where no place is known, a search of the whole
chunk for what levels are written with leaves few lines to look at. It must never give another
level than `find_level`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shipper.wire.levels import (
    COMPACT_LEVEL,
    COMPACT_WITHIN_BYTES,
    LEVEL_OF_TOKEN,
    LEVEL_OF_WORD,
    find_level,
)

_SHORT: Final = len("ERROR ")
_LONG: Final = len("CRITICAL ")
"""Of a line's words behind its time: a level and the space behind it."""
_CACHE_LIMIT: Final = 2048

# A level's word is in capitals, or in small letters behind one of a few characters.
_NO_CAPITALS: Final = bytes(
    set(range(256)) - set(b"\n" + string.ascii_uppercase.encode())  # lines stay lines
)
_CAPITALS: Final = tuple(
    word.upper()
    for word in LEVEL_OF_WORD
    if not any(other != word and other in word for other in LEVEL_OF_WORD)
)
"""Words that every other one has within it: ERR stands for ERROR, too."""
_ANY_CAPITALS: Final = re.compile(b"|".join(_CAPITALS))
_SMALL: Final = (
    re.compile(rb"\[[a-z]"),
    re.compile(rb"<[a-z]"),
    re.compile(rb'=(?:(?<=level=)|(?<=severity=))"?[a-z]'),
)
"""Each begins with a character, which is found quickly."""

_VALUE_END: Final = len(COMPACT_LEVEL) + len(b'critical"')


class LevelColumns:
    """Columns for one source's chunks. One thread's at a time."""

    def __init__(self, text_of: Mapping[str, str]) -> None:
        """`text_of`: what stands for each level, and for none (the empty name); none is empty."""
        self._text_of = text_of
        self._of_words: dict[str, str] = {}
        self._of_values: dict[bytes, str] = {}

    def of_lines(self, lines: Sequence[bytes], data: bytes) -> list[str]:
        """The column of `lines`, none of which is a JSON object; `data`: the same, joined."""
        column = [self._text_of[""]] * len(lines)
        for place in _lines_to_look_at(data):
            column[place] = self._text_of[find_level(lines[place])]
        return column

    def of_objects(self, lines: Sequence[bytes]) -> list[str]:
        """The column of lines that begin with a brace."""
        known, key, within = self._of_values, COMPACT_LEVEL, COMPACT_WITHIN_BYTES
        column = [
            known.get(line[(at := line.find(key, 0, within)) : at + _VALUE_END], "")
            for line in lines
        ]
        if "" in column:
            for place, text in enumerate(column):
                if not text:
                    column[place] = self._learn_value(lines[place])
        return column

    def of_words(self, lines: Sequence[bytes], texts: Sequence[str], words_at: int) -> list[str]:
        """The column of lines whose words begin at `words_at` of their texts."""
        known, end = self._of_words, words_at + _SHORT
        column = [known.get(text[words_at:end], "") for text in texts]
        if "" in column:
            end = words_at + _LONG
            for place, text in enumerate(column):
                if not text:
                    words = texts[place][words_at:end]
                    column[place] = known.get(words) or self._learn_words(lines[place], words)
        return column

    def _learn_words(self, line: bytes, words: str) -> str:
        token, space, _ = words.partition(" ")
        level = LEVEL_OF_TOKEN.get(token.encode("latin-1"), "") if space else ""
        if not level:
            return self._text_of[find_level(line)]
        if len(self._of_words) >= _CACHE_LIMIT:
            self._of_words.clear()
        self._of_words[words[:_SHORT] if len(token) < _SHORT else words] = self._text_of[level]
        return self._text_of[level]

    def _learn_value(self, line: bytes) -> str:
        text = self._text_of[find_level(line)]
        at = line.find(COMPACT_LEVEL, 0, COMPACT_WITHIN_BYTES)
        found = line[at : at + _VALUE_END]
        if at >= 0 and found[len(COMPACT_LEVEL) :].partition(b'"')[0].lower() in LEVEL_OF_WORD:
            if len(self._of_values) >= _CACHE_LIMIT:
                self._of_values.clear()
            self._of_values[found] = text
        return text


def _lines_to_look_at(data: bytes) -> set[int]:
    """Numbers of lines that may name a level; no other one does."""
    capitals = data.translate(None, _NO_CAPITALS)
    places: set[int] = set()
    if any(word in capitals for word in _CAPITALS):
        places.update(_numbers(capitals, _ANY_CAPITALS))
    for pattern in _SMALL:
        places.update(_numbers(data, pattern))
    return places


def _numbers(data: bytes, pattern: re.Pattern[bytes]) -> Iterator[int]:
    """The number of the line of each match."""
    number = last = 0
    for match in pattern.finditer(data):
        number += data.count(b"\n", last, match.start())
        last = match.start()
        yield number
