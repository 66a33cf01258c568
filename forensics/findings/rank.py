"""All findings of an instance, heaviest first; the first is what `show` calls the cause.

In: what was observed. Out: findings in a fixed order. A new finding is one module and one line
here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from forensics.findings.fatal_error import find_fatal_error
from forensics.findings.finding import Finding, Observed
from forensics.findings.memory_exhausted import find_memory_exhausted
from forensics.findings.replaced import find_replaced
from forensics.findings.silence import find_silence

_FINDERS: Final[tuple[Callable[[Observed], Finding | None], ...]] = (
    find_memory_exhausted,
    find_fatal_error,
    find_replaced,
    find_silence,
)


def find_all(observed: Observed) -> tuple[Finding, ...]:
    """Every finding that the evidence supports, the cause first; empty: no sign of a failure."""
    found = (finder(observed) for finder in _FINDERS)
    findings = [finding for finding in found if finding is not None]
    return tuple(sorted(findings, key=lambda finding: (-finding.weight, finding.name)))
