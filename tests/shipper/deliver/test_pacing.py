"""shipper.deliver.pacing: never giving up, and never all at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipper.deliver.pacing import (
    CAP_SECONDS,
    DRAIN_CAP_SECONDS,
    RETRY_AFTER_CAP_SECONDS,
    backoff_seconds,
)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 1000))
def test_a_wait_is_bounded_and_never_nothing(failures: int, random: float, asked: float) -> None:
    """From 0.1 s up to the cap; longer only where the centre asked for it."""
    seconds = backoff_seconds(failures, random, retry_after_seconds=asked)
    least = min(asked, RETRY_AFTER_CAP_SECONDS)
    assert max(0.1, least) <= seconds <= max(CAP_SECONDS, 1.5 * least)


def test_shippers_that_were_told_the_same_time_do_not_come_back_in_step() -> None:
    """Retry-After is the least; a thousand were told it."""
    waits = {backoff_seconds(1, n / 1000, retry_after_seconds=10.0) for n in range(1000)}
    assert (10.0, 1000) == (min(waits), len(waits))
    assert max(waits) > 14.9


def test_a_shipper_that_drains_waits_for_no_retry_after() -> None:
    """Its machine is about to die."""
    assert 1.0 == backoff_seconds(3, 0.0, retry_after_seconds=120.0, cap=DRAIN_CAP_SECONDS)


def test_waits_double_and_are_spread() -> None:
    """Half of each is fixed, half is random."""
    assert [0.1, 0.2, 0.4, 0.8] == [backoff_seconds(n, 0.0) for n in (1, 2, 3, 4)]
    assert 30.0 == backoff_seconds(50, 1.0)
    assert 15.0 == backoff_seconds(50, 0.0)
    assert DRAIN_CAP_SECONDS == backoff_seconds(50, 1.0, cap=DRAIN_CAP_SECONDS)
