"""Texts that attack a terminal, a layout or a markup parser; each must come out harmless."""

from __future__ import annotations

import unicodedata

from forensics.store.protocol import Document
from shipper.wire.times import format_time, parse_time
from tests.tui.virtual_store import START

TEXTS = [
    "\x1b]0;PWNED\x07title",
    "\x1b[31mred\x1b[0m \x1b[2J\x1b[H cleared",
    "\x1b]52;c;UFdORUQ=\x07 clipboard",
    "\x9b31m C1 \x90DCS\x9c \x9d0;PWNED\x9c",
    "\u202egnp.exe\u202c \u2066isolate\u2069 \u200b\u200d\ufeff zero",
    "[/red] closing", "[/", "[", "[[]]", "[bold]not bold[/bold]", "[@click=app.quit]x[/]",
    "[link=javascript:alert(1)]x[/link]", "$text-error {x} %s {0} \\[/]",
    "NUL \x00 in it", "DEL \x7f bell \x07 back \x08\x08\x08 return \r over",
    "汉字 全角 カタカナ " * 20, "emoji 👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👍🏽 " * 10,
    "a" + "\u0301" * 300, "\u0300\u0301 combining first", "\ud800 lone surrogate \udcff",
    "\u2028line\u2029paragraph\x85next\x0bvt\x0cff", "tab\tin\tit", "private \ue000 \U000f0000",
    "two\nlines\n[/red]\n\x1b[31m", "x" * (1 << 20), "\x1b" * 5_000, "",
]  # fmt: skip


def hostile_documents() -> list[Document]:
    """Every text as message, path, provider, and in other fields."""
    documents = []
    for number, text in enumerate(TEXTS):
        at = format_time(parse_time(START) + number * 1_000_000_000)
        fields = {
            "@timestamp": at, "event.created": at, "message": text, "log.file.path": f"/{text}",
            "cloud.instance.id": "i-0", f"fields.{text[:50]}": text[:2_000], "log.level": "error",
        }  # fmt: skip
        documents.append(Document(f"hostile-{number}-{text[:30]}", f"index-{text[:30]}", fields))
        told = {"@timestamp": at, "event.provider": text, "event.action": text, "message": text}
        documents.append(Document(f"told-{number}", "afterimage-lifecycle-2026.01", told))
    return documents


def dangerous_characters(text: str) -> set[str]:
    """The characters that no screen may hold: controls, bidi, zero width, surrogates."""
    return {
        character
        for character in text
        if character != "\n"
        and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    }
