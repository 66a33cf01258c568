"""A shipper's status as text: what is behind, why, since when, and what to do about it.

In: a `Status`. Out: lines for a person. It must never trust the document: a member that is missing
or odd is left out, and the rest still shown.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shipper.narration import printable
from shipper.state_disk import describe_full, is_full
from shipper.status import Status
from shipper.wire.times import NANOS_PER_SECOND, parse_time

_SHOWN_SOURCES: Final = 20
_NEARLY_FULL: Final = 0.9
_MINUTE: Final = 60
_HOUR: Final = 3600
_USAGES: Final = {"in_flight": "in flight", "spool": "spool", "held": "deleted and held"}
_SETTLED: Final = {"acked": "stored", "dropped": "dropped", "dead_lettered": "dead-lettered"}
"""What a byte that the shipper is done with may have become: counters, and their words."""


def render_text(status: Status) -> str:
    """The verdict; whether the centre takes it; what is behind, since when; and what to do."""
    values = status.values
    lines = [
        status.verdict,
        f"stream {values.get('stream')}, run {values.get('run')}, since {values.get('started_at')}",
        _output_line(values),
        _bytes_line(values),
        *_letter_lines(status),
        *_usage_lines(values),
        *_source_lines(values),
        *_unreadable_lines(values),
        *_disk_lines(status),
        *(f"→ {advice}" for advice in find_advice(status)),
    ]
    return "".join(f"{printable(line)}\n" for line in lines)


def _output_line(values: Mapping[str, Any]) -> str:
    since = values.get("failing_since")
    return (
        f"output {values.get('output')}"
        + (f" since {since}{_age(since, values.get('at'))}" if since else "")
        + f", last answer {values.get('last_answer_at') or 'none yet'}"
        + _last_error(values)
    )


def _last_error(values: Mapping[str, Any]) -> str:
    """What is over is told as such."""
    error, at = _one_line(values.get("last_error") or ""), values.get("last_error_at")
    if not error:
        return ""
    is_past = values.get("output") == "ok" and not values.get("state_disk_full_since")
    if not is_past or not at:
        return f", last error: {error}"
    ago = _duration(at, values.get("at"))
    return f", last error {f'{ago} ago' if ago else f'at {at}'}: {error}"


def _letter_lines(status: Status) -> Iterator[str]:
    counters = _table(status.values.get("counters"))
    in_all, left = _number(counters.get("dead_lettered_bytes")), status.dead_letters_left
    if in_all or left:
        letters = "letter" if left == 1 else "letters"
        yield f"dead letters: {in_all:,} bytes dead-lettered in all; {left:,} {letters} left"


def _disk_lines(status: Status) -> Iterator[str]:
    since, at = status.values.get("state_disk_full_since"), status.values.get("at")
    if since or is_full(status.free_bytes):
        told = describe_full(status.path.parent, status.free_bytes)
        yield told + (f"; since {since}{_age(since, at)}" if since else "")


def _bytes_line(values: Mapping[str, Any]) -> str:
    counters = _table(values.get("counters"))
    read, pending = (_count(counters, name) for name in ("read", "pending"))
    settled = " + ".join(f"{word} {_count(counters, name)}" for name, word in _SETTLED.items())
    return f"bytes: read {read} = {settled} + pending {pending}"


def _usage_lines(values: Mapping[str, Any]) -> Iterator[str]:
    usage = _table(values.get("usage"))
    parts = [
        f"{name} {_size(used)}" + (f" of {_size(limit)}" if limit else "")
        for key, name in _USAGES.items()
        if (used := _number(usage.get(f"{key}_bytes")))
        for limit in (_number(usage.get(f"{key}_limit_bytes")),)
    ]
    if parts:
        yield f"takes: {', '.join(parts)}"
    gaps = _table(values.get("gaps"))
    if _number(gaps.get("gaps")):
        truncated = _number(gaps.get("truncated_gaps"))
        yield (
            f"gaps in this run: {gaps.get('gaps')}, {_size(_number(gaps.get('known_bytes')))} known"
            + (f", {truncated} by truncation" if truncated else "")
        )
    forward = _table(values.get("forward"))
    if forward:
        yield (
            f"forward: {forward.get('connections_open')} connections open,"
            f" {forward.get('events')} events on disk, {forward.get('refused')} refused"
        )


def _source_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """The sources, the one that is furthest behind first."""
    listed = values.get("sources")
    sources = [_table(one) for one in (listed if isinstance(listed, list) else [])]
    sources.sort(key=_lag, reverse=True)
    for one in sources[:_SHOWN_SOURCES]:
        yield f"  {_source_line(one, values.get('at'))}"
    left = sources[_SHOWN_SOURCES:]
    if left:
        behind = sum(1 for one in left if _lag(one))
        yield f"  and {len(left)} more, {behind} of them behind (all of them: --json)"


def _source_line(source: Mapping[str, Any], at: object) -> str:
    counters = _table(source.get("counters"))
    line = f"{source.get('name') or source.get('path')}: {_settled(source, counters)}"
    unread = _number(source.get("size")) - _number(source.get("read"))
    if unread > 0:
        line += f", {unread:,} unread"
    if _number(counters.get("pending_bytes")):
        line += f", {_count(counters, 'pending')} pending"
    since = source.get("pending_since")
    if since:
        line += f", the oldest read at {since}{_age(since, at)}"
    line += f" (source {source.get('source')})"
    return line + (f"  {_one_line(source['error'])}" if source.get("error") else "")


def _settled(source: Mapping[str, Any], counters: Mapping[str, Any]) -> str:
    """How much of the source is done with, and what became of it.

    A file's bytes are counted; a journal is followed in entries, and only its bytes are counted.
    """
    became = [
        f"{_count(counters, name)} {word}"
        for name, word in _SETTLED.items()
        if _number(counters.get(f"{name}_bytes")) or name == "acked"
    ]
    size = f"{_number(source.get('size')):,}"
    if source.get("kind") == "journald":
        settled = f"{_number(source.get('acked')):,}"
        return f"settled {settled} of {size} entries, in bytes: {', '.join(became)}"
    settled_bytes = sum(_number(counters.get(f"{name}_bytes")) for name in _SETTLED)
    return f"settled {settled_bytes:,} of {size} bytes: {', '.join(became)}"


def _unreadable_lines(values: Mapping[str, Any]) -> Iterator[str]:
    for path, why in _table(values.get("unreadable")).items():
        how = "can't be read: " if str(path).startswith("/") else ""
        yield f"  {path}: {how}{_one_line(why)}"


def find_advice(status: Status) -> Iterator[str]:
    """What to do about what is wrong; nothing where nothing is."""
    values = status.values
    is_mute = status.process_lives and is_full(status.free_bytes)
    if not status.is_running and not is_mute:
        yield "nothing is lost while the files remain: start it, it goes on where it stood"
        yield "journalctl -u afterimage-shipper -n 50 has its last words"
    elif values.get("output") == "retrying":
        yield "the centre takes nothing; nothing is lost while files and state folder remain"
        yield (
            "`shipper check -c shipper.toml`, with the file that it runs with, asks each of its"
            " addresses and says what they answer"
        )
    if values.get("state_disk_full_since") or is_full(status.free_bytes):
        yield (
            f"make room on the file system of {status.path.parent}: what waits goes on by itself;"
            " known files are shipped meanwhile"
        )
    if status.dead_letters_left:
        yield (
            "the centre refused some records for good: `shipper dead-letters list` says why,"
            " `shipper dead-letters redrive` sends them again"
        )
    usage = _table(values.get("usage"))
    if _is_nearly_full(usage, "spool"):
        yield "the spool is full, senders wait: it empties as the centre takes records (spool_mib)"
    if _is_nearly_full(usage, "held"):
        yield "deleted files fill the disk until they are shipped: the oldest go next, with a gap"
    if _number(_table(values.get("gaps")).get("truncated_gaps")):
        yield (
            "a file was truncated before it was read to its end (logrotate's copytruncate does"
            " that): let logrotate use `create`"
        )
    refused = os.strerror(errno.EACCES)
    if any(refused in str(why) for why in _table(values.get("unreadable")).values()):
        yield "run the shipper as a user that may read these files, as the unit from `bake` does"


def _is_nearly_full(usage: Mapping[str, Any], name: str) -> bool:
    limit = _number(usage.get(f"{name}_limit_bytes"))
    return limit > 0 and _number(usage.get(f"{name}_bytes")) >= limit * _NEARLY_FULL


def _lag(source: Mapping[str, Any]) -> int:
    return max(0, _number(source.get("size")) - _number(source.get("acked")))


def _age(since: object, at: object) -> str:
    duration = _duration(since, at)
    return f" ({duration})" if duration else ""


def _duration(since: object, at: object) -> str:
    """How long before `at` that was, for a person; empty: one of the two is no time."""
    try:
        seconds = (parse_time(str(at)) - parse_time(str(since))) // NANOS_PER_SECOND
    except ValueError:
        return ""
    if seconds < 2 * _MINUTE:
        return f"{seconds} s"
    if seconds < 2 * _HOUR:
        return f"{seconds // _MINUTE} min"
    return f"{seconds // _HOUR} h"


def _size(size_bytes: int) -> str:
    if size_bytes < 10 << 10:
        return "1 byte" if size_bytes == 1 else f"{size_bytes:,} bytes"
    if size_bytes < 1 << 20:
        return f"{size_bytes / (1 << 10):.1f} KiB"
    if size_bytes < 1 << 30:
        return f"{size_bytes / (1 << 20):.1f} MiB"
    return f"{size_bytes / (1 << 30):.1f} GiB"


def _count(counters: Mapping[str, Any], name: str) -> str:
    return f"{_number(counters.get(f'{name}_bytes')):,}"


def _one_line(text: object) -> str:
    """An error's text has its next step on a line of its own."""
    return " ".join(str(text).split())


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
