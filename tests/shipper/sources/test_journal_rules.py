"""shipper.sources.journal_input: masks, drops and rates apply to journal entries as to lines."""

from __future__ import annotations

from shipper.config import DropConfig, MaskConfig
from shipper.sources.journal_input import apply_rules
from shipper.sources.journald import Entry
from shipper.wire.rules import make_transform
from shipper.wire.transforms import Drop


def entry(sequence: int, message: str) -> Entry:
    """One entry's line."""
    data = b'{"MESSAGE":"%b"}\n' % message.encode()
    return Entry(sequence=sequence, cursor=f"i={sequence:x}", data=data)


def test_without_rules_entries_go_as_they_are() -> None:
    """Each under its own sequence number."""
    kept = apply_rules(None, [entry(7, "a"), entry(9, "b")], 0.0)
    assert ([7, 9], {}, ()) == (kept.offsets, kept.masked, kept.drops)
    assert b'{"MESSAGE":"a"}\n' == kept.records[0]


def test_secrets_in_entries_are_overwritten_and_drops_are_numbered() -> None:
    """A drop's range is of sequence numbers, and entries that follow each other share one."""
    transform = make_transform(
        [MaskConfig(patterns=("token=([a-z]+)",))],
        [DropConfig(reason="health", pattern="GET /health")],
        [],
        "journald",
        kind="journald",
    )
    kept = apply_rules(
        transform,
        [
            entry(5, "GET /health"),
            entry(6, "GET /health"),
            entry(7, "login token=abc"),
            entry(9, "GET /health"),
        ],
        0.0,
    )
    assert [b'{"MESSAGE":"login token=***"}\n'] == kept.records
    assert ([7], {0: [(24, 3)]}) == (kept.offsets, {at: list(r) for at, r in kept.masked.items()})
    assert [
        Drop(start=5, end=7, count=2, reason="health"),
        Drop(start=9, end=10, count=1, reason="health"),
    ] == list(kept.drops)
