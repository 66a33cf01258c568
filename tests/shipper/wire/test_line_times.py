"""shipper.wire.line_times: the fast way and the plain way find the same time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.line_times import LineTimes, find_line_time
from shipper.wire.times import format_time, parse_time

READ_AT = parse_time("2026-01-03T14:05:12.123456789Z")

clocks = st.sampled_from(["14:05:11", "00:00:00", "23:59:59", "23:59:60", "24:00:00", "1:2:3"])
fractions = st.sampled_from(
    ["", ".1", ",221", ".123456789", ".1234567891", ".12345678912345", ".", ",x"]
)
rests = st.sampled_from(
    [
        "",
        " ",
        " INFO x",
        " Zebra",
        " UTC",
        " UTCX",
        "Z",
        "Zx",
        "z",
        "+0100",
        " +01:00",
        "-09:30 x",
        "]",
        "] x",
        '"',
        '"}',
        "\tx",
        "|x",
        " -x",
        " 5",
        "5",
        " [03/Jan/2026:14:05:11 +0200] x",
    ]
)
iso_days = st.sampled_from(
    [
        "2026-01-03",
        "2026-02-30",
        "1969-12-31",
        "1970-01-01",
        "2262-04-11",
        "2262-04-12",
        "0000-00-00",
    ]
)
iso = st.builds("{}{}{}{}{}".format, iso_days, st.sampled_from("T "), clocks, fractions, rests)
month_days = st.sampled_from(
    ["Jan  3", "Jan 04", "Jan  5", "Dec 31", "Feb 29", "Feb 30", "Foo  3", "May  0", "Jan 99"]
)
syslog = st.builds("{} {}{}".format, month_days, clocks, rests)
asctime = st.builds(
    "{}{} {} {}{} {}{}".format,
    st.sampled_from(["", "["]),
    st.sampled_from(["Sat", "Sun", "Xyz", "May"]),
    month_days,
    clocks,
    st.sampled_from(["", ".123456", ".1234567891"]),
    st.sampled_from(["2026", "1969", "2262", "20260"]),
    rests,
)
access = st.builds(
    '{} - - [{}/{}/2026:{} {}] "GET / HTTP/1.1"'.format,
    st.sampled_from(["1.2.3.4", "host", "::1", "2026-x", "Jan"]),
    st.sampled_from(["03", "31", "00"]),
    st.sampled_from(["Jan", "Feb", "Foo"]),
    clocks,
    st.sampled_from(["+0000", "+0230", "-0500", "UTC"]),
)
json_lines = st.builds(
    '{{"a":1,"{}"{}"{}","time":"2026-01-01T00:00:00Z"}}'.format,
    st.sampled_from(["@timestamp", "timestamp", "time", "ts", "other"]),
    st.sampled_from([":", ": ", " : ", ":1,"]),
    iso,
)
lines = st.one_of(
    iso, iso.map("[{}".format), syslog, asctime, access, json_lines, st.text(max_size=30)
)


@given(st.lists(lines, min_size=1, max_size=8))
def test_the_fast_way_finds_what_the_plain_way_finds(texts: list[str]) -> None:
    """For any line, whatever lines came before it."""
    times = LineTimes()
    times.begin(READ_AT)
    for text in texts:
        line = text.encode() + b"\n"
        nanos = find_line_time(line, READ_AT)
        expected = None if nanos is None else format_time(nanos).encode()
        assert expected == times.find(line), line


def test_a_year_that_is_not_written_moves_on_with_the_day_of_reading() -> None:
    """What was worked out a year ago is not what the same words mean today."""
    times = LineTimes()
    for year in ("2026", "2027"):
        read_at = parse_time(f"{year}-06-14T16:00:00Z")
        times.begin(read_at)
        found = times.find(b"Jun 14 15:16:01 host app: x\n")
        assert f"{year}-06-14T15:16:01.000000000Z".encode() == found


def test_hostile_times_do_not_grow_the_cache_without_bound() -> None:
    """A million days in one file."""
    times = LineTimes()
    for year in range(1000, 9999):
        times.begin(READ_AT)
        times.find(b"%d-01-03T14:05:12Z x\n" % year)
    assert len(times._days) <= 4097


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"2026-01-03 14:05:12,221 INFO x", "2026-01-03T14:05:12.221000000Z"),
        (b"[2026-01-03T14:05:12.5Z] x", "2026-01-03T14:05:12.500000000Z"),
        (b"2026-01-03T14:05:12+01:00 x", "2026-01-03T13:05:12.000000000Z"),
        (b'{"ts": "2026-01-03T14:05:12Z"}', "2026-01-03T14:05:12.000000000Z"),
        (b"Feb 29 14:05:12 host x", "2024-02-29T14:05:12.000000000Z"),
        (b"Jan  4 14:05:12 host x", "2026-01-04T14:05:12.000000000Z"),
        (b"Jan  4 14:05:13 host x", "2025-01-04T14:05:13.000000000Z"),
        (b"[Sat Jan 03 14:05:12.123456 2026] [x]", "2026-01-03T14:05:12.123456000Z"),
        (b"h - - [03/Jan/2026:14:05:12 -0500] x", "2026-01-03T19:05:12.000000000Z"),
    ],
)
def test_known_forms(line: bytes, expected: str) -> None:
    """Each form that is promised, with its time."""
    times = LineTimes()
    times.begin(READ_AT)
    assert expected.encode() == times.find(line + b"\n")
