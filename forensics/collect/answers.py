"""The collector's answers in OpenSearch's shape, and the `filter_path` that shippers ask with.

In: results and patterns. Out: objects for JSON. Pure; it must never name a path of this machine.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Sequence
from typing import Any, Final

from forensics.collect.bulk import Item

Patterns = tuple[tuple[str, ...], ...]

_SHARDS: Final = {"total": 1, "successful": 1, "failed": 0}

CREATED: Final = 201
CONFLICT: Final = 409


class RequestRefusedError(Exception):
    """The whole request is answered with an error, and nothing of it was stored."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        self.status = status
        self.kind = kind
        self.reason = reason
        super().__init__(status, kind, reason)


def build_error(status: int, kind: str, reason: str) -> dict[str, Any]:
    """The answer to a request that was refused as a whole."""
    cause = {"type": kind, "reason": reason}
    return {"error": {"root_cause": [cause], **cause}, "status": status}


def build_bulk_answer(
    items: Sequence[Item], seqs: Sequence[int | None], took_millis: int
) -> dict[str, Any]:
    """One result per item, in their order; `seqs` are the rows of the items without an error."""
    rows = iter(seqs)
    results = []
    errors = False
    for item in items:
        result: dict[str, Any]
        if item.error is not None:
            status, kind, reason = item.error
            result = _failed(item, status, kind, reason)
        elif (seq := next(rows)) is None:
            reason = f"[{item.id}]: version conflict, document already exists (current version [1])"
            result = _failed(item, CONFLICT, "version_conflict_engine_exception", reason)
        else:
            result = {
                "_index": item.index, "_id": item.id, "_version": 1, "result": "created",
                "_shards": _SHARDS, "_seq_no": seq, "_primary_term": 1, "status": CREATED,
            }  # fmt: skip
        errors = errors or "error" in result
        results.append({item.action: result})
    return {"took": took_millis, "errors": errors, "items": results}


def parse_filter_path(text: str) -> Patterns:
    """The patterns of a `filter_path`, each as its steps; those that exclude (`-…`) are ignored."""
    patterns = (pattern.strip() for pattern in text.split(","))
    return tuple(
        tuple(pattern.split(".")) for pattern in patterns if pattern and not pattern.startswith("-")
    )


def filter_answer(value: Any, patterns: Patterns) -> Any:
    """What of `value` the patterns name; None: nothing. Lists are seen through, as OpenSearch does.

    A step may hold `*`; the step `**` stands for any number of steps.
    """
    if not all(patterns):  # one is at its end: everything below is wanted
        return value
    if isinstance(value, list):
        kept = [filter_answer(member, patterns) for member in value]
        return [member for member in kept if member is not None] or None
    if not isinstance(value, dict):
        return None
    answer = {}
    for name, member in value.items():
        below = _below(name, patterns)
        if below and (kept := filter_answer(member, below)) is not None:
            answer[name] = kept
    return answer or None


@functools.lru_cache(maxsize=1024)
def _below(name: str, patterns: Patterns) -> Patterns:
    """The patterns that go on below the member `name`; a bulk answer asks the same often."""
    below: list[tuple[str, ...]] = []
    for pattern in patterns:
        step, rest = pattern[0], pattern[1:]
        if step == "**":
            below.append(pattern)
            if not rest:
                below.append(rest)
            elif fnmatch.fnmatchcase(name, rest[0]):
                below.append(rest[1:])
        elif step == name or fnmatch.fnmatchcase(name, step):
            below.append(rest)
    return tuple(below)


def _failed(item: Item, status: int, kind: str, reason: str) -> dict[str, Any]:
    error = {"type": kind, "reason": reason, "index": item.index}
    return {"_index": item.index, "_id": item.id, "status": status, "error": error}
