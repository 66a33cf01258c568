"""Times on the wire: nanoseconds since 1970 in, one fixed-width UTC text out, and back.

A time is written `YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ` everywhere, always 30 characters, so that texts
compare as times do, in SQLite and in a shell as in OpenSearch (`date_nanos`).
No function here reads a clock.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

NANOS_PER_SECOND: Final = 1_000_000_000

EARLIEST: Final = "1970-01-01T00:00:00.000000000Z"
LATEST: Final = "2262-04-11T23:47:16.854775807Z"
"""The range of OpenSearch's `date_nanos`, whose values are signed 64-bit nanoseconds since 1970."""

_EPOCH_ORDINAL: Final = dt.date(1970, 1, 1).toordinal()
_MONTH_NAMES: Final = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_MONTHS: Final = {name: number for number, name in enumerate(_MONTH_NAMES.split(), start=1)}

# 2026-01-03T14:05:12.221Z · 2026-01-03 14:05:12,221 · 2026-01-03T14:05:12+0100
_ISO: Final = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\d*"
    rb"(?: ?(Z|z|UTC|[+-]\d\d:?\d\d)(?![0-9A-Za-z]))?"
)
# "time":"2026-…" in a JSON line, within its first bytes
_JSON_TIME: Final = re.compile(rb'"(?:@timestamp|timestamp|time|ts)"\s*:\s*"')
# Jan  3 14:05:12 host … (RFC 3164 §4.1.2: no year, no zone)
_SYSLOG: Final = re.compile(rb"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?!\d)")
# [03/Jan/2026:14:05:12 +0000] (Apache and nginx access logs)
_ACCESS: Final = re.compile(rb"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]")
# [Sun Dec 04 04:47:44.123456 2005] (Apache error log; asctime)
_ASCTIME: Final = re.compile(
    rb"\[?[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? (\d{4})\b"
)
_ACCESS_WITHIN_BYTES: Final = 120
_JSON_WITHIN_BYTES: Final = 400


def format_time(nanos: int) -> str:
    """`nanos` since 1970-01-01T00:00:00Z as text.

    Raises:
        ValueError: outside 1970 to 2262, the range of `date_nanos`.
    """
    if not 0 <= nanos < 2**63:
        raise ValueError(f"{nanos} ns since 1970 is outside 1970 to 2262")
    seconds, fraction = divmod(nanos, NANOS_PER_SECOND)
    moment = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def parse_time(text: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 time; a time without a zone counts as UTC.

    Raises:
        ValueError: not an ISO 8601 date and time, or outside 1970 to 2262.
    """
    match = _ISO.fullmatch(text.strip().encode("utf-8", "replace"))
    nanos = None if match is None else _iso_nanos(match)
    if nanos is None:
        raise ValueError(
            f"{text!r} is not a time: give ISO 8601 from 1970 to 2262, e.g. 2026-01-03T14:05:12Z"
        )
    return nanos


def find_line_time(line: bytes, read_at_nanos: int) -> int | None:
    """The time that a log line says of itself, in ns since 1970; None where it has no sane one.

    Known: ISO 8601 at the start (also behind `[` or as a JSON line's time field), the syslog header
    of RFC 3164, an access log's bracket. A time without a zone counts as UTC. RFC 3164 has no year:
    the one is taken that puts the line nearest below one day after `read_at_nanos`.
    """
    first = line[:1]
    if first == b"{":
        found = _JSON_TIME.search(line, 0, _JSON_WITHIN_BYTES)
        match = None if found is None else _ISO.match(line, found.end())
        return None if match is None else _iso_nanos(match)
    if first.isalpha() and (match := _SYSLOG.match(line)) is not None:
        return _syslog_nanos(match, read_at_nanos)
    if first.isdigit() or first == b"[":
        match = _ISO.match(line, 1 if first == b"[" else 0)
        if match is not None:
            return _iso_nanos(match)
    if (match := _ASCTIME.match(line)) is not None:
        return _asctime_nanos(match)
    bracket = line.find(b"[", 0, _ACCESS_WITHIN_BYTES)
    match = None if bracket < 0 else _ACCESS.match(line, bracket)
    return None if match is None else _access_nanos(match)


def is_syslog_time(line: bytes) -> bool:
    """Whether the line starts with RFC 3164's fixed-width time."""
    return _SYSLOG.match(line) is not None


def _iso_nanos(match: re.Match[bytes]) -> int | None:
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    fraction = int((match[7] or b"").ljust(9, b"0"))
    return _nanos(year, month, day, hour, minute, second, fraction, _zone_seconds(match[8]))


def _asctime_nanos(match: re.Match[bytes]) -> int | None:
    month = _MONTHS.get(match[1])
    if month is None:
        return None
    day, hour, minute, second, year = (int(part) for part in match.group(2, 3, 4, 5, 7))
    fraction = int((match[6] or b"").ljust(9, b"0"))
    return _nanos(year, month, day, hour, minute, second, fraction, 0)


def _access_nanos(match: re.Match[bytes]) -> int | None:
    month = _MONTHS.get(match[2])
    if month is None:
        return None
    day, year, hour, minute, second = (int(part) for part in match.group(1, 3, 4, 5, 6))
    return _nanos(year, month, day, hour, minute, second, 0, _zone_seconds(match[7]))


def _syslog_nanos(match: re.Match[bytes], read_at_nanos: int) -> int | None:
    month = _MONTHS.get(match[1])
    if month is None:
        return None
    day, hour, minute, second = (int(part) for part in match.group(2, 3, 4, 5))
    latest = read_at_nanos + 86_400 * NANOS_PER_SECOND
    year = dt.datetime.fromtimestamp(latest // NANOS_PER_SECOND, tz=dt.UTC).year
    for candidate in (
        year,
        year - 1,
        year - 2,
        year - 3,
        year - 4,
    ):  # 29 February may be 4 years off
        nanos = _nanos(candidate, month, day, hour, minute, second, 0, 0)
        if nanos is not None and nanos <= latest:
            return nanos
    return None


def _zone_seconds(zone: bytes | None) -> int:
    if zone is None or zone[:1] not in b"+-":
        return 0
    digits = zone[1:].replace(b":", b"")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[:1] == b"-" else seconds


def _nanos(
    year: int, month: int, day: int, hour: int, minute: int, second: int, fraction: int, zone: int
) -> int | None:
    if hour > 23 or minute > 59 or second > 60:  # noqa: PLR2004 - 60 is a leap second
        return None
    try:
        days = dt.date(year, month, day).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - zone
    nanos = seconds * NANOS_PER_SECOND + fraction
    return nanos if 0 <= nanos < 2**63 else None
