"""Times on the wire: nanoseconds since 1970 in, one fixed-width UTC text out, and back.

A time is written `YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ` everywhere, always 30 characters, so that texts
compare as times do, in SQLite and in a shell as in OpenSearch (`date_nanos`).
No function here reads a clock.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Final

NANOS_PER_SECOND: Final = 1_000_000_000
SECONDS_PER_DAY: Final = 86_400

EARLIEST: Final = "1970-01-01T00:00:00.000000000Z"
LATEST: Final = "2262-04-11T23:47:16.854775807Z"
"""The range of OpenSearch's `date_nanos`, whose values are signed 64-bit nanoseconds since 1970."""

_EPOCH_ORDINAL: Final = dt.date(1970, 1, 1).toordinal()

# 2026-01-03T14:05:12.221Z · 2026-01-03 14:05:12,221 · 2026-01-03T14:05:12+0100
ISO_TIME: Final = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\d*"
    rb"(?: ?(Z|z|UTC|[+-]\d\d:?\d\d)(?![0-9A-Za-z]))?"
)


def format_time(nanos: int) -> str:
    """`nanos` since 1970-01-01T00:00:00Z as text.

    Raises:
        ValueError: outside 1970 to 2262, the range of `date_nanos`.
    """
    if not 0 <= nanos < 2**63:
        raise ValueError(f"{nanos} ns since 1970 is outside 1970 to 2262")
    seconds, fraction = divmod(nanos, NANOS_PER_SECOND)
    days, seconds = divmod(seconds, SECONDS_PER_DAY)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_format_day(days)}T{hour:02d}:{minute:02d}:{second:02d}.{fraction:09d}Z"


def parse_time(text: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 time; a time without a zone counts as UTC.

    Raises:
        ValueError: not an ISO 8601 date and time, or outside 1970 to 2262.
    """
    match = ISO_TIME.fullmatch(text.strip().encode("utf-8", "replace"))
    nanos = None if match is None else iso_nanos(match)
    if nanos is None:
        raise ValueError(
            f"{text!r} is not a time: give ISO 8601 from 1970 to 2262, e.g. 2026-01-03T14:05:12Z"
        )
    return nanos


def iso_nanos(match: re.Match[bytes]) -> int | None:
    """The time that `ISO_TIME` matched; None: there is no such day or second."""
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    fraction = int((match[7] or b"").ljust(9, b"0"))
    return civil_nanos(
        year,
        month,
        day,
        hour,
        minute,
        second,
        fraction=fraction,
        zone_seconds=zone_seconds(match[8]),
    )


def civil_nanos(
    year: int,
    month: int,
    day: int,
    hour: int,
    minute: int,
    second: int,
    *,
    fraction: int = 0,
    zone_seconds: int = 0,
) -> int | None:
    """Nanoseconds since 1970 of a date and time; None: there is none, or it is out of range."""
    if hour > 23 or minute > 59 or second > 60:  # noqa: PLR2004 - 60 is a leap second
        return None
    try:
        days = dt.date(year, month, day).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None
    seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - zone_seconds
    nanos = seconds * NANOS_PER_SECOND + fraction
    return nanos if 0 <= nanos < 2**63 else None


def zone_seconds(zone: bytes | None) -> int:
    """How far a zone such as `+01:00` is east of UTC; none, Z and UTC are 0."""
    if zone is None or zone[:1] not in b"+-":
        return 0
    digits = zone[1:].replace(b":", b"")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[:1] == b"-" else seconds


@lru_cache(maxsize=64)
def _format_day(days: int) -> str:
    return dt.date.fromordinal(days + _EPOCH_ORDINAL).isoformat()
