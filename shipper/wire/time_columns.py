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

from shipper.wire.line_times import JSON_KEYS, MONTHS, LineTimes, find_json_value

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
_COLON_AT: Final = 13
_SECOND_AT: Final = 19
# Times of whole seconds at a line's start, and the character behind them: these bytes decide.
_MONTH: Final = "(?:" + "|".join(name.decode() for name in MONTHS) + ")"
_SECOND: Final = re.compile(
    rf"{_MONTH} [ \d]\d \d\d:\d\d:\d\d |"  # RFC 3164
    rf"\[?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} [ \d]\d \d\d:\d\d:\d\d \d{{4}}[\] ]",  # asctime
    re.ASCII,
)
_ACCESS: Final = re.compile(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", re.ASCII)
_SIZE: Final = len("[03/Jan/2026:14:05:12 +0000]")
_FAR: Final = 90
"""Some characters less than where `find_line_time` looks: its end has to be within that."""
_KIND: Final = 5
"""Enough of a line's start to know that its time stands nowhere else."""
_VALUE_BYTES: Final = len("2026-01-03T14:05:12.123456789+01:00") + 2
_CACHE_LIMIT: Final = 4096
_DAY_END: Final = len("Jan  3")


class TimeColumn(NamedTuple):
    """Times of lines."""

    before: str
    texts: Sequence[str]
    after: str
    words_at: int
    """Where lines go on behind their time and a space; 0: not known."""


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
        if self._times.read_day != self._seconds_day or len(self._seconds) > _CACHE_LIMIT:
            self._seconds_day = self._times.read_day
            self._seconds = {}
        if len(texts) >= _FEW:
            first = texts[0]
            match = _PLAIN.match(first)
            if match is not None:
                return self._plain(match, lines, texts, read_at)
            match = _SECOND.match(first)
            if match is not None:
                seconds = self._seconds_at_start(lines, texts, match.end(), read_at)
                return TimeColumn("", seconds, "", 0)
            if first[:1] == "{":
                return self._json(lines, read_at)
            if "[" in first[:_FAR]:
                return TimeColumn("", self._bracketed(lines, texts, read_at), "", 0)
        return TimeColumn("", self._one_by_one(lines, read_at), "", 0)

    def begin(self, read_at_nanos: int) -> None:
        """Call it before `find_one`."""
        self._times.begin(read_at_nanos)

    def find_one(self, line: bytes) -> str:
        """The time that one line says of itself; empty: none."""
        found = self._times.find(line)
        return "" if found is None else found.decode()

    def _one_by_one(self, lines: Sequence[bytes], read_at: str) -> list[str]:
        find = self._times.find
        found = [find(line) for line in lines]
        return [time.decode() if time else read_at for time in found]

    def _plain(
        self, first: re.Match[str], lines: Sequence[bytes], texts: Sequence[str], read_at: str
    ) -> TimeColumn:
        """The column of lines that may all have the first one's form."""
        if self._times.day_text(first[1].encode()) != first[1].encode():
            return TimeColumn("", self._one_by_one(lines, read_at), "", 0)
        if not _have_form(texts, first):
            return TimeColumn("", self._one_by_one(lines, read_at), "", 0)
        return self._of_form(first, texts)

    @staticmethod
    def _of_form(first: re.Match[str], texts: Sequence[str]) -> TimeColumn:
        """The column of lines all of which have the first one's form."""
        day, mark, fraction, zone, end, _ = first.groups()
        time_end = first.end() - 2 - len(zone)
        clocks: Sequence[str] = [text[_CLOCK_AT:time_end] for text in texts]
        if mark == ",":
            clocks = "\n".join(clocks).replace(",", ".").split("\n")
        after = ("" if mark else ".") + "0" * (9 - len(fraction or "")) + "Z"
        words_at = first.end() - 1 if end == " " else 0
        return TimeColumn(f"{day}T", clocks, after, words_at)

    def _json(self, lines: Sequence[bytes], read_at: str) -> TimeColumn:
        """Times of JSON objects: those of one program have them at one place, behind one start."""
        at = find_json_value(lines[0])
        start = lines[0][:at]
        if at >= 0 and b"".join([line[:at] for line in lines]) == start * len(lines):
            first_keys = JSON_KEYS[: max(n for n, key in enumerate(JSON_KEYS) if key in start)]
            data = b"".join(lines) if first_keys else b""
            values = b"\n".join([line[at : at + _VALUE_BYTES] for line in lines])
            texts = values.decode("latin-1").split("\n")
            first = _PLAIN.match(texts[0])
            if (
                first is not None
                and len(texts) == len(lines)
                and not any(key in data for key in first_keys)  # they may count before this one
            ):
                return self._plain(first, lines, texts, read_at)._replace(words_at=0)
        return TimeColumn("", self._one_by_one(lines, read_at), "", 0)

    def _seconds_at_start(
        self, lines: Sequence[bytes], texts: Sequence[str], width: int, read_at: str
    ) -> list[str]:
        """Times of whole seconds that lines begin with, most of them seen before."""
        known = self._seconds
        starts = [text[:width] for text in texts]
        column = [known.get(start, "") for start in starts]
        if "" in column:
            for place, start in enumerate(starts):
                if not column[place]:  # the first line of a second teaches the others
                    column[place] = known.get(start) or self._learn_second(lines[place], start)
            column = [time or read_at for time in column]
        return column

    def _learn_second(self, line: bytes, start: str) -> str:
        time = self.find_one(line)
        if time and _SECOND.fullmatch(start) is not None and not self._is_of_two_years(start):
            self._seconds[start] = time
        return time

    def _is_of_two_years(self, start: str) -> bool:
        """Whether its year depends on the hour of reading: a day without one that is to come."""
        day = start[:_DAY_END].encode("latin-1")
        return day[:3] in MONTHS and not self._times.day_text(day)

    def _bracketed(self, lines: Sequence[bytes], texts: Sequence[str], read_at: str) -> list[str]:
        """Times of whole seconds in access logs, most of them seen before."""
        known = self._seconds
        keys = [text[:_KIND] + text[(at := text.find("[", 0, _FAR)) : at + _SIZE] for text in texts]
        column = [known.get(key, "") for key in keys]
        if "" in column:
            for place, key in enumerate(keys):
                if not column[place]:  # as above
                    column[place] = known.get(key) or self._learn_bracket(
                        lines[place], texts[place]
                    )
            column = [time or read_at for time in column]
        return column

    def _learn_bracket(self, line: bytes, text: str) -> str:
        time = self.find_one(line)
        at = text.find("[")
        is_other = text[4:5] == "-" or not text[:1].isdigit()  # no access log: its start decides
        if time and not is_other and _KIND <= at < _FAR:
            bracket = text[at : at + _SIZE]
            if _ACCESS.fullmatch(bracket) is not None:
                self._seconds[text[:_KIND] + bracket] = time
        return time


def _have_form(texts: Sequence[str], first: re.Match[str]) -> bool:
    """Whether all texts begin as the first one does."""
    width, count = first.end(), len(texts)
    starts = "".join([text[:width] for text in texts]).encode("latin-1")
    if len(starts) != width * count or first[5] in ".,":  # a digit behind it: a fraction
        return False
    return _have_digits(starts, width, first) and _have_hours(starts, width)


def _have_digits(starts: bytes, width: int, first: re.Match[str]) -> bool:
    """Whether what is the same in all is, and digits are digits."""
    fixed = [*range(_CLOCK_AT), _COLON_AT, 16, *range(first.start(4), width - 1)]
    if first[2]:
        fixed.append(_SECOND_AT)
    count = len(starts) // width
    if any(starts[at::width] != starts[at : at + 1] * count for at in fixed):
        return False
    last = starts[width - 1 :: width]
    if first[5] == " " and not first[4] and any(zone in last for zone in _ZONES):
        return False
    fraction = range(first.start(3), first.end(3)) if first[3] else ()
    if any(starts[at::width].strip(b"0123456789") for at in (12, 15, 18, *fraction)):
        return False
    return not any(starts[at::width].strip(b"012345") for at in (14, 17))


def _have_hours(starts: bytes, width: int) -> bool:
    tens = starts[_CLOCK_AT::width]
    if not tens.strip(b"01"):
        return True
    if tens.strip(b"012"):
        return False
    hours = set(zip(tens, starts[_CLOCK_AT + 1 :: width], strict=True))
    return all(bytes(hour) <= b"23" for hour in hours)
