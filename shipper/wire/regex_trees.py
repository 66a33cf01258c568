"""Parse trees of regular expressions: which bytes a part of a pattern can take.

In: a node, or nodes, of the standard library's own parse tree. Out: the bytes that a match of it
can begin with, those that it can hold, and the parts inside. It must never say too few bytes: who
asks decides by it what is safe.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, Final

Bytes = frozenset[int]
ALL: Final = frozenset(range(256))

# The standard library's own parser: there is no public one, and a second one would be wrong.
PARSER: Final[Any] = import_module("re._parser")
_CATEGORIES: Final = {
    name: frozenset(code for code in ALL if re.match(text, bytes((code,))))
    for name, text in {
        "CATEGORY_DIGIT": rb"\d",
        "CATEGORY_NOT_DIGIT": rb"\D",
        "CATEGORY_SPACE": rb"\s",
        "CATEGORY_NOT_SPACE": rb"\S",
        "CATEGORY_WORD": rb"\w",
        "CATEGORY_NOT_WORD": rb"\W",
    }.items()
}
REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT"})
ZERO_WIDTH: Final = frozenset({"AT", "ASSERT", "ASSERT_NOT"})


def first_bytes(tree: Any) -> tuple[Bytes, bool]:
    """The bytes that a match of `tree` can begin with, and whether it can be empty."""
    found: Bytes = frozenset()
    for op, argument in tree:
        name = str(op)
        if name in ZERO_WIDTH:
            continue
        if name in REPEATS or name == "POSSESSIVE_REPEAT":
            first, can_be_empty = first_bytes(argument[2])
            can_be_empty = can_be_empty or int(argument[0]) == 0
        elif name == "BRANCH":
            branches = [first_bytes(branch) for branch in argument[1]]
            first = frozenset[int]().union(*(branch for branch, _ in branches))
            can_be_empty = any(empty for _, empty in branches)
        elif name in {"SUBPATTERN", "ATOMIC_GROUP"}:
            first, can_be_empty = first_bytes(find_bodies(name, argument)[0])
        else:
            first, can_be_empty = single_bytes(name, argument), False
        found |= first
        if not can_be_empty:
            return found, False
    return found, True


def single_bytes(name: str, argument: Any) -> Bytes:
    """The bytes that a node of one byte can be; of any other node: all."""
    if name == "LITERAL":
        return frozenset({int(argument)})
    if name == "NOT_LITERAL":
        return ALL - {int(argument)}
    if name == "ANY":
        return ALL - {0x0A}
    if name == "IN":
        negated = bool(argument) and str(argument[0][0]) == "NEGATE"
        taken: frozenset[int] = frozenset()
        for op, value in argument:
            if str(op) == "LITERAL":
                taken |= {int(value)}
            elif str(op) == "RANGE":
                taken |= frozenset(range(int(value[0]), int(value[1]) + 1))
            elif str(op) == "CATEGORY":
                taken |= _CATEGORIES.get(str(value), ALL)
        return ALL - taken if negated else taken
    return ALL


def find_bodies(name: str, argument: Any) -> list[Any]:
    """The parts inside a node that is neither repetition nor alternative."""
    if name == "SUBPATTERN":
        return [argument[3]]
    if name == "ATOMIC_GROUP":
        return [argument]
    if name in {"ASSERT", "ASSERT_NOT"}:
        return [argument[1]]
    if name == "GROUPREF_EXISTS":
        return [body for body in argument[1:] if body is not None]
    return []


def held_bytes(tree: Any) -> Bytes:
    """The bytes that can stand in a match of `tree`."""
    found: Bytes = frozenset()
    for op, argument in tree:
        name = str(op)
        if name in REPEATS or name == "POSSESSIVE_REPEAT":
            found |= held_bytes(argument[2])
        elif name == "BRANCH":
            found = found.union(*map(held_bytes, argument[1]))
        elif name in {"SUBPATTERN", "ATOMIC_GROUP", "GROUPREF_EXISTS"}:
            found = found.union(*map(held_bytes, find_bodies(name, argument)))
        elif name not in ZERO_WIDTH and name != "GROUPREF":  # a group's text was taken before
            found |= single_bytes(name, argument)
    return found
