"""The time that a log line says of itself.

In: a line, and when it was read. Out: its time, or None where it has no sane one; as nanoseconds,
or as text by way of a cache that knows days and seconds seen before. Both ways give the same time.
No function here reads a clock.

Known: ISO 8601 at the start (also behind `[`, or as a JSON line's time field), the syslog header of
RFC 3164, an access log's bracket, asctime. A time without a zone counts as UTC. RFC 3164 has no
year: the one is taken that puts the line nearest below one day after it was read.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Final

from shipper.wire.times import (
    ISO_TIME,
    NANOS_PER_SECOND,
    SECONDS_PER_DAY,
    civil_nanos,
    format_time,
    iso_nanos,
    zone_seconds,
)

_MONTH_NAMES: Final = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
MONTHS: Final = {name: number for number, name in enumerate(_MONTH_NAMES.split(), start=1)}
_WEEKDAYS: Final = frozenset(b"Mon Tue Wed Thu Fri Sat Sun".split())

# "time":"2026-…" in a JSON line, within its first bytes; the first key that the line has counts
JSON_KEYS: Final = (b'"@timestamp"', b'"timestamp"', b'"time"', b'"ts"')
_JSON_VALUE: Final = re.compile(rb'\s*:\s*"')
_JSON_WITHIN_BYTES: Final = 400
# Jan  3 14:05:12 host … (RFC 3164 §4.1.2: no year, no zone)
_SYSLOG: Final = re.compile(rb"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?!\d)")
# [03/Jan/2026:14:05:12 +0000] (Apache and nginx access logs)
_ACCESS: Final = re.compile(rb"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]")
_ACCESS_WITHIN_BYTES: Final = 120
# [Sun Dec 04 04:47:44.123456 2005] (Apache error log; asctime)
_ASCTIME: Final = re.compile(
    rb"\[?[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? (\d{4})\b"
)
# Most lines: UTC or no zone, and nothing to work out but what day it is.
_CLOCK: Final = rb"((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)"
_PLAIN_ISO: Final = re.compile(
    rb"(\d{4}-\d\d-\d\d)[T ]%b(?:[.,](\d{1,9}))?+(?:Z(?![0-9A-Za-z])|(?! ?[ZzU+-]|\d))" % _CLOCK
)
_PLAIN_SYSLOG: Final = re.compile(rb"([A-Z][a-z]{2} [ \d]\d) %b(?!\d)" % _CLOCK)
_PLAIN_ASCTIME: Final = re.compile(
    rb"\[?[A-Z][a-z]{2} ([A-Z][a-z]{2} [ \d]\d) %b(?:\.(\d{1,9}))?+ (\d{4})\b" % _CLOCK
)
_WHOLE_SECOND: Final = b"000000000"
_ACCESS_BYTES: Final = len("[03/Jan/2026:14:05:12 +0000]")
_SYSLOG_BYTES: Final = len("Jan  3 14:05:12 ")

_DAY_BYTES: Final = len("2026-01-03")
_MONTH_DAY_BYTES: Final = len("Jan  3")
_LEAP_YEARS_APART: Final = 8
"""At most: 1896 and 1904, 2096 and 2104."""
_CACHE_LIMIT: Final = 4096
"""Hostile times must not grow the cache without bound."""


def find_line_time(line: bytes, read_at_nanos: int) -> int | None:
    """The time that a line says of itself, in ns since 1970; None where it has no sane one."""
    first = line[:1]
    if first == b"{":
        return _json_nanos(line)
    if line[:3] in MONTHS and (match := _SYSLOG.match(line)) is not None:
        return _syslog_nanos(match, read_at_nanos)
    at = 1 if first == b"[" else 0
    match = ISO_TIME.match(line, at)
    if match is not None:
        return iso_nanos(match)
    if line[at : at + 3] in _WEEKDAYS and (match := _ASCTIME.match(line)) is not None:
        return _asctime_nanos(match)
    bracket = line.find(b"[", 0, _ACCESS_WITHIN_BYTES)
    match = None if bracket < 0 else _ACCESS.match(line, bracket)
    return None if match is None else _access_nanos(match)


class LineTimes:
    """`find_line_time` for one source's lines, as text, working out each day only once."""

    def __init__(self) -> None:
        self._read_at_nanos = -1
        self.read_day = -1
        """The day of reading, in days since 1970: what a year that is not written depends on."""
        self._days: dict[bytes, bytes] = {}
        """`YYYY-MM-DD` by the bytes that say the day; empty: it needs a closer look."""
        self._seconds: dict[bytes, bytes] = {}
        """Texts by the bytes that decide them, where there is a second's time and no more."""

    def begin(self, read_at_nanos: int) -> None:
        """Call it before a chunk: a year that is not written depends on the day of reading."""
        read_day = read_at_nanos // (NANOS_PER_SECOND * SECONDS_PER_DAY)
        if read_day != self.read_day or len(self._seconds) + len(self._days) > _CACHE_LIMIT:
            self.read_day = read_day
            self._seconds = {}
            self._days = {}
        self._read_at_nanos = read_at_nanos

    def find(self, line: bytes) -> bytes | None:
        """The 30-character text of the line's own time, or None."""
        match = _PLAIN_ISO.match(line)
        if match is None:
            text = self._find_other(line)
        else:  # most lines
            said_day, clock, fraction = match.groups()
            day = self._days.get(said_day)
            if day is None:
                day = self.day_text(said_day)
            text = _join(day, clock, fraction)
        if text == _UNKNOWN:
            return _time_text(find_line_time(line, self._read_at_nanos))
        return text

    def _find_other(self, line: bytes) -> bytes | None:
        """The time of a line that does not begin with a plain ISO 8601 time."""
        start, first = line[:3], line[:1]
        if start in MONTHS:
            return self._find_second(line, 0, _SYSLOG_BYTES, self._find_syslog)
        if (line[1:4] if first == b"[" else start) in _WEEKDAYS:
            return self._find_asctime(line)
        if first == b"{":
            at = find_json_value(line)
            if at < 0:
                return None
        else:
            at = 1 if first == b"[" else 0
            if line[at + 4 : at + 5] != b"-":
                at = line.find(b"[", 0, _ACCESS_WITHIN_BYTES)
                is_access = at >= 0 and line[at + 3 : at + 4] == b"/"
                return (
                    self._find_second(line, at, _ACCESS_BYTES, _find_access) if is_access else None
                )
        match = _PLAIN_ISO.match(line, at)
        if match is None:
            return _UNKNOWN
        return _join(self.day_text(match[1]), match[2], match[3])

    def _find_second(
        self, line: bytes, at: int, size: int, find: Callable[[bytes], bytes | None]
    ) -> bytes | None:
        """What `find` makes of the `size` bytes that decide a time of whole seconds."""
        key = line[at : at + size]
        text = self._seconds.get(key)
        if text is None:
            text = find(key)
            if text:
                self._seconds[key] = text
        return text

    def _find_syslog(self, line: bytes) -> bytes:
        match = _PLAIN_SYSLOG.match(line)
        return _UNKNOWN if match is None else _join(self.day_text(match[1]), match[2], None)

    def _find_asctime(self, line: bytes) -> bytes:
        match = _PLAIN_ASCTIME.match(line)
        if match is None:
            return _UNKNOWN
        month_day, clock, fraction, year = match.groups()
        return _join(self.day_text(b"%b %b" % (month_day, year)), clock, fraction)

    def day_text(self, said_day: bytes) -> bytes:
        """`YYYY-MM-DD` of the bytes that say a day; empty: it needs a closer look."""
        day = self._days.get(said_day)
        if day is None:
            day = self._days[said_day] = _day_text(said_day, self._read_at_nanos)
        return day


