"""Puts documents into the SQLite store: rows, words and stream summaries of one transaction.

In: parsed documents and an open connection inside a transaction. Out: for each document its row
number, or that its id was there already. Only what was inserted changes a summary. It must never
begin, commit or roll back: whoever answers for the documents does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from forensics.store.documents import index_text, time_nanos
from shipper.wire.record import INDEX_PREFIX, Family, RecordKey, parse_record_id

_INSERT: Final = """
INSERT INTO documents
    (seq, id, index_name, family, timestamp, created, instance, stream, source, offset, length,
     path, level, action, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, index_name) DO NOTHING
"""

_INSERT_WORDS: Final = "INSERT INTO words (rowid, message) VALUES (?, ?)"

_UPSERT_STREAM: Final = """
INSERT INTO streams VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (instance, stream) DO UPDATE SET
    first_created = min(coalesce(first_created, excluded.first_created),
                        coalesce(excluded.first_created, first_created)),
    last_created = max(coalesce(last_created, excluded.last_created),
                       coalesce(excluded.last_created, last_created)),
    records = records + excluded.records,
    word_seq = iif((excluded.word_at, excluded.word_offset) > (word_at, word_offset),
                   excluded.word_seq, word_seq),
    word_offset = iif((excluded.word_at, excluded.word_offset) > (word_at, word_offset),
                      excluded.word_offset, word_offset),
    word_at = max(word_at, excluded.word_at),
    birth_seq = iif(excluded.birth_at > birth_at, excluded.birth_seq, birth_seq),
    birth_at = max(birth_at, excluded.birth_at),
    closing_seq = iif(excluded.closing_at > closing_at, excluded.closing_seq, closing_seq),
    closing_at = max(closing_at, excluded.closing_at)
"""

_NEVER: Final = -1
_NO_PLACE: Final = RecordKey("", 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document on its way into the store."""

    index: str
    id: str
    body: str
    """The JSON text as it was sent: this is what is kept."""
    fields: Mapping[str, Any]
    """The same, flat (`documents.parse_document`): this is what is looked at."""


@dataclass(slots=True)
class _Summary:
    """What one transaction adds to a stream's row."""

    first_created: int | None = None
    last_created: int | None = None
    records: int = 0
    word: tuple[int, int] = (_NEVER, _NEVER)
    word_seq: int | None = None
    story_at: dict[str, int] = field(default_factory=dict)
    story_seq: dict[str, int] = field(default_factory=dict)


def family_of(index: str) -> Family:
    """Which family an index belongs to; an index of another shipper counts as logs."""
    if index.startswith(f"{INDEX_PREFIX}-vitals"):
        return "vitals"
    return "lifecycle" if index.startswith(f"{INDEX_PREFIX}-lifecycle") else "logs"


def insert(
    connection: sqlite3.Connection, documents: Sequence[NewDocument], received_at_nanos: int
) -> list[int | None]:
    """Each document's row number; None: that index has the id already."""
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM documents").fetchone()
    rows = [
        _row(seq, document, received_at_nanos)
        for seq, document in enumerate(documents, start=last + 1)
    ]
    connection.executemany(_INSERT, rows)
    inserted = {
        seq for (seq,) in connection.execute("SELECT seq FROM documents WHERE seq > ?", (last,))
    }
    summaries: dict[tuple[str, str], _Summary] = {}
    words: list[tuple[int, str]] = []
    for row, document in zip(rows, documents, strict=True):
        if row[0] not in inserted:
            continue
        message = document.fields.get("message")
        if message:
            words.append((row[0], index_text(_text(message))))
        stream = document.fields.get("afterimage.stream")
        if stream and row[3] != "lifecycle":
            _summarise(summaries.setdefault((row[6], _text(stream)), _Summary()), row)
    connection.executemany(_INSERT_WORDS, words)
    connection.executemany(_UPSERT_STREAM, map(_stream_row, summaries.items()))
    return [row[0] if row[0] in inserted else None for row in rows]


def _row(seq: int, document: NewDocument, received_at_nanos: int) -> tuple[Any, ...]:
    fields = document.fields
    family = family_of(document.index)
    key = _NO_PLACE
    if family == "logs":
        try:
            key = parse_record_id(document.id)
        except ValueError:  # another shipper's id: no place in a file
            key = _NO_PLACE
    timestamp = time_nanos(fields.get("@timestamp"))
    return (
        seq,
        document.id,
        document.index,
        family,
        received_at_nanos if timestamp is None else timestamp,
        time_nanos(fields.get("event.created")),
        _text(fields.get("cloud.instance.id")),
        key.stream,
        key.source,
        key.offset,
        key.length,
        _text(fields.get("log.file.path")),
        _text(fields.get("log.level")),
        _text(fields.get("event.action")),
        document.body,
    )


def _summarise(summary: _Summary, row: tuple[Any, ...]) -> None:
    seq, family, created, offset, action = row[0], row[3], row[5], row[9], row[13]
    if created is not None:
        first, last = summary.first_created, summary.last_created
        summary.first_created = created if first is None else min(first, created)
        summary.last_created = created if last is None else max(last, created)
    at = _NEVER if created is None else created
    if family == "logs":
        summary.records += 1
        word = (_NEVER if created is None else min(created, row[4]), offset)
        if summary.word_seq is None or word > summary.word:
            summary.word, summary.word_seq = word, seq
    elif action in {"birth", "closing"} and (
        action not in summary.story_at or at > summary.story_at[action]
    ):
        summary.story_at[action], summary.story_seq[action] = at, seq


def _stream_row(item: tuple[tuple[str, str], _Summary]) -> tuple[Any, ...]:
    (instance, stream), summary = item
    return (
        instance, stream, summary.first_created, summary.last_created, summary.records,
        *summary.word, summary.word_seq,
        summary.story_at.get("birth", _NEVER), summary.story_seq.get("birth"),
        summary.story_at.get("closing", _NEVER), summary.story_seq.get("closing"),
    )  # fmt: skip


def _text(value: object) -> str:
    """A value as text that UTF-8 can carry: JSON may hold lone surrogates, SQLite may not."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
