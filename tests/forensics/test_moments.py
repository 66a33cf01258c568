"""Times as people wish and read them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.moments import (
    NOTHING,
    UNKNOWN,
    nanos_or_none,
    parse_wish,
    render_age,
    render_moment,
    render_second,
    render_short,
    render_span,
    render_utc,
    seconds_between,
    shift_time,
)
from shipper.wire.times import format_time, parse_time

NOW = parse_time("2026-01-03T14:30:00Z")
AROUND = "2026-01-02T09:00:00.000000000Z"
TWO_AHEAD = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("14:05", "2026-01-02T14:05:00.000000000Z"),
        ("9:05", "2026-01-02T09:05:00.000000000Z"),
        ("14:05:12.5", "2026-01-02T14:05:12.500000000Z"),
        ("2h ago", "2026-01-03T12:30:00.000000000Z"),
        ("90m", "2026-01-03T13:00:00.000000000Z"),
        ("-1d", "2026-01-02T14:30:00.000000000Z"),
        ("2026-01-01", "2026-01-01T00:00:00.000000000Z"),
        ("2026-01-01 10:20", "2026-01-01T10:20:00.000000000Z"),
        ("2026-01-03T14:05:12Z", "2026-01-03T14:05:12.000000000Z"),
        ("2026-01-03T14:05:12+0100", "2026-01-03T13:05:12.000000000Z"),
    ],
)
def test_a_wish_becomes_a_time(wish: str, expected: str) -> None:
    """A clock time is on the day under the cursor, a span counts back from now."""
    assert expected == parse_wish(wish, around=AROUND, now_nanos=NOW, zone=dt.UTC)


def test_a_wish_without_zone_is_in_the_zone_on_screen() -> None:
    """What the screen shows can be typed back."""
    got = parse_wish("14:05", around=AROUND, now_nanos=NOW, zone=TWO_AHEAD)
    assert got == "2026-01-02T12:05:00.000000000Z"


@pytest.mark.parametrize("wish", ["", "soon", "25:00", "14:61", "2026-13-01", "1e9", "14", "☃"])
def test_what_is_no_time_is_refused_with_an_example(wish: str) -> None:
    """The message says what would be understood."""
    with pytest.raises(ValueError, match=r"ISO 8601|write 14:05"):
        parse_wish(wish, around=AROUND, now_nanos=NOW, zone=dt.UTC)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_value_error(wish: str) -> None:
    """Nothing typed can end the program."""
    try:
        got = parse_wish(wish, around="", now_nanos=NOW, zone=TWO_AHEAD)
    except ValueError:
        return
    assert got == format_time(parse_time(got))


def test_moments_carry_their_zone() -> None:
    """UTC is `Z`, another zone its offset."""
    at = "2026-01-03T14:05:12.221000000Z"
    assert render_moment(at, dt.UTC) == "2026-01-03 14:05:12.221Z"
    assert render_moment(at, TWO_AHEAD) == "2026-01-03 16:05:12.221+0200"
    assert render_short(at, dt.UTC) == "01-03 14:05:12.221"
    assert render_short(at, TWO_AHEAD) == "01-03 16:05:12.221"


def test_a_time_that_nobody_knows_has_one_word_in_sentences_and_one_in_columns() -> None:
    """A reader must not wonder whether two words mean two things."""
    at = "2026-01-03T14:05:12.221000000Z"
    assert (render_utc(at), render_second(at)) == (
        "2026-01-03T14:05:12.221Z",
        "2026-01-03T14:05:12Z",
    )
    assert (render_moment("", dt.UTC), render_moment("rubbish", dt.UTC)) == (UNKNOWN, UNKNOWN)
    assert render_utc("") == UNKNOWN
    assert (render_second(""), render_age("", NOW)) == (NOTHING, NOTHING)


def test_spans_and_ages_have_two_units_at_most() -> None:
    """Short enough for a column."""
    spans = [render_span(seconds) for seconds in (0.25, 5, 65, 11_520, 90_000)]
    assert spans == ["250 ms", "5 s", "1 m 05 s", "3 h 12 m", "1 d 01 h"]
    assert render_age("2026-01-03T14:26:00.000000000Z", NOW) == "4m"


def test_insane_times_count_as_none() -> None:
    """A document's time may be anything."""
    assert nanos_or_none("yesterday") is None
    assert seconds_between("x", AROUND) == 0.0
    assert shift_time("1970-01-01T00:00:10.000000000Z", -60) == "1970-01-01T00:00:00.000000000Z"
