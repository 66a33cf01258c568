"""Lines that are one record: real stack traces, patterns, and that reads cut nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.formats import make_framer
from shipper.wire.framing import RECORD_LIMIT_BYTES
from shipper.wire.multiline import PRESETS, Grouping

TRACES = Path(__file__).parent / "traces"

EXPECTED = {
    # by text: how many lines each record has
    "python.txt": [1, 1, 30, 1, 1, 15, 1, 1, 31, 1, 1, 5, 1, 1, 1, 8, 1, 6],
    "java.txt": [1, 1, 10, 1, 6, 1, 6, 10],
    "go_all.txt": [1, 21],
    "go_deadlock.txt": [1, 23],
    "go_http.txt": [1, 16, 1, 1],
    "go_nil.txt": [1, 12],
    "go_quit.txt": [1, 150],
    "go_repanic.txt": [1, 12],
    "go_stack.txt": [1, 5, 1, 1],
    "node_async.txt": [1, 19],
    "node_caught.txt": [1, 19, 1, 12, 1],
    "node_stack.txt": [1, 9, 1],
    "node_syntax.txt": [14],
    "node_uncaught.txt": [1, 18],
}
PYTHON = b"Traceback (most recent call last):\n"


def lines_of(name: str) -> list[bytes]:
    """The lines of a recorded trace."""
    return (TRACES / name).read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_stack_trace_is_one_record_and_ordinary_lines_stay_apart(name: str) -> None:
    """What real programs print: chained, suppressed, grouped, of several goroutines, uncaught."""
    lines = lines_of(name)
    preset = name.partition(".")[0].partition("_")[0]
    records = Grouping(preset=preset).group(lines, final=True)
    assert EXPECTED[name] == [record.count(b"\n") for record in records]
    assert b"".join(lines) == b"".join(records)


def test_each_recorded_trace_is_tested() -> None:
    """A text without an expectation would prove nothing."""
    assert sorted(EXPECTED) == sorted(path.name for path in TRACES.glob("*.txt"))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_another_languages_lines_are_never_lost(preset: str) -> None:
    """Whatever preset meets whatever text, the records tile it."""
    for name in EXPECTED:
        lines = lines_of(name)
        assert b"".join(lines) == b"".join(Grouping(preset=preset).group(lines, final=True))


def test_a_blank_line_after_a_trace_belongs_to_it_only_before_a_chained_one() -> None:
    """A blank line is decided by the line after it."""
    trace = [PYTHON, b'  File "shop.py", line 1, in f\n', b"ValueError: x\n"]
    group = Grouping(preset="python").group
    assert [b"".join(trace), b"\n", b"next\n"] == group([*trace, b"\n", b"next\n"], final=True)
    assert [] == group([*trace, b"\n"], final=False)
    assert [b"".join(trace), b"\n"] == group([*trace, b"\n"], final=True)


def test_an_ordinary_line_does_not_wait_where_nothing_can_follow_it() -> None:
    """Python and Go say at the first line whether there may be more: others are sent at once."""
    assert [b"one\n", b"two\n"] == Grouping(preset="python").group(
        [b"one\n", b"two\n"], final=False
    )
    assert [b"one\n"] == Grouping(preset="java").group([b"one\n", b"two\n"], final=False)


def test_a_start_pattern_begins_records() -> None:
    """What comes before the first start is a record, too."""
    lines = [b"rest\n", b"2026-01-03 one\n", b" more\n", b"\n", b"2026-01-03 two\n"]
    grouping = Grouping(start=r"^\d{4}-\d\d-\d\d")
    expected = [b"rest\n", b"2026-01-03 one\n more\n\n", b"2026-01-03 two\n"]
    assert expected == grouping.group(lines, final=True)
    assert expected[:-1] == grouping.group(lines, final=False)


def test_a_continuation_pattern_goes_on() -> None:
    """A continuation at the very start begins a record, since there is nothing to go on with."""
    lines = [b"\tx\n", b"one\n", b"\tmore\n", b"two\n"]
    expected = [b"\tx\n", b"one\n\tmore\n", b"two\n"]
    assert expected == Grouping(continuation=r"^\s").group(lines, final=True)


def test_an_unknown_preset_is_refused_with_the_names() -> None:
    """A rule that is none must not group nothing in silence."""
    with pytest.raises(ValueError, match="'ruby' is no preset: python, java, go, node"):
        Grouping(preset="ruby")


def test_a_record_ends_before_the_line_that_makes_it_too_long() -> None:
    """The limit ends a record; what follows begins another, and goes on by the same rule."""
    lines = [b"a\n", *[b" 2345678\n"] * 5]
    assert [20, 27] == [
        len(record) for record in Grouping(continuation="^ ").group(lines, final=True, limit=27)
    ]


LINES = st.lists(
    st.sampled_from(
        [
            PYTHON, b'  File "a.py", line 1\n', b"    f()\n", b"ValueError: x\n", b"\n",
            b"2026 a\n",
            b"During handling of the above exception, another exception occurred:\n",
            b"  + Exception Group Traceback (most recent call last):\n", b"  | x\n", b"\tat a.B\n",
            b"java.lang.X: y\n", b"Caused by: z\n", b"panic: x\n", b"goroutine 1 [running]:\n",
            b"main.main()\n", b"\t/a.go:1 +0x1\n", b"/a.js:1\n", b"  ^\n", b"Error: x\n",
            b"    at f (a.js:1:2) {\n", b"}\n", b"Node.js v20.1.0\n", b"rax    0x0\n", b"\r\n",
        ]
    ),
    max_size=30,
)  # fmt: skip
RULES: list[dict[str, str]] = [
    *({"preset": name} for name in PRESETS),
    {"start": r"^\d{4}"},
    {"continuation": r"^\s"},
]


@given(lines=LINES, rule=st.sampled_from(RULES), data=st.data(), limit=st.integers(20, 200))
def test_records_do_not_depend_on_how_reads_were_cut(
    lines: list[bytes], rule: dict[str, str], data: st.DataObject, limit: int
) -> None:
    """Reading on where records ended, however few lines a read gives, finds the same records."""
    grouping = Grouping(**rule)
    whole = grouping.group(lines, final=True, limit=limit)
    assert b"".join(lines) == b"".join(whole)
    found: list[bytes] = []
    at = end = 0
    while at < len(lines):
        end = min(len(lines), end + data.draw(st.integers(1, 5)))
        records = grouping.group(lines[at:end], final=end == len(lines), limit=limit)
        found += records
        at += sum(record.count(b"\n") for record in records)
    assert whole == found


@given(chunk=st.binary(max_size=200), rule=st.sampled_from(RULES))
def test_any_bytes_are_tiled(chunk: bytes, rule: dict[str, str]) -> None:
    """Hostile bytes are records like others."""
    for tail_format in ("lines", "docker", "cri"):
        assert chunk == b"".join(make_framer(tail_format, **rule)(chunk, final=True))


def test_a_long_line_to_come_ends_the_record_that_is_held_back() -> None:
    """A read of the longest kind always finds a record: a source can't stand still."""
    framer = make_framer("lines", preset="java")
    chunk = b"x" * 600_000 + b"\n" + b"y" * (RECORD_LIMIT_BYTES + 64 - 600_001)
    assert [600_001] == [len(record) for record in framer(chunk)]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_hostile_lines_are_matched_in_bounded_time(preset: str) -> None:
    """A megabyte of almost a frame takes milliseconds, not minutes."""
    grouping = Grouping(preset=preset)
    heads = [b"panic: ", b"goroutine 1 [", b"Traceback (most recent call last):", b"/", b"\tat "]
    began = time.process_time()
    for head in heads:
        for filling in (b"(", b" ", b"panic", b"goroutine 1 ", b":1", b"^", b"a.b(", b"[[", b"\t"):
            line = head + filling * (200_000 // len(filling)) + b"\n"
            grouping.group([line, line, b"x\n"], final=True)
    assert time.process_time() - began < 5.0
