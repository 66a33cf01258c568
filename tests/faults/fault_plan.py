"""What may go wrong between a shipper and its centre: each fault by name, and how often it is done.

In: shares. Out: a `Faults` that `bulk_server.py` carries out. Whole answers and items' errors are
data, spelled as OpenSearch and the proxies before it spell them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

WHOLE_ANSWERS: Final[dict[str, tuple[int, bytes, dict[str, str]]]] = {
    "too_many": (
        429,
        b'{"error":{"type":"rejected_execution_exception","reason":"rejected"},"status":429}',
        {"Content-Type": "application/json"},
    ),
    "unavailable": (
        503,
        b'{"error":{"type":"cluster_block_exception","reason":"not recovered"},"status":503}',
        {"Content-Type": "application/json"},
    ),
    "retry_after": (503, b"later", {"Retry-After": "1"}),
    "internal": (500, b'{"error":{"type":"null_pointer_exception"},"status":500}', {}),
    "bad_gateway": (502, b"<html>502</html>", {}),
    "gateway_timeout": (504, b"<html>504</html>", {}),
    "unauthorized": (401, b"Unauthorized", {"WWW-Authenticate": "Basic"}),
    "forbidden": (403, b'{"error":{"type":"security_exception"},"status":403}', {}),
    "not_found": (404, b'{"error":"no handler found"}', {}),
    "redirect": (307, b"", {"Location": "http://127.0.0.1:9/elsewhere/_bulk"}),
    "bad_request": (400, b'{"error":{"type":"parse_exception"},"status":400}', {}),
}
"""Requests that are answered without anything being stored."""

ITEM_ERRORS: Final = {
    "item_too_many": (429, "rejected_execution_exception", "queue is full"),
    "item_breaker": (429, "circuit_breaking_exception", "[parent] Data too large"),
    "item_unavailable": (503, "unavailable_shards_exception", "primary shard is not active"),
    "item_internal": (500, "translog_exception", "no space left on device"),
    "item_blocked": (403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/8/write]"),
    "item_read_only": (
        429,
        "cluster_block_exception",
        "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]",
    ),
    "item_shard_limit": (
        400,
        "validation_exception",
        "Validation Failed: 1: this action would add [2] shards, but has [1000]/[1000] maximum",
    ),
    "item_full_shard": (
        400,
        "illegal_argument_exception",
        "number of documents in the index cannot exceed 2147483519",
    ),
    "item_forbidden": (403, "security_exception", "no permissions for [indices:data/write/bulk]"),
    "item_not_found": (404, "index_not_found_exception", "no such index [x]"),
}
"""Errors of an item that are not its own fault: status, type, reason."""


@dataclass(frozen=True)
class Faults:
    """How often each fault is done, as a share of requests (or of items)."""

    too_many: float = 0.0
    """429 for the request."""
    unavailable: float = 0.0
    """503 for the request."""
    item_too_many: float = 0.0
    """429 for an item."""
    reset_before: float = 0.0
    """The connection is reset before anything is stored."""
    reset_after: float = 0.0
    """All is stored, and the answer never comes."""
    garbage: float = 0.0
    """All is stored, and the answer is 200 with no JSON."""
    short: float = 0.0
    """All is stored, and the answer lacks an item."""
    long: float = 0.0
    """All is stored, and the answer has an item too many."""
    reset_mid_body: float = 0.0
    """The connection is reset when half of the request was read."""
    reset_mid_answer: float = 0.0
    """All is stored, and half of the answer comes before the reset."""
    silent: float = 0.0
    """All is stored, and nothing is said until the other side has enough."""
    drip: float = 0.0
    """All is stored, and the answer comes in drops."""
    twice: float = 0.0
    """All is stored, and the answer comes twice."""
    retry_after: float = 0.0
    internal: float = 0.0
    bad_gateway: float = 0.0
    gateway_timeout: float = 0.0
    unauthorized: float = 0.0
    forbidden: float = 0.0
    not_found: float = 0.0
    redirect: float = 0.0
    bad_request: float = 0.0
    item_breaker: float = 0.0
    item_unavailable: float = 0.0
    item_internal: float = 0.0
    item_blocked: float = 0.0
    item_read_only: float = 0.0
    item_shard_limit: float = 0.0
    item_full_shard: float = 0.0
    item_forbidden: float = 0.0
    item_not_found: float = 0.0

    @staticmethod
    def of_requests() -> Iterator[str]:
        """The names of those that befall a request as a whole."""
        return (one.name for one in fields(Faults) if one.name not in ITEM_ERRORS)


REQUEST_FAULTS: Final = tuple(Faults.of_requests())


def only(name: str, share: float = 1.0) -> Faults:
    """One fault alone."""
    shares: dict[str, Any] = {name: share}
    return Faults(**shares)


def make_mix(seed: int, *, share: float = 0.25) -> Faults:
    """All faults together, some often, some seldom; about `share` of the requests meets one.

    Not `silent`, whose wait is the shipper's own: a test of it says how long that is.
    """
    plan = random.Random(seed)
    names = [name for name in REQUEST_FAULTS if name != "silent"]
    weights = [plan.random() ** 3 for _ in names]
    shares: dict[str, Any] = {
        name: share * weight / sum(weights) for name, weight in zip(names, weights, strict=True)
    }
    shares |= {name: plan.random() ** 3 * 0.003 for name in ITEM_ERRORS}
    return Faults(**shares)
