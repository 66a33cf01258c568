"""Times as a person types them on the command line: `2h ago`, `-2h`, `14:05`, ISO 8601.

In: the text, and what time it is now. Out: the wire's 30-character UTC text. It reads no clock.
"""

from __future__ import annotations

import re
from typing import Final

from forensics.errors import UsageError
from shipper.wire.times import NANOS_PER_SECOND, format_time, parse_time

_AGO: Final = re.compile(
    r"(?:(?P<ago>\d{1,9}) ?(?P<unit>[smhdw])[a-z]* ago|-(?P<minus>\d{1,9})(?P<short>[smhdw]))",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?Z?")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MINUTE: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(Z?)")
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DAY_NANOS: Final = 86_400 * NANOS_PER_SECOND


def parse_moment(text: str, *, now_nanos: int, option: str) -> str:
    """The time that `option`'s value names; a clock time is the last such time before now.

    Raises:
        UsageError: it names none.
    """
    wish = text.strip()
    try:
        return format_time(_nanos(wish, now_nanos))
    except ValueError as error:
        raise UsageError(
            f"{option} {text!r} is no time",
            why="it is not understood, or outside 1970 to 2262",
            next_step="write 2026-01-03T14:05:12Z, 2026-01-03, 14:05 (UTC), '2h ago' or -2h",
        ) from error


def _nanos(wish: str, now_nanos: int) -> int:
    if match := _AGO.fullmatch(wish):
        unit = (match["unit"] or match["short"]).lower()
        amount = int(match["ago"] or match["minus"])
        return max(0, now_nanos - amount * _UNIT_SECONDS[unit] * NANOS_PER_SECOND)
    if match := _CLOCK.fullmatch(wish):
        seconds = int(match[1]) * 3_600 + int(match[2]) * 60 + int(match[3] or 0)
        nanos = now_nanos - now_nanos % _DAY_NANOS + seconds * NANOS_PER_SECOND
        return nanos if nanos <= now_nanos else nanos - _DAY_NANOS
    if _DAY.fullmatch(wish):
        return parse_time(f"{wish}T00:00:00Z")
    if _MINUTE.fullmatch(wish):
        return parse_time(f"{wish.removesuffix('Z')}:00Z")
    return parse_time(wish)
