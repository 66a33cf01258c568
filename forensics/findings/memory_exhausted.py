"""Did memory run out? The kernel's OOM killer, a runtime that failed to allocate, or exit 137.

In: what was observed. Out: at most one finding. Only words that a kernel or a runtime writes itself
count; a line that merely speaks of memory ("memory usage 91%") is no evidence.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from forensics.findings.finding import (
    Confidence,
    Finding,
    Observed,
    Reference,
    event_reference,
    record_reference,
)
from forensics.findings.nearness import is_alive, is_near_the_end

_KERNEL: Final = re.compile(
    r"\b(?:invoked oom-killer"
    r"|Out of memory: Kill(?:ed)? process \d+"
    r"|Memory cgroup out of memory"
    r"|oom-kill:constraint="
    r"|oom_reaper: reaped process)"
)
_RUNTIME: Final = re.compile(
    r"(?:^|[\s:\]])MemoryError(?:$|:\s|\s*$)"
    r"|\bstd::bad_alloc\b"
    r"|\bjava\.lang\.OutOfMemoryError\b"
    r"|\bJavaScript heap out of memory\b"
    r"|^fatal error: runtime: out of memory"
    r"|\bNoMemoryError\b"
    r"|\bSystem\.OutOfMemoryException\b"
    r"|\bmemory allocation of \d+ bytes failed\b",
    re.MULTILINE,
)
_KILLED: Final = re.compile(
    r"\b(?:exit(?:ed)?(?: with)?(?: code| status)?[ :=]+137\b"
    r"|status=137\b|code=137\b|exitCode[\"']?\s*[:=]\s*137\b)",
    re.IGNORECASE,
)
_REPORTED: Final = re.compile(r"\b(?:OOMKilled|oom-kill|out of memory)\b", re.IGNORECASE)
_REFUSED: Final = re.compile(r"\b(?:errno 12|ENOMEM|Cannot allocate memory)\b", re.IGNORECASE)


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    statement: str
    """What the words say and no more; the time is put behind it."""
    is_direct: bool


# In the order of what they are worth; the first that a text matches is what it is evidence of.
_RULES: Final = (
    _Rule(_KERNEL, "The kernel's OOM killer killed a process", is_direct=True),
    _Rule(_RUNTIME, "A program could not get the memory that it asked for", is_direct=True),
    _Rule(
        _KILLED,
        "A program exited with status 137, as one does that was killed (for its memory, or by "
        "somebody)",
        is_direct=False,
    ),
    _Rule(_REPORTED, "A line reports that something ran out of memory", is_direct=False),
    _Rule(
        _REFUSED,
        "The system refused a program memory (ENOMEM); what came of that is not said",
        is_direct=False,
    ),
)
_EVIDENCE_LIMIT: Final = 5
_ANY_OF_IT: Final = re.compile(r"mem|alloc|oom|137|errno 12", re.IGNORECASE)


def is_memory_error(text: str) -> bool:
    """Whether this tells of memory that ran out: this finding's to say, and no other's."""
    return _rule_of(text) is not None


def find_memory_exhausted(observed: Observed) -> Finding | None:
    """Memory ran out, if a kernel, a runtime or an exit status says so."""
    found: dict[_Rule, list[Reference]] = {rule: [] for rule in _RULES}
    for record in reversed(observed.records):
        if rule := _rule_of(record.message):
            found[rule].append(record_reference(record))
    for event in reversed(observed.lifecycle):
        if rule := _rule_of(event.message):
            found[rule].append(event_reference(event))
    direct = [ref for rule, refs in found.items() if rule.is_direct for ref in refs]
    indirect = [ref for rule, refs in found.items() if not rule.is_direct for ref in refs]
    if not direct and not indirect:
        return None
    near = any(is_near_the_end(reference.at, observed) for reference in direct or indirect)
    if direct and near:
        confidence = Confidence.CERTAIN if found[_RULES[0]] else Confidence.LIKELY
    else:
        confidence = Confidence.POSSIBLE
    heaviest = next(rule for rule, refs in found.items() if refs)
    return Finding(
        name="memory_exhausted",
        title="Memory ran out",
        statement=f"{heaviest.statement}, {_when(observed, near=near)}.",
        confidence=confidence,
        weight={Confidence.CERTAIN: 100, Confidence.LIKELY: 95}.get(confidence, 50),
        evidence=tuple([*direct, *indirect][:_EVIDENCE_LIMIT]),
    )


def _rule_of(text: str) -> _Rule | None:
    if _ANY_OF_IT.search(text) is None:
        return None
    return next((rule for rule in _RULES if rule.pattern.search(text)), None)


def _when(observed: Observed, *, near: bool) -> str:
    if is_alive(observed):
        return "shortly before its last word so far" if near else "well before its last word so far"
    return "shortly before its last word" if near else "well before its last word"
