"""shipper.sources.acks: what is acknowledged without a gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipper.sources.acks import AckedPrefix


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
