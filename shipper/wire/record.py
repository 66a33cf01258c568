"""The record: what a line becomes on the wire, and how its bytes come back out of it.

In: framed bytes, where they stood and who the machine is. Out: `_bulk` items (an action line and
a document line) whose `_id` is the record's place and checksum; and, from a stored document, the
exact bytes. Work is per chunk: no object, no clock and no I/O per line.

Field names are ECS's, flat with dots. Shapes are in docs/fields.md.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, NamedTuple

from shipper.wire.line_times import LineTimes
from shipper.wire.times import format_time

Family = Literal["logs", "vitals", "lifecycle"]

INDEX_PREFIX: Final = "afterimage"

_STREAM = r"[0-9a-z]{16,64}"
_RECORD_ID: Final = re.compile(
    rf"({_STREAM})-(\d{{1,10}})-(\d{{1,19}})-(\d{{1,10}})-([0-9a-f]{{8}})"
)

LEVELS: Final = ("trace", "debug", "info", "notice", "warn", "error", "critical")
"""What `log.level` may be, mildest first."""

_LEVEL_WORDS: Final = {
    "trace": ("trace",),
    "debug": ("debug",),
    "info": ("info",),
    "notice": ("notice",),
    "warn": ("warn", "warning"),
    "error": ("err", "error", "severe"),
    "critical": ("crit", "critical", "fatal", "alert", "emerg", "panic"),
}
_LEVEL_OF_WORD: Final = {
    word.encode(): b'"log.level":"%b",' % level.encode()
    for level, words in _LEVEL_WORDS.items()
    for word in words
}
# A level is a word of its own, in capitals, brackets or behind level=; "no error" is none.
_LEVEL_OF_TOKEN: Final = {
    form % word: field
    for lower, field in _LEVEL_OF_WORD.items()
    for word, forms in (
        (lower.upper(), (b"%b", b"%b:", b"[%b]", b"[%b]:", b"(%b)", b"<%b>", b"level=%b", b"|%b|")),
        (lower, (b"[%b]", b"[%b]:", b"<%b>", b"level=%b", b'level="%b"', b"severity=%b")),
    )
    for form in forms
}
_LEVEL_WITHIN_BYTES: Final = 160
_LEVEL_WITHIN_TOKENS: Final = 8
_JSON_LEVEL_KEYS: Final = (b'"level"', b'"log.level"', b'"levelname"', b'"severity"')
_JSON_LEVEL: Final = re.compile(rb'\s*:\s*"([A-Za-z]+)"')
_JSON_LEVEL_WITHIN_BYTES: Final = 400

_NO_CONTROLS: Final = bytes((0x0A, *range(0x20, 0x100)))
"""All bytes but those that JSON wants escaped; a newline ends a record and is not in a message."""
_SHORT_ESCAPES: Final = {0x08: b"\\b", 0x09: b"\\t", 0x0C: b"\\f", 0x0D: b"\\r"}

_ITEM_FRAME_BYTES: Final = 200
"""Names, times and numbers of an item, beside what all items of a builder share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the machine is, stamped on every document of a stream. Empty text: not known."""

    instance_id: str
    """EC2's `i-…`, or what the configuration says on a host without IMDS; never empty."""
    image_id: str = ""
    instance_type: str = ""
    region: str = ""
    availability_zone: str = ""
    account_id: str = ""
    host_name: str = ""
    group: str = ""
    """The Auto Scaling group's name."""

    def as_fields(self) -> dict[str, str]:
        """The known values under their ECS names."""
        return {
            IDENTITY_FIELDS[field.name]: value
            for field in fields(self)
            if (value := getattr(self, field.name))
        }


IDENTITY_FIELDS: Final = {
    "instance_id": "cloud.instance.id",
    "image_id": "host.image.id",
    "instance_type": "cloud.machine.type",
    "region": "cloud.region",
    "availability_zone": "cloud.availability_zone",
    "account_id": "cloud.account.id",
    "host_name": "host.name",
    "group": "aws.autoscaling.group.name",
}


class RecordKey(NamedTuple):
    """A record's identity: where it stood, and the CRC-32 (zlib) of its bytes."""

    stream: str
    source: int
    offset: int
    length: int
    crc32: int

    def __str__(self) -> str:
        return f"{self.stream}-{self.source}-{self.offset}-{self.length}-{self.crc32:08x}"


def parse_record_id(text: str) -> RecordKey:
    """The key in a record's `_id`.

    Raises:
        ValueError: the id is not of the form `stream-source-offset-length-crc32`.
    """
    match = _RECORD_ID.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not stream-source-offset-length-crc32")
    return RecordKey(match[1], int(match[2]), int(match[3]), int(match[4]), int(match[5], 16))


def index_name(family: Family, nanos: int) -> str:
    """The index of a document of that time: logs by day, vitals and lifecycle by month (UTC)."""
    day = format_time(nanos)[:10].replace("-", ".")
    return f"{INDEX_PREFIX}-{family}-{day if family == 'logs' else day[:7]}"


def logs_index(day: str) -> str:
    """The index of the records of a source row, whose `day` is `YYYY-MM-DD`."""
    return f"{INDEX_PREFIX}-logs-{day.replace('-', '.')}"


def build_document(family: Family, document_id: str, document: Mapping[str, Any]) -> bytes:
    """One `_bulk` item of a document that is not a log line; its `@timestamp` chooses the index."""
    at = str(document["@timestamp"])
    index = f"{INDEX_PREFIX}-{family}-{at[: 10 if family == 'logs' else 7].replace('-', '.')}"
    action = {"create": {"_index": index, "_id": document_id}}
    return b"%b\n%b\n" % (_json(action), _json(document))


