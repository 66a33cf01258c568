"""Text from logs made harmless: one escaper per sink, and everything shown passes one of these.

In: any text, hostile included. Out: text in which no character can move a cursor, hide, reorder or
end a construct of that sink. The raw value stays in the store; nothing here is reversible.

- a terminal (CLI and TUI): `safe_text`, `safe_lines` for a record of several lines
- HTML: `safe_text` inside an autoescaping template (`html_text` outside of one)
- Markdown: `markdown_text` inline and in table cells, `markdown_fence` for blocks
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

DEFAULT_LIMIT: Final = 16_384
"""Characters that one value may fill on a screen or page before it is cut with a count."""

_TAB: Final = "    "
_SAFE: Final = re.compile(r"[\x20-\x7e\xa1-\xac\xae-\u024f]*")
# Cc controls, Cf format (bidi, zero width, tags), Cs surrogates, Co private, Cn unassigned, Zl/Zp
_UNSAFE_CATEGORIES: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_MARKDOWN_SPECIAL: Final = re.compile(
    # These may act anywhere: emphasis, code, links, HTML, tables, strikethrough, maths, entities.
    r"[\\`*_\[\]{}<>|~&$^=]"
    # A parenthesis acts after a bracket alone, an exclamation mark before one.
    r"|(?<=\])\(|!(?=\[)"
    # What makes a heading, a list, a rule or a quote does so at the start alone.
    r"|^[#+-]"
    # A bare address becomes a link: https://…, www.…, somebody@….
    r"|:(?=//)|(?<=\bwww)\.|@"
    r"|(?<=\bjavascript):|(?<=\bmailto):|(?<=\bxmpp):",
    re.IGNORECASE,
)
_MARKDOWN_NUMBER: Final = re.compile(r"^([0-9]{1,9})([.)])")


def safe_text(text: str, limit: int = DEFAULT_LIMIT) -> str:
    """`text` on one line, of printable characters alone.

    Controls become their pictures (`␛`), other invisible characters `<U+202E>`, tabs four spaces.
    Past `limit` characters the text is cut and says by how much.
    """
    cut = len(text) - limit
    if cut > 0:
        text = text[:limit]
    if not _SAFE.fullmatch(text):
        text = "".join(map(_visible, text))
    return f"{text}… (+{cut:,} characters)" if cut > 0 else text


def safe_lines(text: str, limit: int = DEFAULT_LIMIT) -> list[str]:
    """`text` line by line, each made safe; past `limit` characters in all it says what is cut."""
    cut = len(text) - limit
    lines = [safe_text(line) for line in text[:limit].split("\n")]
    if cut > 0:
        lines[-1] += f"… (+{cut:,} characters)"
    return lines


def fold_lines(text: str) -> str:
    """Several lines as the first and the last one: of a stack trace, what says most. Not safe."""
    first, _, rest = text.partition("\n")
    last = rest.rstrip().rpartition("\n")[2].strip()
    return f"{first} … {last}" if last else first


def _visible(character: str) -> str:
    code = ord(character)
    if character == "\t":
        return _TAB
    if code < 0x20:  # noqa: PLR2004 - C0
        return chr(0x2400 + code)
    if code == 0x7F:  # noqa: PLR2004 - DEL
        return "␡"
    if unicodedata.category(character) in _UNSAFE_CATEGORIES:
        return f"<U+{code:04X}>"
    return character


def html_text(text: str, limit: int = DEFAULT_LIMIT) -> str:
    """`text` for an HTML element's content or a quoted attribute."""
    return html.escape(safe_text(text, limit))


def markdown_text(text: str, limit: int = DEFAULT_LIMIT) -> str:
    """`text` for Markdown prose, a heading or a table cell: what would act there is escaped.

    A time, an id or a path comes through as it is, so that it can be copied; a number that starts
    a line is taken for a list's only if a dot or a parenthesis follows it.
    """
    escaped = _MARKDOWN_SPECIAL.sub(r"\\\g<0>", safe_text(text, limit).lstrip(" "))
    return _MARKDOWN_NUMBER.sub(r"\1\\\2", escaped)


def markdown_fence(lines: list[str], limit: int = DEFAULT_LIMIT) -> str:
    """`lines` as a fenced block whose fence is longer than any run of backticks inside."""
    safe = [safe_text(line, limit) for line in lines]
    longest = max((len(run) for line in safe for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join((f"{fence}text", *safe, fence))
