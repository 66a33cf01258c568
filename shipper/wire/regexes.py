r"""Regular expressions of the configuration: compiled for bytes, refused where they can explode.

In: a pattern's text. Out: the compiled pattern, or what is wrong with it in words. Records are
bytes, so patterns are matched against bytes: `.` is a byte, `\w` is ASCII, and a character that is
more than one byte stands for its UTF-8 bytes. Python's engine has no timeout, so a pattern whose
time can grow exponentially is refused, and callers show it a bounded part of a record at a time.
See docs/decisions/0091.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, Final

from shipper.wire.regex_cost import STEPS_LIMIT, estimate_steps
from shipper.wire.regex_trees import (
    ALL,
    PARSER,
    REPEATS,
    ZERO_WIDTH,
    Bytes,
    find_bodies,
    first_bytes,
    held_bytes,
)

PATTERN_LIMIT_BYTES: Final = 1024
_AMBIGUOUS_LIMIT: Final = 2
"""Repetitions in a row that can take each other's bytes: each is a factor in the worst time."""
_UNBOUNDED_FROM: Final = 32
"""A repetition of more than that is as good as unbounded."""


def compile_pattern(text: str) -> re.Pattern[bytes]:
    """The pattern for bytes; `^` and `$` stand for the start and end of each line.

    Raises:
        ValueError: `compile_problem` says what is wrong.
    """
    problem = compile_problem(text)
    if problem:
        raise ValueError(f"regular expression {text!r} {problem}")
    return re.compile(text.encode(), re.MULTILINE)


def compile_problem(text: str) -> str:
    """What is wrong with `text` as a regular expression for records; empty: nothing."""
    try:
        data = text.encode()
        if len(data) > PATTERN_LIMIT_BYTES:
            return f"has {len(data)} bytes, at most {PATTERN_LIMIT_BYTES} are allowed"
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of what will be read otherwise some day
            pattern = re.compile(data, re.MULTILINE)
            tree = PARSER.parse(data, re.MULTILINE)
    except (re.error, OverflowError, RecursionError, ValueError, Warning) as error:
        return f"is no regular expression ({error})"
    if pattern.match(b"") is not None:
        return "matches the empty text, so everything: say what has to be there"
    if not text.isascii() and _has_wide_class(tree):
        return (
            "has a character beyond ASCII in [...] or before a quantifier: records are matched as"
            " bytes, write (?:ä|ö) instead of [äö], and (?:ä)+ instead of ä+"
        )
    return _explosion_problem(tree)


def _explosion_problem(tree: Any) -> str:
    if _is_explosive(tree, repeated=False, follow=frozenset()):
        return (
            "repeats what can match one text in several ways, as (a+)+ or (.*,)* do: some lines"
            " would take for ever; write what ends each round ([^,]*,)* or make it possessive (++)"
        )
    if _ambiguity(tree) > _AMBIGUOUS_LIMIT:
        return (
            f"has more than {_AMBIGUOUS_LIMIT} repetitions that can take each other's text, as .*"
            " does: some lines would take very long; write what stands between, as [^ ]*"
        )
    if estimate_steps(tree) >= STEPS_LIMIT:
        return (
            "has repetitions or alternatives in a row that can share one text in too many ways, as"
            r" \d{1,30}[\d.]{1,30}% does: some lines would take seconds; make all but the last"
            " possessive ({1,30}+), or write what stands between"
        )
    return ""


def _is_explosive(tree: Any, *, repeated: bool, follow: Bytes) -> bool:
    """Whether something is repeated in which the next byte does not decide how to go on.

    `follow`: what may come after `tree`.
    """
    nodes = list(tree)
    for at, (op, argument) in enumerate(nodes):
        first, can_be_empty = first_bytes(nodes[at + 1 :])
        after = first | follow if can_be_empty else first
        if repeated and _is_ambiguous(str(op), argument, after):
            return True
        if any(
            _is_explosive(body, repeated=again, follow=next_bytes)
            for body, again, next_bytes in _rounds(str(op), argument, after, repeated=repeated)
        ):
            return True
    return False


def _is_ambiguous(name: str, argument: Any, after: Bytes) -> bool:
    if name in REPEATS:
        low, high, body = argument
        return int(low) != int(high) and bool(first_bytes(body)[0] & after)
    if name == "BRANCH":
        seen: Bytes = frozenset()
        for branch in argument[1]:
            first, can_be_empty = first_bytes(branch)
            first = first | after if can_be_empty else first
            if seen & first:
                return True
            seen |= first
    return False


