"""A line that is a JSON object, as `fields` beside the message, where the centre can take it.

In: a line. Out: the member of its document, its text spliced as it stands; or the reason why it is
left out; or nothing, where the line is no object. The centre refuses a record for one bad value in
`fields`, and a deep object can kill the node: so what is not certain is left out, and the message
has it all. It must never parse a line before its depth and size are known to be bounded.

The limits are OpenSearch's, measured on a node: see docs/decisions/0092.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

DEPTH_LIMIT: Final = 32
SIZE_LIMIT_BYTES: Final = 64 << 10
VALUE_LIMIT_BYTES: Final = 32_751
"""Of a value as text together with its path, whose names are joined by dots."""
NUMBER_LIMIT_DIGITS: Final = 1000

_BRACKETS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)


class _LeftOutError(ValueError):
    """Why an object can't be `fields`."""


def fields_member(line: bytes) -> bytes:
    """`"fields":{…},` of a line that is a JSON object, its text as it stands; empty: it is none.

    Or `"afterimage.fields_left_out":"reason",`.
    """
    if line[:1] != b"{":
        return b""
    text = line.rstrip()
    try:
        if _parse(text.decode()) is None:
            return b""
    except _LeftOutError as reason:
        return b'"afterimage.fields_left_out":"%b",' % str(reason).encode()
    except UnicodeDecodeError:
        return b""
    # a line feed in it is white space between values, and would end a line of the body
    return b'"fields":' + (text.replace(b"\n", b" ") if b"\n" in text else text) + b","


def find_fields(message: str) -> dict[str, Any]:
    """The same of a wrapped line's message, as members by name; empty: it is no object."""
    if message[:1] != "{":
        return {}
    try:
        found = _parse(message.rstrip(" \t\r\n"))
    except _LeftOutError as reason:
        return {"afterimage.fields_left_out": str(reason)}
    return {} if found is None else {"fields": found}


def is_shallow(text: str) -> bool:
    """Whether JSON is no deeper than `fields` may be, with an event around it."""
    opening = text.count("{") + text.count("[")
    return opening <= DEPTH_LIMIT or _depth(text) <= DEPTH_LIMIT + 1


def _parse(text: str) -> dict[str, Any] | None:
    """The object, if the centre can take it; None: it is none. `text` begins with a brace."""
    if text[-1] != "}":
        return None
    size = len(text)
    brackets = text.count("{") + text.count("[")
    is_small = size <= NUMBER_LIMIT_DIGITS and brackets <= DEPTH_LIMIT
    if size > SIZE_LIMIT_BYTES >> 2 or brackets > DEPTH_LIMIT:
        _check_bounds(text)
    try:
        value, end = _SMALL(text, 0) if is_small else _LARGE(text, 0)
    except _LeftOutError:
        raise
    except (ValueError, StopIteration):
        return None
    if end != size:
        return None
    if "\\u" in text and not _is_unicode(value):
        raise _LeftOutError("surrogate")
    if size > VALUE_LIMIT_BYTES >> 2:
        _check_lengths(value, 0)
    return value  # type: ignore[no-any-return]


def _check_bounds(text: str) -> None:
    """Raise where it is not bounded what parsing takes."""
    if len(text.encode("utf-8", "replace")) > SIZE_LIMIT_BYTES:
        raise _LeftOutError("size")
    if _depth(text) > DEPTH_LIMIT:
        raise _LeftOutError("depth")


def _depth(text: str) -> int:
    """How deep brackets are nested, those in strings left out."""
    deepest = depth = 0
    for match in _BRACKETS.finditer(text):
        first = match[0][0]
        if first in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first != '"':
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _LeftOutError("duplicate key")
    return found


def _float(text: str) -> float:
    value = float(text)
    if value - value != 0.0 or len(text) > NUMBER_LIMIT_DIGITS:
        raise _LeftOutError("number")
    return value


def _int(text: str) -> int:
    if len(text) > NUMBER_LIMIT_DIGITS:
        raise _LeftOutError("number")
    return int(text)


def _refuse_constant(_text: str) -> NoReturn:
    raise _LeftOutError("number")


_SMALL: Final[Callable[[str, int], tuple[Any, int]]] = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_float, parse_constant=_refuse_constant
).scan_once  # type: ignore[attr-defined]  # as raw_decode calls it, once for each line
_LARGE: Final[Callable[[str, int], tuple[Any, int]]] = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_float,
    parse_int=_int,
    parse_constant=_refuse_constant,
).scan_once  # type: ignore[attr-defined]  # as above


def _is_unicode(value: object) -> bool:
    r"""Whether no text has half of a surrogate pair, as `\ud800` alone."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_lengths(value: object, path_bytes: int) -> None:
    """Raise where a value with its path is longer than the centre takes."""
    if isinstance(value, dict):
        for key, member in value.items():
            _check_lengths(member, path_bytes + (path_bytes > 0) + len(key.encode()))
    elif isinstance(value, list):
        for member in value:
            _check_lengths(member, path_bytes)
    else:
        said = value if isinstance(value, str) else str(value)
        if path_bytes + len(said.encode()) > VALUE_LIMIT_BYTES:
            raise _LeftOutError("long string")
