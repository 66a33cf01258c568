"""The state folder's files as values: what a shipper knows of itself, parsed and formatted.

In: the bytes of `stream`, `sources`, `checkpoint` and `dead-letters.jsonl`. Out: values; and back.
Every line carries its own CRC-32, so that a torn or altered one is seen. The shipper does the I/O
(shipper/state_folder.py); forensics parses the same bytes from a dead disk. It must never guess:
a damaged journal is refused, since a source's number must not be given twice.

A line is `crc32 json`: `5f1a09c3 {"type":"source",…}`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

VERSION: Final = 1

FINGERPRINT_BYTES: Final = 1024
"""How much of a file's start its fingerprint covers, at most."""

TAIL_BYTES: Final = 64
"""How many bytes before an offset are compared before reading on from it."""

_CRC_CHARACTERS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One life of a state folder on one machine."""

    stream: str
    instance_id: str
    machine_id: str
    created: str
    """30-character time (wire/times.py)."""
    why: str = ""
    """What was wrong with the one before it in the same folder; empty: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One file that a stream opened, from one offset on; a later row of it gives a new day."""

    source: int
    path: str
    """The first path it was seen under; bytes that are no UTF-8 as `surrogateescape` has them."""
    device: int
    inode: int
    fingerprint: str
    """SHA-256, hexadecimal, of the file's first `fingerprint_bytes` bytes."""
    fingerprint_bytes: int
    day: str
    """`YYYY-MM-DD`: the index of every record that starts at or after `from_offset`."""
    from_offset: int
    at: str
    """When the row was made, 30 characters: its document has this time however often it is sent."""
    kind: str = "file"
    """What the bytes are: `file`, `docker`, `cri` (of a followed file), `forward`, `stdin` (of a
    spool segment), `journald` (its offsets are sequence numbers, not bytes)."""
    is_copy: bool = False
    """Whether the file was truncated, and its rest is read from a copy, which the row names."""
    name: str = ""
    """What people call it where that is not its path: `forward:unix:///…`; empty: the path."""
    cursor: str = ""
    """Of journald: the cursor of the entry that was read before its first one, if any was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A record ends here although no line does: it was sent before its newline was there."""

    source: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A start of the shipper, the n-th of its stream."""

    run: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A source that will not be read again; its number stays taken."""

    source: int
    end: int


Entry = SourceRow | Cut | Run | Closed

