"""The details of an event: every line of a record, its structure, what its bytes really were."""

from __future__ import annotations

import datetime as dt
import zlib
from typing import Any

from forensics.safe_text import safe_text
from forensics.store.protocol import Document
from forensics.tui.details import LINES_SHOWN, build_details
from tests.tui.hostile import TEXTS, dangerous_characters

AT = "2026-01-03T14:05:12.221000000Z"


def _document(data: bytes, message: str, **more: Any) -> Document:
    fields = {"@timestamp": AT, "event.created": AT, "message": message, **more}
    document_id = f"{'a' * 16}-1-0-{len(data)}-{zlib.crc32(data):08x}"
    return Document(document_id, "afterimage-logs-2026.01.03", fields)


def _texts(document: Document) -> list[str]:
    return [line.text for line in build_details(document, dt.UTC)]


def test_every_line_of_a_record_is_shown_and_the_rest_is_counted() -> None:
    """A stack trace as it was written; of an endless one, how much more there is."""
    trace = "Traceback (most recent call last):\n  File x, line 1\nValueError: no"
    texts = _texts(_document(f"{trace}\n".encode(), trace))
    start = texts.index("Message") + 1
    assert trace.split("\n") == texts[start : start + 3]

    endless = "\n".join(map(str, range(LINES_SHOWN + 30)))
    assert "… and 30 lines more" in _texts(_document(f"{endless}\n".encode(), endless))


def test_a_wrapped_record_shows_its_words_structure_and_wrapping() -> None:
    """The object one value a line; what stands around the message is told under its bytes."""
    data = b'{"time":"t","record":{"message":"paid","user":{"id":7},"none":{}}}\n'
    texts = _texts(
        _document(
            data, "paid", fields={"message": "paid", "user": {"id": 7}, "none": {}},
            **{
                "afterimage.before": '{"time":"t","record":{"message":"',
                "afterimage.after": '","user":{"id":7},"none":{}}}\n', "afterimage.escape": "json",
            },
        )
    )  # fmt: skip
    start = texts.index("Structured") + 1
    assert ["message: paid", "user.id: 7", "none: {}"] == texts[start : start + 3]
    assert f"{len(data):,} bytes, checksum in its id holds" in texts
    assert 'before the message: {"time":"t","record":{"message":"' in texts
    assert 'after the message: ","user":{"id":7},"none":{}}}' in texts
    assert not [text for text in texts if text.startswith("afterimage.before")]


def test_masked_bytes_are_named() -> None:
    """Which of the record's bytes a mask overwrote."""
    data = b"token=***** key=**\n"
    document = _document(
        data, data.decode().rstrip("\n"), **{"afterimage.masked": ["6-5", "16-2", "x", 7]}
    )
    assert "7 of them were masked before shipping: [6, 11), [16, 18)" in _texts(document)


def test_hostile_structure_is_harmless() -> None:
    """Keys and values of any text, however deep: lines that the pane makes safe, and no crash."""
    deep: Any = "x"
    for _ in range(90):
        deep = {"\x1b[31m": deep}
    for text in TEXTS:
        fields = {text: text, "list": [text, {text: None}], "deep": deep}
        document = _document(b"x\n", text, fields=fields, **{"afterimage.before": text})
        for line in _texts(document):
            assert set() == dangerous_characters(safe_text(line, 500))
    for odd in ("a text", ["a", "list"], 7, None):
        assert "Fields" in _texts(_document(b"x\n", "x", fields=odd))