class RecordBuilder:
    """Builds the `_bulk` items of one source row: one file's lines on their way to one index."""

    def __init__(
        self, *, identity: Identity, stream: str, source: int, path: str, index: str
    ) -> None:
        where = {
            "log.file.path": path,
            "afterimage.stream": stream,
            "afterimage.source": source,
            **identity.as_fields(),
        }
        self._head = b'{"create":{"_index":"%b","_id":"%b-%d-' % (
            index.encode(),
            stream.encode(),
            source,
        )
        self._tail = b"," + _json(where)[1:]
        self._times = LineTimes()
        self.item_bytes = len(self._head) + len(self._tail) + _ITEM_FRAME_BYTES
        """About how much larger than its record an item is."""

    def build(self, records: Sequence[bytes], offset: int, read_at_nanos: int) -> list[bytes]:
        """One item per record; `records` are `framing.frame`'s, the first stands at `offset`."""
        read_at = format_time(read_at_nanos).encode()
        template = (
            self._head.replace(b"%", b"%%")
            + b'%d-%d-%08x"}}\n{"@timestamp":"%b","event.created":"'
            + read_at
            + b'",%b"message":"%b","log.offset":%d,"log.length":%d'
            + self._tail.replace(b"%", b"%%")
            + b"\n"
        )
        crc32 = zlib.crc32
        self._times.begin(read_at_nanos)
        find_time = self._times.find
        items: list[bytes] = []
        append = items.append
        for record, text in zip(records, escape_messages(records), strict=True):
            length = len(record)
            extra = find_level(record)
            message = text
            if message is None:  # not UTF-8: the bytes go beside the text
                message = _json(record.removesuffix(b"\n").decode("utf-8", "replace"))[1:-1]
                extra += b'"afterimage.raw":"%b",' % base64.b64encode(record)
            append(
                template
                % (
                    offset, length, crc32(record),
                    find_time(record) or read_at,
                    extra, message, offset, length,
                )
            )  # fmt: skip
            offset += length
        return items

    def build_plain(self, record: bytes, offset: int, read_at_nanos: int) -> bytes:
        """The record's item in a form that no mapping refuses: its bytes and when they were read.

        It has the id that `build` gives, so that either of the two can be stored, not both.
        """
        read_at = format_time(read_at_nanos).encode()
        raw = base64.b64encode(record)
        return (
            self._head
            + b'%d-%d-%08x"}}\n' % (offset, len(record), zlib.crc32(record))
            + b'{"@timestamp":"%b","event.created":"%b","afterimage.raw":"%b",'
            % (read_at, read_at, raw)
            + b'"log.offset":%d,"log.length":%d' % (offset, len(record))
            + self._tail
            + b"\n"
        )


def find_level(record: bytes) -> bytes:
    """The `log.level` member of a line's document, with its comma; empty: the line names none."""
    if record[:1] == b"{":
        for key in _JSON_LEVEL_KEYS:
            at = record.find(key, 0, _JSON_LEVEL_WITHIN_BYTES)
            if at >= 0 and (match := _JSON_LEVEL.match(record, at + len(key))) is not None:
                return _LEVEL_OF_WORD.get(match[1].lower(), b"")
        return b""
    tokens = record[:_LEVEL_WITHIN_BYTES].split(None, _LEVEL_WITHIN_TOKENS)
    for token in tokens:
        if token in _LEVEL_OF_TOKEN:
            return _LEVEL_OF_TOKEN[token]
    if tokens and b":" in tokens[0]:  # ERROR:root:… (Python's logging.basicConfig)
        return _LEVEL_OF_TOKEN.get(tokens[0].partition(b":")[0], b"")
    return b""


def escape_messages(records: Sequence[bytes]) -> Iterable[bytes | None]:
    r"""Each record's message as the inside of a JSON string, final `\n` removed; None: not UTF-8.

    Escapes the whole chunk at once; only a chunk that is not UTF-8, or that holds slices of a long
    line, is looked at record by record.
    """
    chunk = b"".join(records)
    if all(record.endswith(b"\n") for record in records[:-1]):
        try:
            chunk.decode()
        except UnicodeDecodeError:
            return [_escape_or_none(record) for record in records]
        return _escape(chunk.removesuffix(b"\n")).split(b"\n") if records else []
    return [_escape_or_none(record) for record in records]


def _escape_or_none(record: bytes) -> bytes | None:
    try:
        record.decode()
    except UnicodeDecodeError:
        return None
    return _escape(record.removesuffix(b"\n"))


def _escape(text: bytes) -> bytes:
    text = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    for code in set(text.translate(None, _NO_CONTROLS)):
        text = text.replace(bytes((code,)), _SHORT_ESCAPES.get(code, b"\\u%04x" % code))
    return text


def stored_bytes(document_id: str, document: Mapping[str, Any]) -> bytes:
    """The bytes that a stored record was made of, checked against the length and CRC in its id.

    Raises:
        ValueError: the document is not what the id says: altered, cut or no record of ours.
    """
    key = parse_record_id(document_id)
    raw = document.get("afterimage.raw")
    if raw is not None:
        data = base64.b64decode(raw, validate=True)
    else:
        data = str(document.get("message", "")).encode("utf-8", "surrogatepass")
        if len(data) == key.length - 1:
            data += b"\n"
    if len(data) != key.length or zlib.crc32(data) != key.crc32:
        raise ValueError(
            f"record {document_id} holds {len(data)} bytes that are not the ones its id was made of"
        )
    return data


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "backslashreplace"
    )
