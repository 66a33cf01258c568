"""Building the `_bulk` items of one source row: one file's lines on their way to one index.

In: records, and when they were read. Out: a body: for each record an action line and a document
line, the `_id` being its place and checksum. Work is per chunk: a document is put together from
columns of texts, so that no line costs an object, a clock or a call of its own. Records that are
wrapped, masked, grouped or no UTF-8 are built one by one, to the same documents. Pure: the same
records give the same bytes.

Texts stand for bytes here, as Latin-1 has them, whatever the encoding of the log: joining and
slicing such texts is fastest, and loses nothing.
"""

from __future__ import annotations

import base64
import struct
import threading
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from shipper.wire.level_columns import LevelColumns
from shipper.wire.levels import LEVELS, find_level
from shipper.wire.line_kinds import sort_by_kind
from shipper.wire.object_forms import ObjectForms, parsed_member
from shipper.wire.record import Identity, to_json
from shipper.wire.records import Records
from shipper.wire.shapes import Shape, Shaped
from shipper.wire.time_columns import TimeColumn, TimeColumns
from shipper.wire.times import format_time

BYTES_AS_TEXT: Final = "latin-1"

_NO_CONTROLS: Final = bytes((0x0A, *range(0x20, 0x100)))
"""All bytes but those that JSON wants escaped; a newline ends a record and is not in a message."""
_SHORT_ESCAPES: Final = {0x08: b"\\b", 0x09: b"\\t", 0x0C: b"\\f", 0x0D: b"\\r"}
_ID_LENGTH: Final = "-{}-"
_LENGTH: Final = ',"log.length":{}'
_SMALL_ID_LENGTHS: Final = tuple(map(_ID_LENGTH.format, range(1024)))
_SMALL_LENGTHS: Final = tuple(map(_LENGTH.format, range(1024)))

_ITEM_FRAME_BYTES: Final = 200
"""Names, times and numbers of an item, beside what all items of a builder share."""


class Built(NamedTuple):
    """A `_bulk` body, or a piece of one."""

    body: bytes
    item_count: int
    """Of its items: an action line and a document line each."""


def split_items(body: bytes) -> list[bytes]:
    """Each item of a body."""
    lines = body.split(b"\n")[:-1]  # a carriage return may stand between values of `fields`
    return [b"%b\n%b\n" % pair for pair in zip(lines[::2], lines[1::2], strict=True)]


class _Parts(NamedTuple):
    """Columns of what lines say of themselves."""

    times: TimeColumn
    joints: Sequence[str]
    """What stands between items: the end of one, with its level, and the next one's begin."""
    extras: Sequence[str]
    """What objects give beside their message; empty: none is one."""


