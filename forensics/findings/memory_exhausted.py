"""Did memory run out? The kernel's OOM killer, a runtime that failed to allocate, or exit 137.

In: what was observed. Out: at most one finding. Only words that a kernel or a runtime writes itself
count; a line that merely speaks of memory ("memory usage 91%") is no evidence.
"""

from __future__ import annotations

import re
from typing import Final

from forensics.findings.finding import (
    Confidence,
    Finding,
    Observed,
    Reference,
    event_reference,
    record_reference,
)
from forensics.findings.nearness import is_near_the_end

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
    r"|\bmemory allocation of \d+ bytes failed\b"
)
_INDIRECT: Final = re.compile(
    r"\b(?:exit(?:ed)?(?: with)?(?: code| status)?[ :=]+137\b"
    r"|status=137\b|code=137\b|exitCode[\"']?\s*[:=]\s*137\b"
    r"|OOMKilled\b|oom-kill\b|out of memory\b"
    r"|(?:errno 12|ENOMEM)\b|Cannot allocate memory\b)",
    re.IGNORECASE,
)
_EVIDENCE_LIMIT: Final = 5
_ANY_OF_IT: Final = re.compile(r"mem|alloc|oom|137", re.IGNORECASE)


def is_memory_error(text: str) -> bool:
    """Whether this tells of memory that ran out: this finding's to say, and no other's."""
    return any(pattern.search(text) for pattern in (_KERNEL, _RUNTIME, _INDIRECT))


def find_memory_exhausted(observed: Observed) -> Finding | None:
    """Memory ran out, if a kernel, a runtime or an exit status says so."""
    kernel: list[Reference] = []
    runtime: list[Reference] = []
    indirect: list[Reference] = []
    for record in reversed(observed.records):
        _sort_in(record.message, record_reference(record), kernel, runtime, indirect)
    for event in reversed(observed.lifecycle):
        _sort_in(event.message, event_reference(event), kernel, runtime, indirect)
    direct = [*kernel, *runtime]
    if not direct and not indirect:
        return None
    near = any(is_near_the_end(reference.at, observed) for reference in direct or indirect)
    if direct and near:
        confidence = Confidence.CERTAIN if kernel else Confidence.LIKELY
    else:
        confidence = Confidence.POSSIBLE
    evidence = [*direct, *indirect][:_EVIDENCE_LIMIT]
    return Finding(
        name="memory_exhausted",
        title="Memory ran out",
        statement=_statement(kernel, runtime, near=near),
        confidence=confidence,
        weight={Confidence.CERTAIN: 100, Confidence.LIKELY: 95}.get(confidence, 50),
        evidence=tuple(evidence),
    )


def _sort_in(
    text: str,
    reference: Reference,
    kernel: list[Reference],
    runtime: list[Reference],
    indirect: list[Reference],
) -> None:
    if _ANY_OF_IT.search(text) is None:
        return
    if _KERNEL.search(text) is not None:
        kernel.append(reference)
    elif _RUNTIME.search(text) is not None:
        runtime.append(reference)
    elif _INDIRECT.search(text) is not None:
        indirect.append(reference)


def _statement(kernel: list[Reference], runtime: list[Reference], *, near: bool) -> str:
    when = "at the end of its life" if near else "well before its end"
    if kernel:
        return f"The kernel's OOM killer ended a process {when}."
    if runtime:
        return f"A program could not get the memory that it asked for, {when}."
    return f"A program ended as one killed for its memory does (137, ENOMEM), {when}."
