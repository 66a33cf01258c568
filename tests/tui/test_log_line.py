"""One event as one line: what its own columns say already does not cost the message its room."""

from __future__ import annotations

import datetime as dt

import pytest
from rich.cells import cell_len

from forensics.store.protocol import Document
from forensics.tui.log_line import Piece, render_row, without_prefix

AT = "2026-01-03T14:05:12.221000000Z"


def _document(message: str, level: str = "", dataset: str = "") -> Document:
    fields = {"@timestamp": AT, "message": message, "log.level": level, "event.dataset": dataset}
    return Document("x", "afterimage-logs-2026.01.03", fields)


@pytest.mark.parametrize(
    "prefix",
    [
        "2026-01-03T14:05:12.221Z", "2026-01-03 14:05:12", "[2026-01-03 14:05:12,221]",
        "2026-01-03T16:05:12+02:00", "2026-01-03 14:05:12 UTC", "Jan  3 14:05:12",
        "2026-01-03T14:05:12.999999Z",
    ],
)  # fmt: skip
@pytest.mark.parametrize("word", ["ERROR", "[error]", "ERROR:"])
def test_a_prefix_that_repeats_the_columns_is_left_out(prefix: str, word: str) -> None:
    """Time and level, in the forms that the shipper knows; the words that matter remain."""
    assert "disk full" == without_prefix(_document(f"{prefix} {word} disk full", "error"))


@pytest.mark.parametrize(
    "message",
    [
        "2026-01-03T14:05:13Z ERROR another second", "Jan  4 14:05:12 another day",
        "2026-01-03T14:05:12+02:00 another zone", "2026-01-03T14:05:12Z", "ERROR without a time",
        "2026-13-99T14:05:12+02:00 no day", "Xyz  3 14:05:12 no month", "",
        "2026-01-03T14:05:12Zfoo glued",
    ],
)  # fmt: skip
def test_what_says_something_else_stays(message: str) -> None:
    """A line whose own time differs is evidence of that; a line is never made empty."""
    assert message == without_prefix(_document(message, "error"))


def test_a_level_word_that_is_not_the_events_level_stays() -> None:
    """Only what the letter column says goes."""
    line = f"{AT[:19]}Z WARN disk"
    assert "WARN disk" == without_prefix(_document(line, "error"))
    assert "WARN disk" == without_prefix(_document(line))
    joined = "ERROR:root:disk full"
    assert joined == without_prefix(_document(f"{AT[:19]}Z {joined}", "error"))
    assert "WARN" == without_prefix(_document(f"{AT[:19]}Z WARN", "error"))


TRACE = 'boom\nTraceback (most recent call last):\n  File "app.py"\nValueError: no order'


def _row(message: str, width: int, words: list[str] | None = None, shift: int = 0) -> list[Piece]:
    return render_row(
        _document(message, "error"), width, zone=dt.UTC, words=words or (), shift=shift
    )


def test_a_record_of_several_lines_is_one_row_that_says_so() -> None:
    """Its first line, how many more there are, and its last: what a stack trace is about."""
    text = "".join(piece.text for piece in _row(TRACE, 100))
    assert text.endswith("boom +3 lines: ValueError: no order")
    assert "␊" not in text


def test_a_long_first_line_leaves_room_for_the_count() -> None:
    """Whatever the width and however far the row is moved: never more cells than there are."""
    for message in (f"{'x' * 500}\nlast", f"{'汉' * 500}\nlast"):
        for shift in (0, 40):
            pieces = _row(message, 80, shift=shift)
            upto = "".join(piece.text for piece in pieces).index(" +1 line")
            head = "".join(piece.text for piece in pieces)[:upto]
            assert cell_len(head) <= 80 - len(" +1 line")


def test_words_in_hidden_lines_are_marked_on_the_count() -> None:
    """A hit that the row can't show is not lost on a reader."""
    assert " +3 lines" in [one.text for one in _row(TRACE, 100, ["File"]) if one.kind == "match"]
    assert " +3 lines" not in [
        one.text for one in _row(TRACE, 100, ["boom"]) if one.kind == "match"
    ]
    assert "order" in [one.text for one in _row(TRACE, 100, ["order"]) if one.kind == "match"]
