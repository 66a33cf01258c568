"""shipper.deliver.acks and pacing: the pure parts of never losing and never giving up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipper.deliver.acks import AckedPrefix
from shipper.deliver.pacing import CAP_SECONDS, DRAIN_CAP_SECONDS, backoff_seconds


@given(
    st.lists(st.integers(1, 9), max_size=12), st.randoms(use_true_random=False), st.integers(0, 5)
)
def test_the_prefix_ends_at_the_first_range_that_is_missing(
    sizes: list[int], random: object, start: int
) -> None:
    """In whatever order ranges come."""
    ranges = []
    at = start
    for size in sizes:
        ranges.append((at, at + size))
        at += size
    order = list(ranges)
    random.shuffle(order)  # type: ignore[attr-defined] # Hypothesis types it as object
    prefix = AckedPrefix(start)
    added: set[tuple[int, int]] = set()
    for begin, end in order:
        prefix.add(begin, end, b"%d" % end)
        added.add((begin, end))
        missing = [r[0] for r in ranges if r not in added]
        expected = missing[0] if missing else at
        assert expected == prefix.position
        assert sum(e - b for b, e in added) == prefix.position - start + prefix.beyond_bytes
        assert prefix.tail == (b"%d" % expected if expected > start else b"")


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
