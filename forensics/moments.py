"""Times for a person: wishes in ("14:05", "2h ago"), short texts out.

In: the wire's 30-character UTC texts, and what was typed. Out: the same, and what is shown.
It never reads a clock: the caller says what time it is.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from shipper.wire.times import LATEST, NANOS_PER_SECOND, format_time, parse_time

_AGO: Final = re.compile(
    r"(?:-|(?=\d))(\d{1,6}) ?(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)(?: ago)?",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?")
_DAY: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d))?")
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MINUTE, _HOUR, _DAY_SECONDS = 60, 3600, 86_400

UNKNOWN: Final = "not known"
"""In a sentence, for what nothing says."""
NOTHING: Final = "-"
"""In a column, for the same."""


def nanos_or_none(text: str) -> int | None:
    """A 30-character time as nanoseconds; None where there is none or it is not sane."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def shift_time(text: str, seconds: float) -> str:
    """The time that many seconds later; kept inside what can be written."""
    nanos = nanos_or_none(text) or 0
    moved = nanos + int(seconds * NANOS_PER_SECOND)
    return format_time(min(max(moved, 0), parse_time(LATEST)))


def parse_wish(text: str, *, around: str, now_nanos: int, zone: dt.tzinfo) -> str:
    """The 30-character time that was asked for.

    "14:05" is on the day of `around` (a 30-character time, or empty: today) in `zone`, "2h ago"
    counts from now, ISO 8601 without a zone is in `zone`.

    Raises:
        ValueError: not understood; the text says what would be.
    """
    wish = text.strip()
    if match := _AGO.fullmatch(wish):
        seconds = int(match[1]) * _UNIT_SECONDS[match[2][0].lower()]
        return format_time(max(0, now_nanos - seconds * NANOS_PER_SECOND))
    if match := _CLOCK.fullmatch(wish):
        middle = nanos_or_none(around)
        day = local_moment(now_nanos if middle is None else middle, zone).date()
        return _of_local(
            wish, f"{day.isoformat()}T{wish.zfill(len(wish) + (wish[1] == ':'))}", zone
        )
    if match := _DAY.fullmatch(wish):
        return _of_local(wish, f"{match[1]}T{match[2] or '00:00'}", zone)
    if re.search(r"(?:Z|z|UTC|[+-]\d\d:?\d\d)$", wish) is None:
        return _of_local(wish, wish, zone)
    return format_time(parse_time(wish))


def _of_local(wish: str, text: str, zone: dt.tzinfo) -> str:
    try:
        moment = dt.datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{wish!r} is no time: write 14:05, 2h ago, or 2026-01-03T14:05:12Z"
        ) from None
    seconds = (moment - dt.datetime.fromtimestamp(0, tz=dt.UTC)).total_seconds()
    return format_time(round(seconds * 1_000_000) * 1000)


def local_moment(nanos: int, zone: dt.tzinfo) -> dt.datetime:
    """That moment in that zone, to the second."""
    return dt.datetime.fromtimestamp(nanos // NANOS_PER_SECOND, tz=dt.UTC).astimezone(zone)


def render_moment(text: str, zone: dt.tzinfo) -> str:
    """`2026-01-03 14:05:12.221Z` of a 30-character time; in another zone with its offset."""
    nanos = nanos_or_none(text)
    if nanos is None:
        return UNKNOWN
    local = local_moment(nanos, zone)
    offset = "Z" if zone is dt.UTC else f"{local:%z}"
    return f"{local:%Y-%m-%d %H:%M:%S}.{nanos % NANOS_PER_SECOND // 1_000_000:03d}{offset}"


def render_utc(at: str) -> str:
    """`2026-01-03T14:05:12.221Z` of a 30-character time, for what is written to be kept."""
    return f"{at[:23]}Z" if at else UNKNOWN


def render_second(at: str) -> str:
    """`2026-01-03T14:05:12Z` of a 30-character time, for a column and for `--since`."""
    return f"{at[:19]}Z" if at else NOTHING


def render_short(text: str, zone: dt.tzinfo) -> str:
    """`01-03 14:05:12.221` of a 30-character time; the screen says which zone it is."""
    if zone is dt.UTC and len(text) == len(LATEST):  # per visible line: no parsing
        return f"{text[5:10]} {text[11:23]}"
    return render_moment(text, zone)[5:23] if text else " " * 18


def render_span(seconds: float) -> str:
    """`3 h 12 m` of a length of time; two units at most."""
    total = max(0, int(seconds))
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if total < _MINUTE:
        return f"{total} s"
    if total < _HOUR:
        return f"{total // _MINUTE} m {total % _MINUTE:02d} s"
    if total < _DAY_SECONDS:
        return f"{total // _HOUR} h {total % _HOUR // _MINUTE:02d} m"
    return f"{total // _DAY_SECONDS} d {total % _DAY_SECONDS // _HOUR:02d} h"


def render_age(text: str, now_nanos: int) -> str:
    """`4m`, `3h`, `12d` since a time; `-` where it is not known."""
    nanos = nanos_or_none(text)
    if nanos is None:
        return NOTHING
    seconds = max(0, now_nanos - nanos) // NANOS_PER_SECOND
    for unit, size in (("d", _DAY_SECONDS), ("h", _HOUR), ("m", _MINUTE)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one 30-character time to another; 0 where one of them is not sane."""
    start, end = nanos_or_none(earlier), nanos_or_none(later)
    return 0.0 if start is None or end is None else (end - start) / NANOS_PER_SECOND
