"""Levels found for a chunk at once are those that each line names."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.level_columns import LevelColumns
from shipper.wire.levels import LEVEL_OF_TOKEN, LEVELS, find_level
from shipper.wire.line_kinds import sort_by_kind

TOKENS = (
    *(token.decode() for token in LEVEL_OF_TOKEN),
    "ERRORS", "xINFO", "I", "NFO", "info", "error", "[x", "=x", "level=", "level=informed", "<b>",
    "ERROR:root:no", "WARN,", "priced", "order-17", "é", "2026-01-03T14:05:12Z",
)  # fmt: skip
TEXT_OF = {level: level or "none" for level in ("", *LEVELS)}


def make_lines(rng: random.Random) -> list[bytes]:
    """Lines of words, most of which name no level."""
    words = rng.choices(("priced", "a", "5", "GET", "HTTP/1.1", "[03/Jan"), k=40)
    lines = []
    for _ in range(rng.randrange(1, 30)):
        line = rng.sample(words, rng.randrange(12))
        if rng.random() < 0.4:
            line.insert(rng.randrange(len(line) + 1), rng.choice(TOKENS))
        lines.append(rng.choice((" ", "  ", "\t")).join(line).encode() + b"\n")
    return lines


@given(st.integers(0, 2**32))
def test_no_line_that_names_a_level_is_left_out(seed: int) -> None:
    """The search of the whole chunk finds every line that the search of each would."""
    lines = make_lines(random.Random(seed))
    found = LevelColumns(TEXT_OF).of_lines(lines, b"".join(lines))
    assert [find_level(line) or "none" for line in lines] == found


@given(st.integers(0, 2**32))
def test_objects_name_their_levels_whatever_was_seen_before(seed: int) -> None:
    """With the key at any place, in another form, or in a value."""
    rng = random.Random(seed)
    columns = LevelColumns(TEXT_OF)
    for _ in range(3):
        lines = []
        for _ in range(10):
            level = rng.choice(("info", "INFO", "warning", "critical", "notice", "other", ""))
            key = rng.choice(('"level":"', '"level": "', '"severity":"', '"a":"'))
            pad = "x" * rng.choice((0, 3, 370, 385, 400))
            end = rng.choice(('"}', '","msg":"a"}', "}", "", 'x"}'))
            lines.append(f'{{"p":"{pad}",{key}{level}{end}\n'.encode())
        assert [find_level(line) or "none" for line in lines] == columns.of_objects(lines)


@given(st.integers(0, 2**32))
def test_words_behind_a_time_name_their_levels_whatever_was_seen_before(seed: int) -> None:
    """Short levels and long ones, with anything behind them."""
    rng = random.Random(seed)
    columns = LevelColumns(TEXT_OF)
    start = "2026-01-03T14:05:12Z "
    for _ in range(3):
        words = [rng.choice(TOKENS) + rng.choice((" ", "", "\t", "  x")) for _ in range(10)]
        lines = [f"{start}{word}{rng.choice(TOKENS)}\n".encode() for word in words]
        texts = [line[:-1].decode("latin-1") for line in lines]
        expected = [find_level(line) or "none" for line in lines]
        assert expected == columns.of_words(lines, texts, len(start))


@given(st.lists(st.sampled_from((
    "{", "", "x", "2026-01-03T14:05:12Z a", "2026-01-03 14:05:12 a", "Jan  3 14:05:12 a", "short",
)), min_size=1, max_size=20))  # fmt: skip
def test_every_line_has_one_kind(texts: list[str]) -> None:
    """All places are there once, in order within their kind; one kind is none."""
    kinds = sort_by_kind(texts)
    if kinds is None:
        assert len({text[:1] for text in texts} & {"{", "2", "J"}) <= 1
    else:
        assert list(range(len(texts))) == sorted(place for places in kinds for place in places)
        assert all(places == sorted(places) and places for places in kinds)
