"""shipper.deliver.pacing: never giving up, and never all at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipper.deliver.pacing import CAP_SECONDS, DRAIN_CAP_SECONDS, backoff_seconds


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 1000))
def test_a_wait_is_bounded_and_never_nothing(failures: int, random: float, asked: float) -> None:
    """From 0.1 s up to the cap, whatever was asked for."""
    seconds = backoff_seconds(failures, random, retry_after_seconds=asked)
    assert 0.1 <= seconds <= CAP_SECONDS
    assert seconds >= min(asked, CAP_SECONDS)


def test_waits_double_and_are_spread() -> None:
    """Half of each is fixed, half is random."""
    assert [0.1, 0.2, 0.4, 0.8] == [backoff_seconds(n, 0.0) for n in (1, 2, 3, 4)]
    assert 30.0 == backoff_seconds(50, 1.0)
    assert 15.0 == backoff_seconds(50, 0.0)
    assert DRAIN_CAP_SECONDS == backoff_seconds(50, 1.0, cap=DRAIN_CAP_SECONDS)
