"""shipper.deliver.pacing: never giving up, and never all at once."""

from __future__ import annotations

import random as random_numbers
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.deliver.pacing import (
    BODY_BYTES,
    CAP_SECONDS,
    DRAIN_CAP_SECONDS,
    LEAST_BODY_BYTES,
    LINGER_LEAST_SECONDS,
    LINGER_MOST_SECONDS,
    RECONNECT_SECONDS,
    RETRY_AFTER_CAP_SECONDS,
    Limits,
    backoff_seconds,
    linger_seconds,
    trickle_seconds,
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


def test_a_thousand_shippers_do_not_come_back_in_one_second() -> None:
    """A centre that was away for an hour is asked some forty times a second, not a thousand."""
    draw = random_numbers.Random(3)
    tries: Counter[int] = Counter()
    for _ in range(1000):
        at = 0.0
        failures = 0
        while at < 3600:
            failures += 1
            at += backoff_seconds(failures, draw.random(), first=RECONNECT_SECONDS)
            tries[int(at)] += 1
    assert max(tries[second] for second in range(3000, 3600)) < 80
    assert max(tries[second] for second in range(1, 3600)) < 1000


def test_a_shipper_that_drains_waits_for_no_retry_after() -> None:
    """Its machine is about to die."""
    assert 1.0 == backoff_seconds(3, 0.0, retry_after_seconds=120.0, cap=DRAIN_CAP_SECONDS)


def test_waits_double_and_are_spread() -> None:
    """Half of each is fixed, half is random."""
    assert [0.1, 0.2, 0.4, 0.8] == [backoff_seconds(n, 0.0) for n in (1, 2, 3, 4)]
    assert 30.0 == backoff_seconds(50, 1.0)
    assert 15.0 == backoff_seconds(50, 0.0)
    assert DRAIN_CAP_SECONDS == backoff_seconds(50, 1.0, cap=DRAIN_CAP_SECONDS)


def test_overload_halves_and_success_adds() -> None:
    """Concurrency by one a round, the body by a step; never below one request, never above all."""
    limits = Limits(most_concurrency=4)
    assert (4, BODY_BYTES) == (limits.concurrency, limits.body_bytes)
    limits.note_overload(started_at=1.0, now=2.0)
    assert (2, BODY_BYTES // 2) == (limits.concurrency, limits.body_bytes)
    for _ in range(2):
        limits.note_success(0.01)
    assert 2 == limits.concurrency  # 2 + 1/2 + 1/2.5
    limits.note_success(0.01)
    assert 3 == limits.concurrency
    for at in range(3, 30):
        limits.note_overload(started_at=at, now=at)
    assert (1, LEAST_BODY_BYTES) == (limits.concurrency, limits.body_bytes)
    for _ in range(30):
        limits.note_success(0.01)
    assert (4, BODY_BYTES) == (limits.concurrency, limits.body_bytes)


def test_requests_that_were_refused_together_halve_once() -> None:
    """They tell of one and the same overload."""
    limits = Limits(most_concurrency=4)
    for started_at in (1.0, 1.1, 1.2, 1.3):
        limits.note_overload(started_at=started_at, now=2.0)
    assert 2 == limits.concurrency


def test_a_size_that_was_refused_once_is_never_tried_again() -> None:
    """413 is a setting of the centre, not its mood."""
    limits = Limits(most_concurrency=2)
    limits.note_too_large(1 << 20)
    for _ in range(100):
        limits.note_success(0.01)
    assert 1 << 19 == limits.body_bytes


def test_after_an_absence_one_request_begins() -> None:
    """A fleet that comes back at once asks the centre for one answer each."""
    limits = Limits(most_concurrency=4)
    limits.note_absence()
    seen = [limits.concurrency]
    for _ in range(6):
        limits.note_success(0.01)
        seen.append(limits.concurrency)
    assert [1, 2, 2, 2, 3, 3, 3] == seen


@given(st.floats(0, 1000))
def test_lines_gather_longer_the_slower_the_centre(latency: float) -> None:
    """From a fifth of a second to five."""
    assert LINGER_LEAST_SECONDS <= linger_seconds(latency) <= LINGER_MOST_SECONDS
    assert linger_seconds(latency) <= trickle_seconds(latency) <= LINGER_MOST_SECONDS
    assert linger_seconds(latency) <= linger_seconds(2 * latency)


def test_a_fleet_asks_a_slow_centre_seldom() -> None:
    """Ten thousand quiet shippers: 10,000 requests a second where an answer takes 20 ms.

    Two thousand where it takes half a second; and none keeps a connection busy over a tenth of
    the time.
    """
    shippers = 10_000
    assert 10_000 == pytest.approx(shippers / trickle_seconds(0.02))
    assert 2_000 == pytest.approx(shippers / trickle_seconds(0.5))
    assert 0.1 == pytest.approx(0.025 / linger_seconds(0.025))


def test_overload_makes_lines_gather_longer() -> None:
    """A 429 comes fast: its own latency says nothing."""
    limits = Limits(most_concurrency=2)
    for at in range(10):
        limits.note_overload(started_at=at, now=at)
    assert LINGER_MOST_SECONDS == linger_seconds(limits.latency_seconds)
    for _ in range(40):
        limits.note_success(0.005)
    assert LINGER_LEAST_SECONDS == linger_seconds(limits.latency_seconds)


def test_a_large_body_that_takes_long_says_little_of_the_centre() -> None:
    """Else the end of a backlog would gather for seconds at a centre that is well."""
    limits = Limits(most_concurrency=2)
    for _ in range(50):
        limits.note_success(1.0, 4 << 20)
    assert 0.05 < limits.latency_seconds < 0.07
    for _ in range(50):
        limits.note_success(1.0, 1000)
    assert limits.latency_seconds > 0.9
