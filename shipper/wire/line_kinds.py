"""Lines sorted by what they begin with, where several programs write to one file.

In: lines as texts. Out: the places of each kind, or nothing where all are of one. A kind is a hint
and no promise: what is looked up by columns has to hold for each of its lines. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_OBJECT: Final = (slice(0, 1), "{")
_ISO: Final = (slice(10, 14, 3), "T:")
_ISO_SPACED: Final = (_ISO[0], " :")
_SYSLOG: Final = (slice(3, 10, 3), "  :")
_KINDS: Final = (_OBJECT, _ISO, _ISO_SPACED, _SYSLOG)
"""Characters at some places: between day and clock and behind the hour, for instance."""


def sort_by_kind(texts: Sequence[str]) -> list[list[int]] | None:
    """The places of each kind, in order, none of them empty; None: there is one kind.

    `texts` is not empty.
    """
    first, count = texts[0], len(texts)
    for where, mark in _KINDS:
        if first[where] == mark:
            alike = "".join([text[where] for text in texts]) == mark * count
            if alike and (mark == "{" or "{" not in [text[:1] for text in texts]):
                return None
            break
    kinds: tuple[list[int], ...] = ([], [], [], [], [])
    to_objects, to_iso, to_iso_spaced, to_syslog, to_others = (kind.append for kind in kinds)
    (clock, iso_mark), (_, spaced_mark), (syslog, syslog_mark) = _ISO, _ISO_SPACED, _SYSLOG
    for place, text in enumerate(texts):
        if text[:1] == "{":
            to_objects(place)
        elif (marks := text[clock]) == iso_mark:
            to_iso(place)
        elif marks == spaced_mark:
            to_iso_spaced(place)
        elif text[syslog] == syslog_mark:
            to_syslog(place)
        else:
            to_others(place)
    found = [kind for kind in kinds if kind]
    return found if len(found) > 1 else None
