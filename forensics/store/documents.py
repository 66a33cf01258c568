"""What a store makes of a document as a shipper sent it: flat names, one form of time, its words.

In: a document's JSON text or object. Out: the flat mapping that `Document.fields` promises, times
in ns, and the words that `Query.match` compares. Both stores use it, so that they give the same
answers. It must never change what is stored, read a clock, or follow nesting without a bound.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from shipper.wire.times import format_time, parse_time

DEPTH_LIMIT: Final = 100
"""Objects and lists within each other. OpenSearch's own limit is 20; deeper ones kill its node."""

_KEPT_WHOLE: Final = "fields"
"""A structured line's object (flat_object): one field, however many members it has."""

_TIME_FIELDS: Final = ("@timestamp", "event.created")
_TIME_LENGTH: Final = len("2026-01-03T14:05:12.000000000Z")
_SECOND_LENGTH: Final = len("2026-01-03T14:05:12")
_EPOCH_MILLIS: Final = re.compile(r"\d{1,13}", re.ASCII)
_SHORT_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_NANOS_PER_MILLI: Final = 1_000_000

# Scripts that the standard tokenizer cuts into single characters: Hiragana and Han.
_SINGLE_CHARACTER_WORDS: Final = (
    (0x3041, 0x309F),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_WORD_CATEGORIES: Final = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl"))


def parse_document(text: str) -> dict[str, Any]:
    """A document's JSON text as a flat mapping.

    Raises:
        ValueError: not one JSON object, nested deeper than `DEPTH_LIMIT`, or with NaN or Infinity.
    """
    try:
        document = _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError(f"the document is nested deeper than {DEPTH_LIMIT} levels") from error
    if not isinstance(document, dict):
        raise ValueError("the document is not a JSON object")  # noqa: TRY004 - it is the text's fault
    return flatten(document)


def flatten(document: Mapping[str, Any]) -> dict[str, Any]:
    """Nested objects as dotted names; lists, and the object in `fields`, stay as they are.

    Raises:
        ValueError: nested deeper than `DEPTH_LIMIT`.
    """
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if not isinstance(value, dict | list):
            flat[name] = value
        elif name == _KEPT_WHOLE or isinstance(value, list):
            _check_depth(value, 2)
            flat[name] = value
        else:
            _flatten_into(flat, name, value, 2)
    return flat


def read_fields(
    document: Mapping[str, Any], *, received_at_nanos: int | None = None
) -> dict[str, Any]:
    """`Document.fields` of a stored document: flat, with every time as 30-character text.

    A document whose `@timestamp` is missing or no time gets the time it was received, if given.
    """
    fields = flatten(document)
    for name in _TIME_FIELDS:
        if name in fields:
            nanos = time_nanos(fields[name])
            if nanos is not None:
                fields[name] = format_time(nanos)
    if received_at_nanos is not None and time_nanos(fields.get("@timestamp")) is None:
        fields["@timestamp"] = format_time(received_at_nanos)
    return fields


def time_nanos(value: object) -> int | None:
    """Nanoseconds since 1970 of a time as shippers send them; None: it is none, or no sane one.

    ISO 8601 of any precision and zone, or milliseconds since 1970 as number or digits: the forms
    that OpenSearch's `strict_date_optional_time_nanos||epoch_millis` takes.
    """
    if isinstance(value, str):
        if len(value) == _TIME_LENGTH and value[-1] == "Z" and value[_SECOND_LENGTH] == ".":
            second = _second_nanos(value[:_SECOND_LENGTH])
            fraction = value[_SECOND_LENGTH + 1 : -1]
            if second is not None and fraction.isascii() and fraction.isdigit():
                return second + int(fraction)
        if _EPOCH_MILLIS.fullmatch(value):
            return _in_range(int(value) * _NANOS_PER_MILLI)
        return _iso_nanos(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return _in_range(int(value * _NANOS_PER_MILLI))
    except (OverflowError, ValueError):
        return None


def index_text(message: str) -> str:
    """`message` with every character that is no part of a word as a space, in lower case.

    ASCII comes back as it is: a tokenizer of ASCII letters and digits cuts it the same way.
    """
    if message.isascii():
        return message
    return message.lower().translate(_SEPARATORS)


def split_words(match: str) -> list[str]:
    """The words of a `Query.match`: runs of letters and digits in lower case, each once."""
    return list(dict.fromkeys(match.lower().translate(_SEPARATORS).split()))


def _flatten_into(
    flat: dict[str, Any], prefix: str, members: Mapping[str, Any], depth: int
) -> None:
    if depth > DEPTH_LIMIT:
        raise ValueError(f"the document is nested deeper than {DEPTH_LIMIT} levels")
    for name, value in members.items():
        dotted = f"{prefix}.{name}"
        if isinstance(value, dict):
            _flatten_into(flat, dotted, value, depth + 1)
        else:
            if isinstance(value, list):
                _check_depth(value, depth + 1)
            flat[dotted] = value


def _check_depth(value: dict[str, Any] | list[Any], depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise ValueError(f"the document is nested deeper than {DEPTH_LIMIT} levels")
    for member in value.values() if isinstance(value, dict) else value:
        if isinstance(member, dict | list):
            _check_depth(member, depth + 1)


@functools.lru_cache(maxsize=4096)
def _second_nanos(text: str) -> int | None:
    """The nanoseconds of a whole second: its lines share one parse."""
    return _iso_nanos(text + "Z")


def _iso_nanos(text: str) -> int | None:
    short = _SHORT_TIME.fullmatch(text)
    if short is not None:
        text = f"{short[1]}T{short[2] or '00:00'}:00{short[3] or ''}"
    try:
        return parse_time(text)
    except ValueError:
        return None


def _in_range(nanos: int) -> int | None:
    return nanos if 0 <= nanos < 2**63 else None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


class _Separators(dict[int, str]):
    """A translation table that is worked out for a character when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if any(first <= code <= last for first, last in _SINGLE_CHARACTER_WORDS):
            text = f" {character} "
        elif unicodedata.category(character) in _WORD_CATEGORIES:
            text = character
        else:
            text = " "
        self[code] = text
        return text


_SEPARATORS: Final = _Separators()
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