_ENTRY_TYPES: Final[Mapping[str, type[Entry]]] = {
    "source": SourceRow,
    "cut": Cut,
    "run": Run,
    "closed": Closed,
}
_TYPE_NAMES: Final = {entry: name for name, entry in _ENTRY_TYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What the `sources` file says, taken together."""

    stream: str
    rows: Mapping[int, Sequence[SourceRow]] = field(default_factory=dict)
    placed: Mapping[int, int] = field(default_factory=dict)
    """By source: the line that gave it its file; of two with one inode the later has it."""
    cuts: Mapping[int, Sequence[int]] = field(default_factory=dict)
    closed: Mapping[int, int] = field(default_factory=dict)
    runs: int = 0
    next_source: int = 0
    valid_bytes: int = 0
    """Where the next line goes: a torn last line, never used, is cut off there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one source was shipped. May lag behind the centre: then bytes are read again."""

    acked: int
    """Every byte below it is stored by the centre, or dead-lettered."""
    size: int
    """The file's size when last looked at."""
    tail: str = ""
    """`tail_digest` of the bytes before `acked`; empty: not known."""
    dead_lettered: int = 0
    published_rows: int = 0
    """How many of the source's rows the centre holds as documents."""
    dropped: int = 0
    """Bytes below `acked` that a rule dropped."""
    cursor: str = ""
    """Of journald: its cursor of the last entry below `acked`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The `checkpoint` file: progress of every source that is not closed."""

    stream: str
    saved_at: str
    sources: Mapping[int, Progress] = field(default_factory=dict)
    closed_acked: int = 0
    """Bytes of closed sources, for the counters alone."""
    closed_dead_lettered: int = 0
    closed_dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A document that the centre refused for good, as it would have been sent."""

    at: str
    reason: str
    index: str
    id: str
    item: bytes


def fingerprint(head: bytes) -> str:
    """The fingerprint of a file whose first bytes are `head`."""
    return hashlib.sha256(head[:FINGERPRINT_BYTES]).hexdigest()


def tail_digest(tail: bytes) -> str:
    """The last `TAIL_BYTES` before an offset, told without keeping a log's words."""
    return hashlib.sha256(tail[-TAIL_BYTES:]).hexdigest()[:32]


def format_line(value: Mapping[str, Any]) -> bytes:
    """One line: CRC, space, JSON, newline."""
    text = json.dumps(value, separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def parse_line(line: bytes) -> dict[str, Any]:
    """The object in a line (with or without its newline).

    Raises:
        ValueError: the CRC does not fit, or it is no JSON object.
    """
    crc, _, text = line.removesuffix(b"\n").partition(b" ")
    if len(crc) != _CRC_CHARACTERS or crc != b"%08x" % zlib.crc32(text):
        raise ValueError("a line's CRC-32 does not fit its text")
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("a line holds no JSON object")  # noqa: TRY004 - one error for bad bytes
    return value


def format_stream(stream: Stream) -> bytes:
    """The `stream` file."""
    return format_line({"version": VERSION, **asdict(stream)})


def parse_stream(data: bytes) -> Stream:
    """The value of a `stream` file; ValueError: torn, altered or of another version."""
    return Stream(**_fields(parse_line(data), Stream))


def format_journal_head(stream: str) -> bytes:
    """The first line of a `sources` file."""
    return format_line({"type": "journal", "version": VERSION, "stream": stream})


def format_entry(entry: Entry) -> bytes:
    """One further line of a `sources` file."""
    return format_line({"type": _TYPE_NAMES[type(entry)], **asdict(entry)})


def format_compacted(journal: Journal) -> bytes:
    """A `sources` file without what is of no use any more: closed sources and earlier runs.

    The source of the highest number stays, also closed, so that no number is given again.
    """
    last = max(journal.rows, default=-1)
    entries: list[Entry] = [Run(run=journal.runs, at="")] if journal.runs else []
    for source, rows in sorted(journal.rows.items(), key=lambda item: journal.placed[item[0]]):
        if source in journal.closed and source != last:
            continue
        entries += rows
        entries += (Cut(source=source, offset=cut) for cut in journal.cuts.get(source, ()))
    if last in journal.closed:
        entries.append(Closed(source=last, end=journal.closed[last]))
    return b"".join((format_journal_head(journal.stream), *map(format_entry, entries)))


def parse_journal(data: bytes) -> Journal:
    """All of a `sources` file. A last line without its newline was torn, so it was never used.

    Raises:
        ValueError: a line that may have been used can't be read, so numbers could be given twice.
    """
    whole, newline, torn = data.rpartition(b"\n")
    if not newline:
        raise ValueError("the sources journal has no whole line")
    lines = whole.split(b"\n")
    head = parse_line(lines[0])
    if head.get("type") != "journal" or head.get("version") != VERSION:
        raise ValueError("the sources journal does not start with a head of this version")
    rows: dict[int, list[SourceRow]] = {}
    cuts: dict[int, list[int]] = {}
    closed: dict[int, int] = {}
    runs = 0
    placed: dict[int, int] = {}
    for number, line in enumerate(lines[1:]):
        entry = _parse_entry(line)
        match entry:
            case SourceRow():
                if entry.is_copy or entry.source not in rows:
                    placed[entry.source] = number
                rows.setdefault(entry.source, []).append(entry)
            case Cut():
                cuts.setdefault(entry.source, []).append(entry.offset)
            case Closed():
                closed[entry.source] = entry.end
            case Run():
                runs = max(runs, entry.run)
    return Journal(
        stream=str(head.get("stream", "")),
        rows=rows,
        placed=placed,
        cuts={source: sorted(set(offsets)) for source, offsets in cuts.items()},
        closed=closed,
        runs=runs,
        # a torn row's number is not given again, even where only its newline was lost
        next_source=max(rows, default=-1) + (2 if torn else 1),
        valid_bytes=len(whole) + 1,
    )


def _parse_entry(line: bytes) -> Entry:
    value = parse_line(line)
    entry_type = _ENTRY_TYPES.get(str(value.get("type")))
    if entry_type is None:
        raise ValueError(f"the sources journal has a line of unknown type {value.get('type')!r}")
    return entry_type(**_fields(value, entry_type))


def format_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The `checkpoint` file."""
    sources = {str(source): asdict(progress) for source, progress in checkpoint.sources.items()}
    return format_line({"version": VERSION, **asdict(checkpoint), "sources": sources})


def parse_checkpoint(data: bytes) -> Checkpoint:
    """The value of a `checkpoint` file; ValueError: torn, altered or of another version."""
    value = parse_line(data)
    sources = value.get("sources")
    if not isinstance(sources, dict):
        raise ValueError("the checkpoint names no sources")  # noqa: TRY004 - one error for bad bytes
    known = _fields({**value, "sources": None}, Checkpoint)
    known["sources"] = {
        int(source): Progress(**_fields({"version": VERSION, **progress}, Progress))
        for source, progress in sources.items()
    }
    return Checkpoint(**known)


def format_dead_letter(letter: DeadLetter) -> bytes:
    """One line of `dead-letters.jsonl`: plain JSON, since people read it."""
    value = {**asdict(letter), "item": base64.b64encode(letter.item).decode()}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def parse_dead_letter(line: bytes) -> DeadLetter:
    """One line of `dead-letters.jsonl`; ValueError: torn or altered."""
    try:
        value = json.loads(line)
        return DeadLetter(
            at=str(value["at"]),
            reason=str(value["reason"]),
            index=str(value["index"]),
            id=str(value["id"]),
            item=base64.b64decode(value["item"], validate=True),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a dead letter lacks {error}") from error


def _fields(value: Mapping[str, Any], wanted: type) -> dict[str, Any]:
    """The members of `value` that `wanted` has, their types checked; ValueError: one is wrong."""
    if value.get("version", VERSION) != VERSION:
        raise ValueError(f"written by version {value.get('version')!r}, this one reads {VERSION}")
    found = {}
    for name, annotation in wanted.__annotations__.items():
        if name not in value:
            continue
        item = value[name]
        kind = {"int": int, "str": str, "bool": bool}.get(annotation)
        if kind is not None and type(item) is not kind:
            raise ValueError(f"{name} is {item!r}, not {annotation}")
        if kind is int and item < 0:
            raise ValueError(f"{name} is {item}, below zero")
        found[name] = item
    try:
        wanted(**found)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return found