class RecordBuilder:
    """Builds the items of one source row. Threads may share it: it lets in one at a time."""

    def __init__(
        self,
        *,
        identity: Identity,
        stream: str,
        source: int,
        path: str,
        index: str,
        shape: Shape | None = None,
        source_fields: Mapping[str, Any] | None = None,
    ) -> None:
        """`path`: as people see it; `source_fields`: further fields of all its documents."""
        where = {
            "log.file.path": path,
            "afterimage.stream": stream,
            "afterimage.source": source,
            **identity.as_fields(),
            **(source_fields or {}),
        }
        self._shape = shape
        self._head = f'{{"create":{{"_index":"{index}","_id":"{stream}-{source}-'
        rest = to_json(where)[1:].decode(BYTES_AS_TEXT)
        self._tails = {
            level: f',"log.level":"{level}",{rest}\n' if level else f",{rest}\n"
            for level in ("", *LEVELS)
        }
        self._levels = LevelColumns(
            {level: f"{tail}{self._head}" for level, tail in self._tails.items()}
        )
        self._forms = ObjectForms()
        self._times = TimeColumns()
        self._turn = threading.Lock()
        """Two senders may have chunks of one file, and one keeps what the next one looks up."""
        self.item_bytes = len(self._head) + len(rest) + _ITEM_FRAME_BYTES
        """About how much larger than its record an item is."""

    def build(self, records: Records, read_at_nanos: int) -> Built:
        """One item per record."""
        with self._turn:
            return self._build(records, read_at_nanos)

    def _build(self, records: Records, read_at_nanos: int) -> Built:
        lines = records.split()
        if not lines:
            return Built(b"", 0)
        read_at = format_time(read_at_nanos)
        if self._shape is None and records.lengths is None and not records.masked:
            texts = escape_lines(records.data)
            if texts is not None:
                parts = self._find_parts(lines, texts, records.data, read_at_nanos, read_at)
                return self._build_columns(lines, texts, records.places(lines), parts, read_at)
        return self._build_each(records, lines, read_at_nanos, read_at)

    def build_plain(
        self,
        record: bytes,
        offset: int,
        read_at_nanos: int,
        masked: Sequence[tuple[int, int]] = (),
    ) -> bytes:
        """The record's item in a form that no mapping refuses: its bytes and when they were read.

        It has the id that `build` gives, so that either of the two can be stored, not both.
        """
        read_at = format_time(read_at_nanos)
        raw = base64.b64encode(record).decode()
        item = (
            f'{self._head}{offset}-{len(record)}-{zlib.crc32(record):08x}"}}}}\n'
            f'{{"@timestamp":"{read_at}","event.created":"{read_at}","afterimage.raw":"{raw}",'
            f'"log.offset":{offset},"log.length":{len(record)}'
            f"{_masked_member(masked)}{self._tails['']}"
        )
        return item.encode(BYTES_AS_TEXT)

    def _build_columns(
        self,
        lines: Sequence[bytes],
        texts: Sequence[str],
        places: Sequence[int],
        parts: _Parts,
        read_at: str,
    ) -> Built:
        count = len(lines)
        offsets = _number_column(places)
        lengths = list(map(len, lines))
        crcs = struct.pack(f">{count}I", *map(zlib.crc32, lines)).hex(",", 4).split(",")
        columns: list[Sequence[str]] = [
            offsets,
            _length_column(lengths, _SMALL_ID_LENGTHS, _ID_LENGTH),
            crcs,
            [f'"}}}}\n{{"@timestamp":"{parts.times.before}'] * count,
            parts.times.texts,
            [f'{parts.times.after}","event.created":"{read_at}","message":"'] * count,
            texts,
            ['","log.offset":'] * count,
            offsets,
            _length_column(lengths, _SMALL_LENGTHS, _LENGTH),
            parts.joints,
        ]
        if parts.extras:
            columns.insert(-1, parts.extras)
        pieces = [""] * (len(columns) * count)
        for number, column in enumerate(columns):
            pieces[number :: len(columns)] = column
        pieces[0] = self._head + pieces[0]
        pieces[-1] = pieces[-1].removesuffix(self._head)
        return Built("".join(pieces).encode(BYTES_AS_TEXT), count)

    def _find_parts(
        self,
        lines: Sequence[bytes],
        texts: Sequence[str],
        data: bytes,
        read_at_nanos: int,
        read_at: str,
    ) -> _Parts:
        """Columns of what lines say of themselves; each kind of line has its own, if there are."""
        kinds = sort_by_kind(texts)
        if kinds is None:
            return self._parts_of_kind(lines, texts, data, read_at_nanos, read_at)
        times, joints, extras = ([""] * len(lines) for _ in range(3))
        for places in kinds:
            some = [lines[place] for place in places]
            parts = self._parts_of_kind(
                some, [texts[place] for place in places], b"".join(some), read_at_nanos, read_at
            )
            before, found, after, _ = parts.times
            for place, time, joint in zip(places, found, parts.joints, strict=True):
                times[place] = f"{before}{time}{after}"
                joints[place] = joint
            for place, extra in zip(places, parts.extras, strict=False):
                extras[place] = extra
        return _Parts(times=TimeColumn("", times, "", 0), joints=joints, extras=extras)

    def _parts_of_kind(
        self,
        lines: Sequence[bytes],
        texts: Sequence[str],
        data: bytes,
        read_at_nanos: int,
        read_at: str,
    ) -> _Parts:
        times = self._times.find(lines, texts, read_at_nanos, read_at)
        if data[:1] == b"{":  # then all lines begin so
            joints, extras = self._levels.of_objects(lines), self._forms.members(lines, data)
            return _Parts(times=times, joints=joints, extras=extras)
        if times.words_at:
            joints = self._levels.of_words(lines, texts, times.words_at)
        else:
            joints = self._levels.of_lines(lines, data)
        return _Parts(times=times, joints=joints, extras=())

    def _build_each(
        self, records: Records, lines: Sequence[bytes], read_at_nanos: int, read_at: str
    ) -> Built:
        items: list[str] = []
        self._times.begin(read_at_nanos)
        for place, (line, offset) in enumerate(zip(lines, records.places(lines), strict=True)):
            shaped = None if self._shape is None else self._shape(line)
            if shaped is None:
                time, message, extra = self._plain_parts(line)
                level = find_level(line)
            else:
                time, message, extra = self._shaped_parts(shaped, line)
                level = str(shaped.fields.get("log.level", "")) or find_level(
                    shaped.message.encode("utf-8", "replace")
                )
            extra += _masked_member(records.masked.get(place, ()))
            items.append(
                f'{self._head}{offset}-{len(line)}-{zlib.crc32(line):08x}"}}}}\n'
                f'{{"@timestamp":"{time or read_at}","event.created":"{read_at}",'
                f'"message":"{message}","log.offset":{offset},"log.length":{len(line)}'
                f"{extra}{self._tails.get(level, self._tails[''])}"
            )
        return Built("".join(items).encode(BYTES_AS_TEXT), len(lines))

    def _plain_parts(self, line: bytes) -> tuple[str, str, str]:
        """Time (or empty), escaped message and further members of a line that nothing wraps."""
        message = escape_record(line)
        extra = parsed_member(line)
        if message is None:  # not UTF-8: the bytes go beside the text
            message = _json_text(line.removesuffix(b"\n").decode("utf-8", "replace"))
            extra += _raw_member(line)
        time = self._times.find_one(line)
        return time, message, extra

    def _shaped_parts(self, shaped: Shaped, line: bytes) -> tuple[str, str, str]:
        if shaped.time_nanos is None:
            time = self._times.find_one(shaped.message.encode("utf-8", "replace"))
        else:
            time = format_time(shaped.time_nanos)
        members: dict[str, Any] = {
            name: value for name, value in shaped.fields.items() if name != "log.level"
        }
        if shaped.is_whole:
            members |= {"afterimage.before": shaped.before, "afterimage.after": shaped.after}
            if shaped.escape != "text":
                members["afterimage.escape"] = shaped.escape
        extra = to_json(members)[1:-1].decode(BYTES_AS_TEXT)
        extra = f",{extra}" if extra else ""
        if not shaped.is_whole:
            extra += _raw_member(line)
        return time, _json_text(shaped.message), extra


