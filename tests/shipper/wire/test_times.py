"""shipper.wire.times: one text for a time, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.wire.times import EARLIEST, LATEST, format_time, parse_time

moments = st.integers(0, 2**63 - 1)


@given(moments)
def test_a_time_survives_its_text(nanos: int) -> None:
    """Every nanosecond that OpenSearch can hold."""
    assert nanos == parse_time(format_time(nanos))


@given(moments, moments)
def test_texts_sort_as_times_do(one: int, other: int) -> None:
    """Fixed width: SQLite compares texts."""
    assert (one < other) == (format_time(one) < format_time(other))


def test_the_range_is_that_of_date_nanos() -> None:
    """Its ends are told as texts too."""
    assert (EARLIEST, LATEST) == (format_time(0), format_time(2**63 - 1))
    for nanos in (-1, 2**63):
        with pytest.raises(ValueError, match="outside 1970 to 2262"):
            format_time(nanos)


@pytest.mark.parametrize("text", ["", "now", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With an example of what is one."""
    with pytest.raises(ValueError, match="is not a time: give ISO 8601"):
        parse_time(text)