def _join(day: bytes, clock: bytes, fraction: bytes | None) -> bytes:
    if not day:
        return _UNKNOWN
    return b"%bT%b.%bZ" % (day, clock, fraction.ljust(9, b"0") if fraction else _WHOLE_SECOND)


def _find_access(bracket: bytes) -> bytes | None:
    match = _ACCESS.match(bracket)
    return None if match is None else _time_text(_access_nanos(match))


_UNKNOWN: Final = b""


def _day_text(said: bytes, read_at_nanos: int) -> bytes:
    """The day that a line says, if all of that day is in one year and in range; else empty."""
    first = _time_text(find_line_time(_with_clock(said, b"00:00:00"), read_at_nanos))
    last = _time_text(find_line_time(_with_clock(said, b"23:59:59"), read_at_nanos))
    if first is None or last is None or first[:_DAY_BYTES] != last[:_DAY_BYTES]:
        return b""
    return first[:_DAY_BYTES]


def _with_clock(said: bytes, clock: bytes) -> bytes:
    """A line that says that day and that time of day."""
    if said[:1].isdigit():
        return b"%b %b " % (said, clock)
    month_day, year = said[:_MONTH_DAY_BYTES], said[_MONTH_DAY_BYTES:]
    return b"Sun %b %b%b " % (month_day, clock, year) if year else b"%b %b " % (said, clock)


def _time_text(nanos: int | None) -> bytes | None:
    return None if nanos is None else format_time(nanos).encode()


def find_json_value(line: bytes) -> int:
    """Where the value of a JSON line's time begins, behind its quote; -1: it has none."""
    for key in JSON_KEYS:
        at = line.find(key, 0, _JSON_WITHIN_BYTES)
        if at >= 0 and (match := _JSON_VALUE.match(line, at + len(key))) is not None:
            return match.end()
    return -1


def _json_nanos(line: bytes) -> int | None:
    at = find_json_value(line)
    match = None if at < 0 else ISO_TIME.match(line, at)
    return None if match is None else iso_nanos(match)


def _asctime_nanos(match: re.Match[bytes]) -> int | None:
    month = MONTHS.get(match[1])
    if month is None:
        return None
    day, hour, minute, second, year = (int(part) for part in match.group(2, 3, 4, 5, 7))
    fraction = int((match[6] or b"").ljust(9, b"0"))
    return civil_nanos(year, month, day, hour, minute, second, fraction=fraction)


def _access_nanos(match: re.Match[bytes]) -> int | None:
    month = MONTHS.get(match[2])
    if month is None:
        return None
    day, year, hour, minute, second = (int(part) for part in match.group(1, 3, 4, 5, 6))
    east = zone_seconds(match[7])
    return civil_nanos(year, month, day, hour, minute, second, zone_seconds=east)


def _syslog_nanos(match: re.Match[bytes], read_at_nanos: int) -> int | None:
    month = MONTHS[match[1]]
    day, hour, minute, second = (int(part) for part in match.group(2, 3, 4, 5))
    latest = read_at_nanos + SECONDS_PER_DAY * NANOS_PER_SECOND
    year = dt.datetime.fromtimestamp(latest // NANOS_PER_SECOND, tz=dt.UTC).year
    for years_back in range(_LEAP_YEARS_APART + 1):  # 29 February may be some years off
        nanos = civil_nanos(year - years_back, month, day, hour, minute, second)
        if nanos is not None and nanos <= latest:
            return nanos
    return None
