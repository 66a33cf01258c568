"""How many steps a regular expression can take from one place of a record, about and at most.

In: a parse tree. Out: an estimate in steps: each repetition that can share text with what follows
it multiplies what comes after it, any other one is added. It must never call cheap what a hostile
line makes slow: what it does not know it counts as ambiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Final, NamedTuple

from shipper.wire.regex_trees import (
    REPEATS,
    ZERO_WIDTH,
    Bytes,
    find_bodies,
    first_bytes,
    single_bytes,
)

STEPS_LIMIT: Final = 1 << 17
"""From each of a window's 2,048 places: about a second."""
_UNBOUNDED: Final = 256
"""How long a repetition without a bound is taken to be: all of them share one window."""
_SLOW_ROUND: Final = 8
"""So many times as long a round takes that is not a single byte: the engine has no loop for it."""
_ENOUGH: Final = STEPS_LIMIT * 2


class Cost(NamedTuple):
    """Of a part of a pattern."""

    ways: int
    """In how many ways it can take one text."""
    steps: int
    """How many steps it takes until all have failed."""


def estimate_steps(tree: Any) -> int:
    """For a whole pattern; a little more than the limit stands for anything above it."""
    nodes = list(tree)
    steps = _estimate(nodes, frozenset(), is_last=True).steps
    is_rooted = str(nodes[0][0]) in {"AT", *_ONE_BYTE} if nodes else True
    return steps if is_rooted else 2 * steps  # a repetition begins anew in the midst of itself


def _estimate(tree: Any, follow: Bytes, *, is_last: bool = False) -> Cost:
    """`is_last`: nothing comes after it that could fail."""
    nodes = list(tree)
    total = Cost(1, 0 if is_last else 1)
    for at in range(len(nodes) - 1, -1, -1):
        op, argument = nodes[at]
        rest = nodes[at + 1 :]
        first, can_be_empty = first_bytes(rest)
        after = first | follow if can_be_empty else first
        ends = is_last and not rest
        cost = _estimate_node(str(op), argument, after, _count_fixed(rest), is_last=ends)
        # what can be taken in several ways goes through the rest each time, what can't, once
        again = cost.ways * total.steps if cost.ways > 1 else total.steps + cost.steps
        total = Cost(min(_ENOUGH, cost.ways * total.ways), min(_ENOUGH, max(1, again)))
    return total


def _estimate_node(name: str, argument: Any, after: Bytes, fixed: int, *, is_last: bool) -> Cost:
    """`fixed`: so many bytes have to stand behind it, which can't stand everywhere."""
    if name in REPEATS or name == "POSSESSIVE_REPEAT":
        low, high, body = int(argument[0]), int(argument[1]), argument[2]
        first = first_bytes(body)[0]
        round_cost = _estimate(body, first | after)
        length = min(high, _UNBOUNDED)
        # rounds share the text: those that can't be taken in several ways take each byte once
        once = max(length, round_cost.steps)
        steps = min(_ENOUGH, length * round_cost.steps if round_cost.ways > 1 else once)
        if is_last and low != high:
            steps = 0
        if name not in REPEATS:
            return Cost(1, steps)
        choices = 1
        if first & after and low != high:
            choices = min(high - low + 1, _UNBOUNDED) * (1 if _is_one_byte(body) else _SLOW_ROUND)
        ways = -(-choices // fixed)
        for _ in range(length if round_cost.ways > 1 else 0):
            ways = min(_ENOUGH, ways * round_cost.ways)
        return Cost(ways, steps)
    if name == "BRANCH":
        costs = [_estimate(branch, after, is_last=is_last) for branch in argument[1]]
        ways = max(_count_alike(argument[1]), 1) * max(cost.ways for cost in costs)
        return Cost(ways, min(_ENOUGH, sum(cost.steps for cost in costs)))
    if name in _ONE_BYTE or name == "GROUPREF":
        return Cost(1, 0)
    bodies = [_estimate(body, after, is_last=is_last) for body in find_bodies(name, argument)]
    is_decided = name == "ATOMIC_GROUP" or name in ZERO_WIDTH
    ways = 1 if is_decided else max((cost.ways for cost in bodies), default=1)
    return Cost(ways, min(_ENOUGH, sum(cost.steps for cost in bodies)))


def _is_one_byte(body: Any) -> bool:
    nodes = list(body)
    return len(nodes) == 1 and str(nodes[0][0]) in _ONE_BYTE


_ONE_BYTE: Final = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN"})


def _count_fixed(nodes: Sequence[Any]) -> int:
    """How many single bytes come next, one after the other."""
    return max(1, len(_fixed_bytes(nodes)))


def _fixed_bytes(nodes: Sequence[Any]) -> list[Bytes]:
    """Those bytes that a match begins with, up to where it can go on in several ways."""
    return [
        single_bytes(str(op), argument)
        for op, argument in takewhile(lambda node: str(node[0]) in _ONE_BYTE, nodes)
    ]


def _count_alike(branches: Sequence[Any]) -> int:
    """How many of the alternatives may take a text that another one takes, or begins."""
    begins = [_fixed_bytes(list(branch)) for branch in branches]
    return sum(
        any(
            all(mine & theirs for mine, theirs in zip(begin, other, strict=False))
            for place, other in enumerate(begins)
            if place != at
        )
        for at, begin in enumerate(begins)
    )
