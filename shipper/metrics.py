"""The statistics as Prometheus text.

In: a `Statistics`. Out: OpenMetrics 1.0 text, or the older Prometheus format of the same. Pure. Its
length must never grow with the number of files: only the sources that are furthest behind have
series of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from shipper.narration import printable
from shipper.statistics import Counters, SourceStatistics, Statistics
from shipper.wire.times import NANOS_PER_SECOND, parse_time

SOURCES_LIMIT: Final = 100
"""How many sources have series of their own."""

OPENMETRICS_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX: Final = "afterimage_shipper"
_LABEL_LIMIT: Final = 256
_UNITS: Final = ("bytes", "seconds")
_SUFFIXES: Final = {"counter": "_total", "gauge": "", "info": "_info"}
_TYPE_LINE: Final = re.compile(r"^# TYPE (\S+) (\w+)$", re.MULTILINE)
_COMMENT: Final = re.compile(r"# (HELP|TYPE) (\S+) (.*)")

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """One metric, and its samples."""

    name: str
    """Without prefix, and without `_total`."""
    kind: Literal["counter", "gauge", "info"]
    meaning: str
    samples: Sequence[tuple[Labels, float]]


def render_metrics(statistics: Statistics, *, sources_limit: int = SOURCES_LIMIT) -> str:
    """All metrics, as OpenMetrics text."""
    families = [
        *_state_families(statistics),
        *_total_families(statistics),
        *_usage_families(statistics),
        *_forward_families(statistics),
        *_source_families(statistics, sources_limit),
    ]
    return "".join(map(_render_family, families)) + "# EOF\n"


def render_prometheus(openmetrics: str) -> str:
    """The same in Prometheus' text format 0.0.4, for scrapers that do not ask for OpenMetrics."""
    kinds = dict(_TYPE_LINE.findall(openmetrics))
    lines = []
    for line in openmetrics.splitlines():
        match = _COMMENT.fullmatch(line)
        if match:
            comment, name, rest = match.groups()
            kind = kinds[name]
            rest = "gauge" if (comment, kind) == ("TYPE", "info") else rest
            lines.append(f"# {comment} {name}{_SUFFIXES[kind]} {rest}\n")
        elif not line.startswith("#"):
            lines.append(f"{line}\n")
    return "".join(lines)


def _state_families(now: Statistics) -> Iterator[_Family]:
    yield _Family(
        name="stream",
        kind="info",
        meaning="This shipper's stream.",
        samples=[({"stream": now.stream, "run": str(now.run)}, 1)],
    )
    yield _gauge("start_time_seconds", "When this run began.", _seconds(now.started_at))
    yield _gauge("output_up", "Whether the centre took the last request.", now.output == "ok")
    yield _gauge(
        "last_answer_time_seconds",
        "When the centre last took something.",
        _seconds(now.last_answer_at),
    )
    yield _gauge(
        "failing_since_time_seconds",
        "Since when the centre takes nothing; 0: it does.",
        _seconds(now.failing_since),
    )
    yield _gauge("unreadable_paths", "Paths that can't be read.", len(now.unreadable))
    yield _gauge(
        "dead_letters_left",
        "Dead letters that are on this machine and were not sent again.",
        now.dead_letters_left,
    )


def _total_families(now: Statistics) -> Iterator[_Family]:
    yield from _counter_families("", "of the stream", [({}, now.counters)])
    gaps, delivery = now.gaps, now.delivery
    yield _counter("gaps", "Gaps that were declared in this run.", gaps.gaps)
    yield _counter("gap_bytes", "Bytes of those gaps whose size is known.", gaps.known_bytes)
    yield _counter("truncated_gaps", "Gaps that a truncation made.", gaps.truncated_gaps)
    yield _counter(
        "truncated_bytes", "Bytes of those whose size is known.", gaps.truncated_bytes_known
    )
    yield _counter("requests", "Requests to the centre in this run.", delivery.requests)
    yield _counter(
        "failed_requests",
        "Those after which something had to be sent again.",
        delivery.failed_requests,
    )
    yield _counter("body_bytes", "Compressed bytes of requests to the centre.", delivery.body_bytes)


def _usage_families(now: Statistics) -> Iterator[_Family]:
    usage = now.usage
    named = {
        "in_flight": (
            "read and not acknowledged",
            usage.in_flight_bytes,
            usage.in_flight_limit_bytes,
        ),
        "spool": ("in spools", usage.spool_bytes, usage.spool_limit_bytes),
        "held": ("of deleted files, held until shipped", usage.held_bytes, usage.held_limit_bytes),
    }
    if usage.state_disk_free_bytes is not None:
        yield _gauge(
            "state_disk_free_bytes",
            "Bytes that the state folder's file system has left.",
            usage.state_disk_free_bytes,
        )
    for name, (meaning, value, limit) in named.items():
        yield _gauge(f"{name}_bytes", f"Bytes {meaning}.", value)
        if limit:
            yield _gauge(f"{name}_limit_bytes", f"How many bytes may be {meaning}.", limit)


