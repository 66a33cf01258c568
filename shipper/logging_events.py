"""What a record of Python's `logging` says, as an event under ECS's names.

In: a log record. Out: a dictionary that JSON and MessagePack can carry, and its time. It must never
raise for what an application put into a record: what can't be told is told to be so.
"""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Mapping
from typing import Any, Final

_DEPTH_LIMIT: Final = 8
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "created_ns"}


def build_event(record: logging.LogRecord, message: str) -> dict[str, Any]:
    """A record under ECS's names, as JSON can carry it."""
    event: dict[str, Any] = {
        "message": _text(message),
        "log.level": record.levelname.lower(),
        "log.logger": record.name,
        "log.origin.file.name": _text(record.filename),
        "log.origin.file.line": record.lineno,
        "log.origin.function": _text(record.funcName or ""),
        "process.pid": record.process,
        "process.thread.name": _text(record.threadName or ""),
    }
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, trace = record.exc_info
        event["error.type"] = f"{kind.__module__}.{kind.__qualname__}"
        event["error.message"] = _safe_str(error)
        event["error.stack_trace"] = _text("".join(traceback.format_exception(kind, error, trace)))
    elif record.exc_text:
        event["error.stack_trace"] = _text(record.exc_text)
    if record.stack_info:
        event["log.origin.stack_trace"] = _text(record.stack_info)
    for key, value in vars(record).items():
        if key not in _STANDARD:
            name = _text(key)
            event[f"extra.{name}" if name in event else name] = _jsonable(value, _DEPTH_LIMIT)
    return event


def created_nanos(record: logging.LogRecord) -> int:
    """When it was made, in nanoseconds since 1970."""
    nanos: int | None = getattr(record, "created_ns", None)
    if nanos is not None:
        return nanos
    seconds = math.floor(record.created)  # apart: together they have more digits than a float
    return seconds * 10**9 + round((record.created - seconds) * 1e9)


def tell_message(record: logging.LogRecord) -> str:
    """What it says; words that do not fit their arguments are kept side by side."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - an argument's own __str__ may raise anything
        return f"{_safe_str(record.msg)} % {_safe_str(record.args)}"


def _jsonable(value: Any, depth: int) -> Any:
    """A value as JSON and MessagePack have it; what is neither is told in words."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -(1 << 63) <= value < 1 << 64 else _safe_str(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth > 0 and isinstance(value, Mapping):
        return {_safe_str(key): _jsonable(item, depth - 1) for key, item in value.items()}
    if depth > 0 and isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item, depth - 1) for item in value]
    return _safe_str(value)


def _safe_str(value: Any) -> str:
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8", "backslashreplace")
        return _text(str(value))
    except Exception:  # noqa: BLE001 - a value's own __str__ may raise anything
        return f"<a {type(value).__name__} that can't be told>"


def _text(text: str) -> str:
    """Text that UTF-8 can carry: the rest is written as an escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
