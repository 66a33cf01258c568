"""A Forward event as it stands in a spool: `{"time":…,"tag":…,"record":{…}}`, taken apart.

In: a line as `shipper.sources.forward.events` writes it. Out: its shape: the record's message, or,
where it has none, the record as JSON. Pure. It must never parse a line deeper than it is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from shipper.wire.levels import find_level
from shipper.wire.shapes import Shaped, escape_message, without_surrogates
from shipper.wire.structured import find_fields, is_shallow
from shipper.wire.wrapping import find_nanos

_HEAD: Final = '{"time":"'
_MESSAGE_KEYS: Final = ("message", "log", "msg", "MESSAGE")
_LEVEL_KEYS: Final = ("level", "log.level", "levelname", "severity")
_LEVEL_LIMIT: Final = 16
_PEER_FIELDS: Final = {"pid": "process.pid", "uid": "user.id", "gid": "user.group.id"}
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def shape(record: bytes) -> Shaped | None:
    """The event's shape; None: the line is none that this shipper wrote, or has no record."""
    try:
        text = record.decode()
        if not text.startswith(_HEAD) or not is_shallow(text):
            return None
        event = json.loads(text)
        values = event["record"]
    except (ValueError, KeyError, TypeError):
        return None
    body = _ENCODER.encode(values)
    if not isinstance(values, dict) or not text.endswith(f',"record":{body}}}\n'):
        return None
    start = len(text) - len(body) - len("}\n")
    message, at, end, is_text = _find_message(body, values)
    before, after = text[: start + at], text[start + end :]
    escaped = message if is_text else escape_message(message, "json")
    is_whole = before + escaped + after == text
    return Shaped(
        message=without_surrogates(message),
        before=before if is_whole else "",
        after=after if is_whole else "",
        escape="text" if is_text else "json",
        is_whole=is_whole,
        time_nanos=find_nanos(record, len(_HEAD)),
        fields=_find_fields(event, body),
    )


def _find_message(body: str, values: Mapping[str, Any]) -> tuple[str, int, int, bool]:
    """The message, where it stands in the record's JSON, and whether it is that JSON itself."""
    for key in _MESSAGE_KEYS:
        message = values.get(key)
        if isinstance(message, str):
            escaped = _ENCODER.encode(message)
            member = f'"{key}":{escaped}'
            # the same member further in says the same: which one is found makes no difference
            at = body.find(member) + len(member) - len(escaped) + 1
            return message, at, at + len(escaped) - 2, False
    return body, 0, len(body), True


def _find_fields(event: Mapping[str, Any], body: str) -> dict[str, Any]:
    found = find_fields(body)
    tag, peer, values = event.get("tag"), event.get("peer"), event["record"]
    if isinstance(tag, str) and tag:
        found["service.name"] = without_surrogates(tag)
    if isinstance(peer, dict):
        for key, name in _PEER_FIELDS.items():
            if isinstance(peer.get(key), int):
                found[name] = peer[key] if key == "pid" else str(peer[key])
    for key in _LEVEL_KEYS:
        said = values.get(key)
        if isinstance(said, str) and len(said) <= _LEVEL_LIMIT and said.isascii():
            level = find_level(b"level=" + said.lower().encode())
            if level:
                found["log.level"] = level
                break
    return found
