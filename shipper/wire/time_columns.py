"""The times that a chunk's lines say of themselves, found for all of them at once.

In: lines, as bytes and as escaped text. Out: a column of texts, and what stands before and after
each, so that joining the three gives `LineTimes.find`'s text of every line; or where each line's
words begin behind its time. Lines of one program have one form: where the first line's form holds
for all of them, comparing columns of characters takes the place of looking at lines. It must never
give another time than `find_line_time`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from shipper.wire.line_times import MONTHS, LineTimes

_FEW: Final = 8
"""Fewer lines are looked at one by one."""
_CLOCK_AT: Final = 11
# A plain time and the two characters behind it: UTC or no zone, and nothing that could be one.
_PLAIN: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d:\d\d(?:([.,])(\d{1,9}))?(Z?)"
    r"(?![0-9A-Za-z])(?! ?[ZzU+-])(.)(.)",
    re.ASCII,
)
_ZONES: Final = b"ZzU+-"
_SECOND_AT: Final = 19
# Times of whole seconds at a line's start, and the character behind them: these bytes decide.
_MONTH: Final = "(?:" + "|".join(name.decode() for name in MONTHS) + ")"
_SECOND: Final = re.compile(
    rf"{_MONTH} [ \d]\d \d\d:\d\d:\d\d |"  # RFC 3164
    rf"\[?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} [ \d]\d \d\d:\d\d:\d\d \d{{4}}[\] ]",  # asctime
    re.ASCII,
)
_CACHE_LIMIT: Final = 4096


class TimeColumn(NamedTuple):
    """Times of lines."""

    before: str
    texts: Sequence[str]
    after: str
    words_at: int
    """Where all lines go on behind their time and a space; 0: not known."""


class TimeColumns:
    """Columns for one source's chunks. One thread's at a time."""

    def __init__(self) -> None:
        self._times = LineTimes()
        self._seconds: dict[str, str] = {}
        self._seconds_day = -1

    def find(
        self, lines: Sequence[bytes], texts: Sequence[str], read_at_nanos: int, read_at: str
    ) -> TimeColumn:
        """The column of `lines`, whose escaped forms are `texts`; `read_at` where one has none."""
        self._times.begin(read_at_nanos)
        if len(texts) >= _FEW:
            match = _PLAIN.match(texts[0])
            if match is not None:
                column = self._plain(match, texts)
                if column is not None:
                    return column
            elif (match := _SECOND.match(texts[0])) is not None:
                return TimeColumn(
                    "", self._whole_seconds(lines, texts, match.end(), read_at), "", 0
                )
        find = self._times.find
        found = [find(line) for line in lines]
        return TimeColumn("", [time.decode() if time else read_at for time in found], "", 0)

    def begin(self, read_at_nanos: int) -> None:
        """Call it before `find_one`."""
        self._times.begin(read_at_nanos)

    def find_one(self, line: bytes) -> str:
        """The time that one line says of itself; empty: none."""
        found = self._times.find(line)
        return "" if found is None else found.decode()

    def _plain(self, first: re.Match[str], texts: Sequence[str]) -> TimeColumn | None:
        """The column where all lines have the first one's form; None: not all have."""
        day, mark, fraction, zone, _, _ = first.groups()
        width, count = first.end(), len(texts)
        prefixes = "".join([text[:width] for text in texts])
        if len(prefixes) != width * count:
            return None
        if not _have_form(prefixes.encode("latin-1"), width, count, first):
            return None
        if self._times.day_text(day.encode()) != day.encode():
            return None
        time_end = width - 2 - len(zone)
        if mark == ",":
            clocks: Sequence[str] = (
                "\n".join([text[_CLOCK_AT:time_end] for text in texts])
                .replace(",", ".")
                .split("\n")
            )
        else:
            clocks = [text[_CLOCK_AT:time_end] for text in texts]
        after = ("" if mark else ".") + "0" * (9 - len(fraction or "")) + "Z"
        words_at = width - 1 if first[5] == " " else 0
        return TimeColumn(f"{day}T", clocks, after, words_at)

    def _whole_seconds(
        self, lines: Sequence[bytes], texts: Sequence[str], width: int, read_at: str
    ) -> list[str]:
        """Times of whole seconds, most of them seen before."""
        if self._times.read_day != self._seconds_day or len(self._seconds) > _CACHE_LIMIT:
            self._seconds_day = self._times.read_day
            self._seconds = {}
        known = self._seconds
        column = [known.get(text[:width], "") for text in texts]
        if "" in column:
            for place, found in enumerate(column):
                if not found:
                    column[place] = self._learn_second(lines[place], texts[place][:width], read_at)
        return column

    def _learn_second(self, line: bytes, start: str, read_at: str) -> str:
        time = self._times.find(line)
        if time is None:
            return read_at
        if _SECOND.fullmatch(start) is not None:
            self._seconds[start] = time.decode()
        return time.decode()


def _have_form(prefixes: bytes, width: int, count: int, first: re.Match[str]) -> bool:
    """Whether `count` prefixes of `width` characters, joined, are of the first one's form."""
    if first[5] in ".,":  # a digit behind it would be a fraction
        return False
    fixed = [*range(_CLOCK_AT), 13, 16, *range(first.start(4), width - 1)]
    if first[2]:
        fixed.append(_SECOND_AT)
    if any(prefixes[at::width] != prefixes[at : at + 1] * count for at in fixed):
        return False
    last = prefixes[width - 1 :: width]
    if first[5] == " " and not first[4] and any(zone in last for zone in _ZONES):
        return False
    fraction = range(first.start(3), first.end(3)) if first[3] else ()
    if any(prefixes[at::width].strip(b"0123456789") for at in (12, 15, 18, *fraction)):
        return False
    if any(prefixes[at::width].strip(b"012345") for at in (14, 17)):
        return False
    tens = prefixes[_CLOCK_AT::width]
    if not tens.strip(b"01"):
        return True
    hours = set(zip(tens, prefixes[_CLOCK_AT + 1 :: width], strict=True))
    return all(bytes(hour) <= b"23" for hour in hours)
