"""One event as one line: what its own columns say already does not cost the message its room."""

from __future__ import annotations

import pytest

from forensics.store.protocol import Document
from forensics.tui.log_line import without_prefix

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
