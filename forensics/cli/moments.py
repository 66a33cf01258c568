"""Times as a person types them after an option: `2h ago`, `-2h`, `14:05`, ISO 8601; all in UTC."""

from __future__ import annotations

import datetime as dt

from forensics.errors import UsageError
from forensics.moments import parse_wish, shift_time
from shipper.wire.times import format_time

_DAY_SECONDS = 86_400


def parse_moment(text: str, *, now_nanos: int, option: str) -> str:
    """The time that `option`'s value names; a clock time is the last such time before now.

    Raises:
        UsageError: it names none.
    """
    now = format_time(now_nanos)
    try:
        moment = parse_wish(text, around=now, now_nanos=now_nanos, zone=dt.UTC)
    except ValueError as error:
        raise UsageError(
            f"{option} {text!r} is no time",
            why="it is not understood, or outside 1970 to 2262",
            next_step="write 2026-01-03T14:05:12Z, 2026-01-03, 14:05 (UTC), '2h ago' or -2h",
        ) from error
    is_clock = "-" not in text and ":" in text
    return shift_time(moment, -_DAY_SECONDS) if is_clock and moment > now else moment