def _rounds(
    name: str, argument: Any, after: Bytes, *, repeated: bool
) -> list[tuple[Any, bool, Bytes]]:
    """The parts inside a node, whether each is repeated, and what may follow it."""
    if name in REPEATS or name == "POSSESSIVE_REPEAT":
        body = argument[2]
        again = int(argument[1]) > _AMBIGUOUS_LIMIT
        kept = repeated and name in REPEATS
        return [(body, again or kept, first_bytes(body)[0] | after)]
    if name == "BRANCH":
        return [(branch, repeated, after) for branch in argument[1]]
    again = repeated and name != "ATOMIC_GROUP"
    return [(body, again, after) for body in find_bodies(name, argument)]


def _ambiguity(tree: Any) -> int:
    """The longest run of unbounded repetitions that can take each other's bytes."""
    longest = run = 0
    shared = ALL
    for taken, unbounded in _flatten(tree):
        if unbounded:
            run, shared = (run + 1, shared & taken) if shared & taken else (1, taken)
            longest = max(longest, run)
        elif not shared & taken:
            run, shared = 0, ALL
    return longest


def _flatten(tree: Any) -> list[tuple[Bytes, bool]]:
    """What is matched one after the other: the bytes it can begin with, and whether unbounded."""
    parts: list[tuple[Bytes, bool]] = []
    for op, argument in tree:
        name = str(op)
        if name in REPEATS:
            parts.append((first_bytes(argument[2])[0], int(argument[1]) > _UNBOUNDED_FROM))
        elif name in {"SUBPATTERN", "ATOMIC_GROUP"}:
            for body in find_bodies(name, argument):
                parts += _flatten(body)
        elif name == "BRANCH":
            branches = [_flatten(branch) for branch in argument[1]]
            parts += max(branches, key=lambda branch: sum(unbounded for _, unbounded in branch))
        elif name not in ZERO_WIDTH:
            parts.append((first_bytes([(op, argument)])[0], False))
    return parts


def _has_wide_class(tree: Any) -> bool:
    """Whether a character of several bytes stands where only one of them would be meant.

    In a class its first byte shows it; before a quantifier, one of its later bytes.
    """
    for op, argument in tree:
        name = str(op)
        if name == "IN" and any(max(_values(value)) >= _LEADING for _, value in argument):
            return True
        if name in REPEATS or name == "POSSESSIVE_REPEAT":
            body = list(argument[2])
            if len(body) == 1 and str(body[0][0]) == "LITERAL" and body[0][1] > _LAST_ASCII:
                return True
            if _has_wide_class(body):
                return True
        bodies = argument[1] if name == "BRANCH" else find_bodies(name, argument)
        if any(_has_wide_class(body) for body in bodies):
            return True
    return False


def _values(value: Any) -> tuple[int, ...]:
    if isinstance(value, tuple):
        return value
    return (int(value),) if isinstance(value, int) and not hasattr(value, "name") else (0,)


_LAST_ASCII: Final = 0x7F
_LEADING: Final = 0xC0
"""The least first byte of a UTF-8 sequence."""


def find_literal(text: str) -> bytes:
    """The longest text that stands in everything that the pattern matches; empty: none is known."""
    tree = PARSER.parse(text.encode(), re.MULTILINE)
    if tree.state.flags & re.IGNORECASE:
        return b""
    best = run = b""
    for code in (*_required(tree), -1):
        run = run + bytes((code,)) if code >= 0 else b""
        best = max(best, run, key=len)
    return best


def find_opening(text: str, limit: int) -> bytes:
    r"""A pattern for what may be the first part of a match, at a text's end (`\Z`).

    By the bytes that a match can begin with and hold alone, in both cases of letters: it takes
    more than that, and at most one byte less than a match, or than `limit`, has.
    """
    tree = PARSER.parse(text.encode(), re.MULTILINE)
    most = min(int(tree.getwidth()[1]), limit) - 1
    first, held = (_render_class(part) for part in (first_bytes(tree)[0], held_bytes(tree)))
    return rb"(?:%b%b{0,%d}+)\Z" % (first, held, most - 1) if most > 0 else rb"[^\s\S]"


def _render_class(taken: Bytes) -> bytes:
    both = taken | {ord(case) for code in taken for case in _cases(chr(code))}
    return b"[%b]" % b"".join(b"\\x%02x" % code for code in sorted(both)) if both else rb"[^\s\S]"


def _cases(letter: str) -> str:
    return letter.lower() + letter.upper() if letter.isascii() else letter


def _required(tree: Any) -> list[int]:
    """Bytes that have to follow each other in a match; -1 where something else is between."""
    found: list[int] = []
    for op, argument in tree:
        name = str(op)
        if name == "LITERAL":
            found.append(int(argument))
        elif name == "SUBPATTERN" and not argument[1]:
            found += _required(argument[3])
        elif name not in ZERO_WIDTH:
            found.append(-1)
    return found
