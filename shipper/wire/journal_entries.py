"""A journald entry as one line of canonical JSON, and what such a line says.

In: an entry's fields as the journal gives them, and its address. Out: one line, the same each time
it is read, whichever file the entry stands in by then; and the line taken apart. Pure. It must
never let the order in which a journal happens to hold its fields show in the line.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shipper.wire.shapes import Shaped, escape_message

VALUE_LIMIT_BYTES: Final = 256 << 10
"""What is kept of one value: a field may hold a core dump."""
LINE_LIMIT_BYTES: Final = 1 << 20
"""What all values of an entry take in its line, about; later ones are cut, down to nothing."""
_ESCAPED_BYTES: Final = 6
"""What JSON makes of one byte, at most."""

SEQUENCE: Final = "__SEQNUM"
CURSOR: Final = "__CURSOR"
TIME: Final = "__REALTIME_TIMESTAMP"
_MESSAGE: Final = "MESSAGE"
_MESSAGE_KEY: Final = '"MESSAGE":'
_NANOS_PER_MICRO: Final = 1000
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_LEVELS: Final = ("critical", "critical", "critical", "error", "warn", "notice", "info", "debug")
"""By PRIORITY."""
_SERVICE: Final = ".service"

_TEXTS: Final = {
    "_COMM": "process.name",
    "_EXE": "process.executable",
    "_CMDLINE": "process.command_line",
    "_UID": "user.id",
    "_GID": "user.group.id",
    "SYSLOG_IDENTIFIER": "log.syslog.appname",
    "SYSLOG_PID": "log.syslog.procid",
    "CONTAINER_ID_FULL": "container.id",
    "CONTAINER_NAME": "container.name",
}
_NUMBERS: Final = {
    "_PID": "process.pid",
    "TID": "process.thread.id",
    "PRIORITY": "log.syslog.severity.code",
    "SYSLOG_FACILITY": "log.syslog.facility.code",
}
_NUMBER_DIGITS: Final = 10


def build_line(
    values: Iterable[bytes], *, cursor: str, sequence: int, realtime_micros: int
) -> bytes:
    """The entry's line. `values` are the journal's own, `NAME=bytes`, in any order.

    A value that is UTF-8 is a text, another one is `{"base64":…}`; of one that is too long the
    beginning is kept and `"cut":true` said. Several values of a name are a list, sorted.
    """
    by_name: dict[str, set[bytes]] = {}
    for value in values:
        raw_name, equals, content = value.partition(b"=")
        if equals:
            by_name.setdefault(raw_name.decode("utf-8", "backslashreplace"), set()).add(content)
    room = LINE_LIMIT_BYTES
    entry: dict[str, bytes] = {}
    # MESSAGE comes first where there is not room for all
    for name in sorted(by_name, key=lambda name: (name != _MESSAGE, name)):
        texts = []
        for content in sorted(by_name[name]):
            text = _render_value(content, min(room, VALUE_LIMIT_BYTES))
            if len(text) > room:
                text = _render_value(content, room // _ESCAPED_BYTES)
            room = max(0, room - len(text))
            texts.append(text)
        entry[name] = texts[0] if len(texts) == 1 else b"[%b]" % b",".join(texts)
    entry[CURSOR] = _render(cursor)
    entry[SEQUENCE] = b'"%d"' % sequence  # a text, as journalctl has it
    entry[TIME] = b'"%d"' % realtime_micros
    return b"{%b}\n" % b",".join(
        [b"%b:%b" % (_render(name), entry[name]) for name in sorted(entry)]
    )


def shape(record: bytes) -> Shaped | None:
    """Take an entry's line apart; None: it is none."""
    try:
        text = record.decode()
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not entry.keys() >= {CURSOR, SEQUENCE, TIME}:
        return None
    message, before, after = _find_message(text, entry.get(_MESSAGE))
    is_whole = before + escape_message(message, "json") + after == text
    return Shaped(
        message=message,
        before=before if is_whole else "",
        after=after if is_whole else "",
        escape="json",
        is_whole=is_whole,
        time_nanos=_find_time(entry),
        fields=_find_fields(entry),
    )


def _render(value: object) -> bytes:
    return _ENCODE(value).encode()


def _render_value(content: bytes, limit_bytes: int) -> bytes:
    """One value; of a longer one its first `limit_bytes` bytes, of a text whole characters."""
    is_cut = len(content) > limit_bytes
    kept = content[:limit_bytes]
    try:
        text = kept.decode()
    except UnicodeDecodeError as error:
        if not is_cut or len(kept) - error.start > 3:  # noqa: PLR2004 - a character's longest stump
            name, text = "base64", base64.b64encode(kept).decode()
            return _render({name: text, "cut": True} if is_cut else {name: text})
        text = kept[: error.start].decode()
    return _render({"cut": True, "text": text} if is_cut else text)


def _find_message(text: str, message: object) -> tuple[str, str, str]:
    """The message, and the line before and after it.

    In JSON without spaces `"MESSAGE":` stands only where a key does: within a text each quote has
    a backslash before it. Of several messages it is the first.
    """
    opening = '"'
    if isinstance(message, list) and message:
        message, opening = message[0], f"[{opening}"
    if isinstance(message, dict):
        if "text" not in message:
            return _decode(message.get("base64")), "", ""
        message, opening = message["text"], f'{opening[:-1]}{{"cut":true,"text":"'
    if not isinstance(message, str):
        return "", text, ""
    start = text.find(f"{_MESSAGE_KEY}{opening}") + len(_MESSAGE_KEY) + len(opening)
    end = start + len(escape_message(message, "json"))
    return message, text[:start], text[end:]


def _decode(encoded: object) -> str:
    try:
        return base64.b64decode(str(encoded), validate=True).decode("utf-8", "replace")
    except ValueError:
        return ""


def _find_time(entry: Mapping[str, Any]) -> int | None:
    """When it was said, as the sender has it; else when journald received it."""
    for name in ("_SOURCE_REALTIME_TIMESTAMP", TIME):
        micros = _number(entry.get(name), digits=19)
        if micros is not None and 0 < micros * _NANOS_PER_MICRO < 2**63:
            return micros * _NANOS_PER_MICRO
    return None


def _find_fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """ECS names for what has one, and `fields` with everything but the message."""
    found: dict[str, Any] = {
        "fields": {name: value for name, value in entry.items() if name != _MESSAGE}
    }
    for name, field in _TEXTS.items():
        if isinstance(entry.get(name), str):
            found[field] = entry[name]
    for name, field in _NUMBERS.items():
        number = _number(entry.get(name), digits=_NUMBER_DIGITS)
        if number is not None:
            found[field] = number
    severity = found.get("log.syslog.severity.code", len(_LEVELS))
    if severity < len(_LEVELS):
        found["log.level"] = _LEVELS[severity]
        if "log.syslog.facility.code" in found:
            found["log.syslog.priority"] = 8 * found["log.syslog.facility.code"] + severity
    unit = entry.get("_SYSTEMD_UNIT")
    if isinstance(unit, str) and unit.endswith(_SERVICE):
        found["service.name"] = unit.removesuffix(_SERVICE)
    elif isinstance(entry.get("SYSLOG_IDENTIFIER"), str):
        found["service.name"] = entry["SYSLOG_IDENTIFIER"]
    return found


def _number(value: object, *, digits: int) -> int | None:
    """A number as the journal has it: decimal, as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= digits:
        return int(value)
    return None
