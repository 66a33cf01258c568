"""What a record of a wrapped source says: the message inside, and what stands around it.

In: a record's bytes. Out: a `Shaped`, from which the bytes come back exactly: `before`, the message
as it was escaped, `after`. A record that is not what its source promises has no shape, and is taken
as a plain line. Pure. It must never give a shape whose bytes are not the record's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Escape = Literal["text", "json", "go"]
"""How the message stands in the bytes: as it is; in a JSON string as Python writes it without
`ensure_ascii`; in a JSON string as Go's `encoding/json` writes it (`<`, `>`, `&`, U+2028 and U+2029
as `\\u…`), which Docker does too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """One record, taken apart."""

    message: str
    """What the application wrote, its line feed removed."""
    before: str = ""
    after: str = "\n"
    escape: Escape = "text"
    is_whole: bool = True
    """Whether `before`, message and `after` give the record's bytes; else they go beside it, raw."""
    time_nanos: int | None = None
    """When it was written, as the wrapping says; None: look into the message."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the document, flat ECS names; `fields` is an object (wire/structured.py)."""


Shape = Callable[[bytes], Shaped | None]
"""Takes one record apart; None: it is not of this shape."""


def escape_message(message: str, escape: Escape) -> str:
    """The message as it stands in the record's bytes."""
    if escape == "text":
        return message
    text = json.dumps(message, ensure_ascii=False)[1:-1]
    if escape == "go":
        for character in _GO_ESCAPED:
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text


_GO_ESCAPED: Final = "<>&\u2028\u2029"
