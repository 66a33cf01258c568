"""The geometry of the report's one picture: records over time, and what happened to the instance.

Pure: bars and events in, numbers to draw out. The template draws them as inline SVG; no text of a
log ever becomes part of a coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from forensics.report.model import BarRow, TimelineRow
from shipper.wire.times import format_time, parse_time

WIDTH: Final = 960
BARS_HEIGHT: Final = 120
MARKERS_LIMIT: Final = 12
TICKS: Final = 5
_MARKER_ROWS: Final = 3
_MARKER_SPACE: Final = 26


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, errors at its foot."""

    x: float
    width: float
    height: float
    error_height: float
    title: str


@dataclass(frozen=True, slots=True)
class Marker:
    """An event's number on its line."""

    x: float
    row: int
    number: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A time under the axis."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All there is to draw."""

    bars: tuple[Bar, ...]
    markers: tuple[Marker, ...]
    events: tuple[TimelineRow, ...]
    """The events of the markers, by number from 1."""
    ticks: tuple[Tick, ...]
    highest: int
    """Records in the highest bar."""
    label: str
    """What a reader who can't see it should hear."""


def build_chart(histogram: Sequence[BarRow], events: Sequence[TimelineRow]) -> Chart | None:
    """The picture; None: there is nothing with a time."""
    shown = _choose(events)
    starts = [parse_time(bar.start) for bar in histogram]
    times = starts + [parse_time(event.at) for event in shown]
    if not times:
        return None
    width_nanos = starts[1] - starts[0] if len(starts) > 1 else 1_000_000_000
    first = min(times)
    last = max([*times, *(start + width_nanos for start in starts[-1:])])
    span = max(last - first, 1)
    highest = max((bar.count for bar in histogram), default=0)
    scale = BARS_HEIGHT / max(highest, 1)

    def place(nanos: int) -> float:
        return round((nanos - first) / span * WIDTH, 2)

    bars = tuple(
        Bar(
            x=place(start),
            width=max(round(width_nanos / span * WIDTH, 2) - 1, 1.5),
            height=round(bar.count * scale, 2),
            error_height=round(bar.errors * scale, 2),
            title=f"{bar.start[:19]}Z: {bar.count:,} records, {bar.errors:,} errors",
        )
        for start, bar in zip(starts, histogram, strict=True)
        if bar.count
    )
    return Chart(
        bars=bars,
        markers=_markers([place(parse_time(event.at)) for event in shown]),
        events=tuple(shown),
        ticks=_ticks(first, last, place_span=span),
        highest=highest,
        label=_label(histogram, shown),
    )


def _choose(events: Sequence[TimelineRow]) -> list[TimelineRow]:
    """The events worth a marker: of a quarantine its first and last, of the rest the newest."""
    timed = [event for event in events if event.at]
    steps = [event for event in timed if event.origin == "quarantine"]
    left_out = {id(event) for event in steps[1:-1]}
    return [event for event in timed if id(event) not in left_out][-MARKERS_LIMIT:]


def _markers(places: Sequence[float]) -> tuple[Marker, ...]:
    markers: list[Marker] = []
    ends = [-float(_MARKER_SPACE)] * _MARKER_ROWS
    for number, x in enumerate(places, start=1):
        row = next((row for row, end in enumerate(ends) if x - end >= _MARKER_SPACE), 0)
        row = row if x - ends[row] >= _MARKER_SPACE else (number - 1) % _MARKER_ROWS
        ends[row] = x
        markers.append(Marker(x, row, number))
    return tuple(markers)


def _ticks(first: int, last: int, *, place_span: int) -> tuple[Tick, ...]:
    same_day = format_time(first)[:10] == format_time(last)[:10]
    ticks = []
    for number in range(TICKS):
        nanos = first + (last - first) * number // (TICKS - 1)
        text = format_time(nanos)
        label = text[11:19] if same_day and number else f"{text[:10]} {text[11:19]}"
        anchor = "start" if number == 0 else "end" if number == TICKS - 1 else "middle"
        ticks.append(Tick(round((nanos - first) / place_span * WIDTH, 2), label, anchor))
    return tuple(ticks)


def _label(histogram: Sequence[BarRow], events: Sequence[TimelineRow]) -> str:
    records = sum(bar.count for bar in histogram)
    errors = sum(bar.errors for bar in histogram)
    return (
        f"Records over time: {records:,}, of them {errors:,} errors, and {len(events)} events; "
        "the list below the picture and the timeline table hold the same facts."
    )
