"""Lines that are JSON objects, checked at once where they have the form of one seen before.

In: lines. Out: what `fields_member` gives for each. A program writes the same keys in the same
order: once one of its lines was parsed, a pattern of that line, with its values open, tells of a
whole chunk that `fields` may have it. It must never let a line in that `fields_member` would not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from shipper.wire.structured import fields_member

_FORM_LIMIT: Final = 4
"""Tried in turn for a line."""
_LEARN_LIMIT: Final = 16
"""Of one source: making a pattern costs as much as a hundred lines."""
_SHORT_BYTES: Final = 1000
"""A longer line may have a number, or a value, of a length that the centre refuses."""
_SLOTS_LIMIT: Final = 64

_PARTS: Final = re.compile(
    rb'("(?:[^"\\]++|\\.)*+")(\s*+:)?+|-?[0-9][0-9.eE+-]*+|true|false|null', re.DOTALL
)
_TEXT: Final = rb'"[^"\\\x00-\x1f]*+(?:\\["\\/bfnrt][^"\\\x00-\x1f]*+)*+"'
_OTHER: Final = rb"(?:-?+(?:0|[1-9][0-9]{0,17}+)(?:\.[0-9]{1,17}+)?+|true|false|null)"


class ObjectForms:
    """Forms of one source's objects. One thread's at a time."""

    def __init__(self) -> None:
        self._forms: list[re.Pattern[bytes]] = []
        self._whole: re.Pattern[bytes] | None = None
        """Lines of the latest form and nothing else."""
        self.learned = 0
        """How many patterns were tried to be made."""

    def members(self, lines: Sequence[bytes], data: bytes) -> list[str]:
        """What each line gives beside its message, with a comma before it; empty: it is no object.

        `data`: the lines, joined; it is UTF-8.
        """
        whole = self._whole
        if whole and max(map(len, lines)) <= _SHORT_BYTES and whole.fullmatch(data):
            return [f',"fields":{text}' for text in data[:-1].decode("latin-1").split("\n")]
        return [self._member(line) for line in lines]

    def _member(self, line: bytes) -> str:
        if len(line) <= _SHORT_BYTES and any(form.fullmatch(line) for form in self._forms):
            return f',"fields":{line[:-1].decode("latin-1")}'
        member = parsed_member(line)
        if self.learned < _LEARN_LIMIT and member.startswith(',"fields":'):
            self._learn(line)
        return member

    def _learn(self, line: bytes) -> None:
        if len(line) > _SHORT_BYTES or not line.endswith(b"}\n"):
            return
        self.learned += 1  # whatever comes of it: trying costs, too
        pattern = form_of(line)
        if pattern is None:
            return
        form = re.compile(pattern)
        if form.fullmatch(line) is None:  # a value that is no part of any form
            return
        self._forms = [*self._forms, form][-_FORM_LIMIT:]
        self._whole = re.compile(b"(?:%b)++" % pattern)


def parsed_member(line: bytes) -> str:
    """What one line gives beside its message, as `ObjectForms.members` does, from parsing it."""
    member = fields_member(line)
    return "," + member[:-1].decode("latin-1") if member else ""


def form_of(line: bytes) -> bytes | None:
    """The pattern of an object that `fields` has: its keys as they stand, its values open."""
    pieces, last, slots = [], 0, 0
    for match in _PARTS.finditer(line):
        pieces.append(re.escape(line[last : match.start()]))
        last = match.end()
        if match[2] is not None:
            pieces.append(re.escape(match[0]))
        else:
            pieces.append(_TEXT if match[1] is not None else _OTHER)
            slots += 1
    pieces.append(re.escape(line[last:]))
    return b"".join(pieces) if slots <= _SLOTS_LIMIT else None
