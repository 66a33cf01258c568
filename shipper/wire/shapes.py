"""What a record of a wrapped source says: the message inside, and what stands around it.

In: a record's bytes. Out: a `Shaped`, from which the bytes come back exactly: `before`, the message
as it was escaped, `after`. A record that is not what its source promises has no shape, and is taken
as a plain line. Pure. It must never give a shape whose bytes are not the record's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Escape = Literal["text", "json", "go"]
"""How the message stands in the bytes: as it is; in a JSON string as Python writes it without
`ensure_ascii`; in a JSON string as Docker's json-file writer, in Go, does: `<`, `>`, `&`, U+2028,
U+2029 and all control characters but line feed and carriage return are `\\u…`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """One record, taken apart."""

    message: str
    """What the application wrote, its line feed removed."""
    before: str = ""
    after: str = "\n"
    escape: Escape = "text"
    is_whole: bool = True
    """Whether `before`, message and `after` give the record's bytes; else those go beside it."""
    time_nanos: int | None = None
    """When it was written, as the wrapping says; None: look into the message."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the document, flat ECS names; `fields` is an object (see `structured`)."""


Shape = Callable[[bytes], Shaped | None]
"""Takes one record apart; None: it is not of this shape."""


def escape_message(message: str, escape: Escape) -> str:
    """The message as it stands in the record's bytes."""
    if escape == "text":
        return message
    text = json.dumps(message, ensure_ascii=False)[1:-1]
    return _escape_as_go(text) if escape == "go" else text


def build_shaped(
    record: bytes,
    start: int,
    end: int,
    message: str,
    *,
    escape: Escape,
    time_nanos: int | None,
    fields: Mapping[str, Any],
) -> Shaped:
    """The shape of a record whose message stands at `start` to `end`, checked against its bytes."""
    try:
        before = record[:start].decode()
        after = record[end:].decode()
        is_whole = escape_message(message, escape).encode() == record[start:end]
    except UnicodeError:
        is_whole = False
    if is_whole:
        return Shaped(
            message=message,
            before=before,
            after=after,
            escape=escape,
            time_nanos=time_nanos,
            fields=fields,
        )
    return Shaped(
        message=without_surrogates(message),
        after="",
        is_whole=False,
        time_nanos=time_nanos,
        fields=fields,
    )


def without_surrogates(text: str) -> str:
    r"""`text` with U+FFFD for what UTF-8 can't carry: halves of surrogate pairs, from `\ud800`."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _escape_as_go(text: str) -> str:
    for character in "<>&\u2028\u2029":
        if character in text:
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text if "\\" not in text else _ESCAPES.sub(_long_escape, text)


def _long_escape(match: re.Match[str]) -> str:
    return _LONG_ESCAPES.get(match[0], match[0])


_ESCAPES: Final = re.compile(r"\\.")
_LONG_ESCAPES: Final = {r"\t": r"\u0009", r"\b": r"\u0008", r"\f": r"\u000c"}