def _forward_families(now: Statistics) -> Iterator[_Family]:
    forward = now.forward
    if forward is None:
        return
    yield _gauge(
        "forward_open_connections", "Forward connections that are open.", forward.connections_open
    )
    counters = {
        "forward_connections": ("Forward connections.", forward.connections),
        "forward_events": ("Forward events that are on disk.", forward.events),
        "forward_received_bytes": ("Bytes from Forward clients.", forward.bytes_received),
        "forward_refused": ("Forward messages and connections refused.", forward.refused),
        "forward_duplicate_chunks": ("Forward chunks that came again.", forward.duplicates),
        "forward_cut_messages": ("Forward messages without an end.", forward.cut),
    }
    for name, (meaning, value) in counters.items():
        yield _counter(name, meaning, value)


def _source_families(now: Statistics, limit: int) -> Iterator[_Family]:
    """The series of the sources that are furthest behind, and the sum of the others."""
    by_lag = sorted(now.sources, key=lambda one: (-one.counters.pending_bytes, one.source))
    shown, others = sorted(by_lag[:limit], key=lambda one: one.source), by_lag[limit:]
    labelled = [(_labels(one), one.counters) for one in shown]
    if labelled:
        yield from _counter_families("source_", "of a source", labelled)
        yield _Family(
            name="source_unread_bytes",
            kind="gauge",
            meaning="Bytes of a source that were not read yet.",
            samples=[
                (_labels(one), max(0, one.size - one.read))
                for one in shown
                if one.kind != "journald"  # its offsets are not bytes
            ],
        )
    yield _gauge("open_sources", "Sources that are not closed.", len(now.sources))
    yield _gauge("unlisted_sources", "Those without series of their own.", len(others))
    yield _gauge(
        "unlisted_pending_bytes",
        "Pending bytes of sources without series of their own.",
        sum(one.counters.pending_bytes for one in others),
    )


def _counter_families(
    prefix: str, whose: str, counted: Sequence[tuple[Labels, Counters]]
) -> Iterator[_Family]:
    meanings = {
        "read": f"Bytes {whose} that were read: acked + pending + dropped + dead-lettered.",
        "acked": f"Bytes {whose} that the centre has stored.",
        "dropped": f"Bytes {whose} that a rule left out.",
        "dead_lettered": f"Bytes {whose} that the centre refused for good.",
    }
    for name, meaning in meanings.items():
        yield _Family(
            name=f"{prefix}{name}_bytes",
            kind="counter",
            meaning=meaning,
            samples=[(labels, getattr(one, f"{name}_bytes")) for labels, one in counted],
        )
    yield _Family(
        name=f"{prefix}pending_bytes",
        kind="gauge",
        meaning=f"Bytes {whose} that were read and are on their way.",
        samples=[(labels, one.pending_bytes) for labels, one in counted],
    )


def _labels(source: SourceStatistics) -> Labels:
    return {
        "source": str(source.source),
        "path": source.name or source.path,
        "kind": source.kind,
    }


def _gauge(name: str, meaning: str, value: float) -> _Family:
    return _Family(name=name, kind="gauge", meaning=meaning, samples=[({}, value)])


def _counter(name: str, meaning: str, value: float) -> _Family:
    return _Family(name=name, kind="counter", meaning=meaning, samples=[({}, value)])


def _seconds(time: str) -> float:
    """Seconds since 1970 of a 30-character time; 0: there is none."""
    return parse_time(time) / NANOS_PER_SECOND if time else 0


def _render_family(family: _Family) -> str:
    name = f"{_PREFIX}_{family.name}"
    lines = [f"# TYPE {name} {family.kind}\n"]
    unit = name.rpartition("_")[2]
    if unit in _UNITS:
        lines.append(f"# UNIT {name} {unit}\n")
    lines.append(f"# HELP {name} {_escape(family.meaning)}\n")
    suffix = _SUFFIXES[family.kind]
    lines += (
        f"{name}{suffix}{_render_labels(labels.items())} {_number(value)}\n"
        for labels, value in family.samples
    )
    return "".join(lines)


def _render_labels(labels: Iterable[tuple[str, str]]) -> str:
    # printable: a path is hostile to the terminal of whoever looks with curl
    text = ",".join(
        f'{name}="{_escape(printable(value)[:_LABEL_LIMIT])}"' for name, value in labels
    )
    return f"{{{text}}}" if text else ""


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
