"""The command-line equal of what is on screen, ready to paste, and permalinks.

In: documents and ids, hostile text among them. Out: shell words that can't do anything but what
they say. Pure.
"""

from __future__ import annotations

import re
import shlex
from urllib.parse import quote

from forensics.safe_text import safe_text
from forensics.store.protocol import Document


def shell_word(text: str) -> str:
    r"""Text as one word of a POSIX shell; what is not plainly printable as `$'\x1b'`."""
    if text == safe_text(text, len(text) + 1):
        return shlex.quote(text)
    data = text.encode("utf-8", "surrogateescape" if _is_escaped_bytes(text) else "replace")
    plain = (
        chr(byte) if re.fullmatch(r"[A-Za-z0-9/._ :=@%+,-]", chr(byte)) else f"\\x{byte:02x}"
        for byte in data
    )
    return f"$'{''.join(plain)}'"


def _is_escaped_bytes(text: str) -> bool:
    return all(
        "\udc80" <= character <= "\udcff" for character in text if "\ud800" <= character <= "\udfff"
    )


def find_command(document: Document) -> str:
    """The command that prints this event again; for a vitals document, all that is known."""
    instance_id = document.instance_id
    if document.family != "logs":
        return f"forensics show {shell_word(instance_id)} --json"
    at = shell_word(document.timestamp)
    command = f"forensics logs {shell_word(instance_id)} --since {at} --until {at} --jsonl"
    return f"{command} | grep -F {shell_word(document.id)}"


def raw_command(document: Document) -> str:
    """The command that gives the whole file that this event came from; empty: no file."""
    if document.family != "logs" or not document.path:
        return ""
    return f"forensics raw {shell_word(document.instance_id)} {shell_word(document.path)}"


def link_of(document: Document) -> str:
    """A permalink: instance, index and id; it names the same event in every copy of the store."""
    parts = (document.instance_id, document.index, document.id)
    return "afterimage:" + "/".join(
        quote(part.encode("utf-8", "surrogatepass"), safe="") for part in parts
    )