def escape_lines(data: bytes) -> list[str] | None:
    """Each line of UTF-8 `data` as the inside of a JSON string; None: it is not UTF-8."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return None
    return _escape(data[:-1]).split("\n")


def escape_record(record: bytes) -> str | None:
    """One record, its last line feed removed, as the inside of a JSON string; None: not UTF-8."""
    try:
        record.decode()
    except UnicodeDecodeError:
        return None
    return _escape(record.removesuffix(b"\n")).replace("\n", "\\n")


def _escape(data: bytes) -> str:
    controls = set(data.translate(None, _NO_CONTROLS))
    data = data.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    for code in controls:
        data = data.replace(bytes((code,)), _SHORT_ESCAPES.get(code, b"\\u%04x" % code))
    return data.decode(BYTES_AS_TEXT)


def _length_column(lengths: Sequence[int], small: Sequence[str], form: str) -> list[str]:
    if max(lengths) < len(small):
        return list(map(small.__getitem__, lengths))
    return list(map(form.format, lengths))


def _number_column(numbers: Sequence[int]) -> list[str]:
    return repr(list(numbers))[1:-1].split(", ")


def _masked_member(ranges: Sequence[tuple[int, int]]) -> str:
    """Which bytes of a record were overwritten; empty: none."""
    texts = [f"{start}-{length}" for start, length in ranges]
    return ',"afterimage.masked":' + to_json(texts).decode() if texts else ""


def _raw_member(line: bytes) -> str:
    return f',"afterimage.raw":"{base64.b64encode(line).decode()}"'


def _json_text(text: str) -> str:
    return to_json(text)[1:-1].decode(BYTES_AS_TEXT)
