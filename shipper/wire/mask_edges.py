"""Secrets where a line is cut: a slice of a long line, or a line that was sent before it ended.

In: a record, and what its line has before it. Out: spans of the record that may be parts of a
secret. What comes behind a cut is not known, so what looks like a secret's first part is taken for
one. It must never depend on what is not yet written: a record read again is masked the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shipper.wire.secret_kinds import Secret

WINDOW_BYTES: Final = 2048
"""What a configured pattern sees at a time: no hostile line makes it slow. Matches of up to half of
it are found wherever they stand."""
EDGE_BYTES: Final = 32 << 10
"""So much of a line is looked at on each side of a cut; no kind of secret is longer."""


def find_at_edges(
    secrets: Sequence[Secret], before: bytes, record: bytes, *, is_cut: bool
) -> list[tuple[int, int]]:
    """Spans that reach over the record's start, or may reach over its end."""
    found: list[tuple[int, int]] = []
    before = before[before.rfind(b"\n") + 1 :][-EDGE_BYTES:]
    if before:
        head = record[:EDGE_BYTES]
        head = head[: head.find(b"\n") + 1] or head
        for secret in secrets:
            found += _find_across(secret, before, head)
    if is_cut:
        at = record.rfind(b"\n") + 1
        tail = (before if not at else b"") + record[at:]
        tail = tail[-EDGE_BYTES:]
        for secret in secrets:
            found += _find_opening(secret, tail, len(record) - len(tail))
    return found


def _find_across(secret: Secret, before: bytes, head: bytes) -> list[tuple[int, int]]:
    """Spans of `head` that are the last part of a secret."""
    if secret.is_windowed:
        before, head = before[-WINDOW_BYTES // 2 :], head[: WINDOW_BYTES // 2]
    edge = len(before)
    found = []
    for match in secret.pattern.finditer(before + head):
        spans = [span for span in match.regs[1:] if span[0] >= 0] or [match.span()]
        found += [(max(0, start - edge), end - edge) for start, end in spans if end > edge]
    return found


def _find_opening(secret: Secret, tail: bytes, shift: int) -> list[tuple[int, int]]:
    """Spans of the record that may be a secret's first part; `tail` stands `shift` behind it."""
    if secret.opening is None:
        return []
    start_at = max(0, len(tail) - WINDOW_BYTES // 2) if secret.is_windowed else 0
    found = []
    for match in secret.opening.finditer(tail, start_at):
        spans = [span for span in match.regs[1:] if span[0] >= 0] or [match.span()]
        found += [(max(0, start + shift), end + shift) for start, end in spans if end + shift > 0]
    return found
