"""shipper.metrics: what Prometheus' own parsers read is what the statistics say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from shipper.metrics import render_metrics, render_prometheus
from shipper.statistics import (
    Counters,
    DeliveryStatistics,
    ForwardStatistics,
    GapStatistics,
    SourceStatistics,
    Statistics,
    Usage,
)

P = "afterimage_shipper"

COUNTERS = Counters(
    read_bytes=100, acked_bytes=60, pending_bytes=30, dropped_bytes=7, dead_lettered_bytes=3
)


def source(number: int, path: str, *, pending: int = 0, **values: Any) -> SourceStatistics:
    """A source that has read what is pending, and as much again."""
    counters = Counters(read_bytes=2 * pending, acked_bytes=pending, pending_bytes=pending)
    return SourceStatistics(
        source=number,
        path=path,
        size=3 * pending,
        read=2 * pending,
        acked=pending,
        counters=counters,
        **values,
    )


STATISTICS = Statistics(
    stream="0123456789abcdef0123",
    run=2,
    pid=7,
    at="2026-01-03T14:05:12.000000000Z",
    started_at="2026-01-03T14:00:00.000000000Z",
    state="running",
    output="retrying",
    last_answer_at="2026-01-03T14:05:11.500000000Z",
    last_error="refused",
    counters=COUNTERS,
    sources=(source(0, "/var/log/a.log", pending=10),),
    unreadable={"/b": "no"},
    failing_since="2026-01-03T14:05:12.000000000Z",
    gaps=GapStatistics(gaps=4, known_bytes=30, truncated_gaps=1, truncated_bytes_known=9),
    delivery=DeliveryStatistics(requests=8, failed_requests=2, body_bytes=900),
    usage=Usage(
        in_flight_bytes=30,
        in_flight_limit_bytes=16 << 20,
        spool_bytes=5,
        spool_limit_bytes=6,
        held_bytes=1,
        state_disk_free_bytes=77,
    ),
    dead_letters_left=5,
    forward=ForwardStatistics(connections_open=2, connections=3, events=4),
)


def parse_openmetrics(text: str) -> list[Any]:
    """The families that a scraper reads in the newer format."""
    families = openmetrics_parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return list(families)


def parse_prometheus(text: str) -> list[Any]:
    """The families that a scraper reads in the older format."""
    families = parser.text_string_to_metric_families(text)
    return list(families)


def samples_of(families: Iterable[Any]) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Samples by name, as a parser found them."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


@pytest.mark.parametrize("form", ["openmetrics", "prometheus"])
def test_the_numbers_are_those_of_the_statistics(form: str) -> None:
    """In both formats, each under one name with its unit; counters end in `_total`."""
    text = render_metrics(STATISTICS)
    if form == "openmetrics":
        samples = samples_of(parse_openmetrics(text))
    else:
        samples = samples_of(parse_prometheus(render_prometheus(text)))
    expected = {
        "read_bytes_total": 100,
        "acked_bytes_total": 60,
        "pending_bytes": 30,
        "dropped_bytes_total": 7,
        "dead_lettered_bytes_total": 3,
        "output_up": 0,
        "last_answer_time_seconds": 1767449111.5,
        "failing_since_time_seconds": 1767449112,
        "unreadable_paths": 1,
        "dead_letters_left": 5,
        "state_disk_free_bytes": 77,
        "gaps_total": 4,
        "gap_bytes_total": 30,
        "truncated_gaps_total": 1,
        "truncated_bytes_total": 9,
        "requests_total": 8,
        "failed_requests_total": 2,
        "body_bytes_total": 900,
        "in_flight_bytes": 30,
        "in_flight_limit_bytes": 16 << 20,
        "spool_bytes": 5,
        "spool_limit_bytes": 6,
        "held_bytes": 1,
        "forward_open_connections": 2,
        "forward_connections_total": 3,
        "forward_events_total": 4,
        "open_sources": 1,
        "unlisted_sources": 0,
    }
    assert {f"{P}_{name}": [({}, value)] for name, value in expected.items()} == {
        name: values for name, values in samples.items() if name.removeprefix(f"{P}_") in expected
    }
    labels = {"source": "0", "path": "/var/log/a.log", "kind": "file"}
    for name, value in {
        "source_read_bytes_total": 20,
        "source_acked_bytes_total": 10,
        "source_pending_bytes": 10,
        "source_unread_bytes": 10,
    }.items():
        assert [(labels, value)] == samples[f"{P}_{name}"]
    info = {"stream": "0123456789abcdef0123", "run": "2"}
    assert [(info, 1)] == samples[f"{P}_stream_info"]
    assert f"{P}_held_limit_bytes" not in samples  # not known


def test_the_types_are_told_in_both_formats() -> None:
    """A scraper that treats a counter as a gauge computes no rates."""
    text = render_metrics(STATISTICS)
    types = {family.name: family.type for family in parse_openmetrics(text)}
    assert ("counter", "gauge", "info") == (
        types[f"{P}_read_bytes"], types[f"{P}_pending_bytes"], types[f"{P}_stream"],
    )  # fmt: skip
    older = {family.name: family.type for family in parse_prometheus(render_prometheus(text))}
    # this parser strips `_total` of counters
    assert ("counter", "gauge", "gauge") == (
        older[f"{P}_read_bytes"], older[f"{P}_pending_bytes"], older[f"{P}_stream_info"],
    )  # fmt: skip
    assert "unknown" not in {*types.values(), *older.values()}


def test_every_family_has_its_unit_and_meaning() -> None:
    """No metric without a text, and bytes and seconds are declared as units."""
    for family in parse_openmetrics(render_metrics(STATISTICS)):
        assert family.documentation.endswith(".")
        last = family.name.rpartition("_")[2]
        assert (last if last in {"bytes", "seconds"} else "") == family.unit


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_path_is_a_label(path: str, name: str) -> None:
    """Quotes, backslashes, line feeds and control characters break neither format nor terminal."""
    statistics = replace(
        STATISTICS, sources=(source(0, path, pending=1), source(1, "/x", name=name, pending=1))
    )
    text = render_metrics(statistics)
    assert all(line.isprintable() for line in text.split("\n"))
    for samples in (
        samples_of(parse_openmetrics(text)),
        samples_of(parse_prometheus(render_prometheus(text))),
    ):
        assert 2 == len(samples[f"{P}_source_pending_bytes"])
    if path.isprintable():
        labels, _ = samples_of(parse_openmetrics(text))[f"{P}_source_pending_bytes"][0]
        assert path == labels["path"]


def test_a_thousand_files_have_no_thousand_series() -> None:
    """Those that are furthest behind are shown, and the sum of the others."""
    sources = tuple(source(n, f"/var/log/{n}.log", pending=n) for n in range(1000))
    text = render_metrics(replace(STATISTICS, sources=sources), sources_limit=10)
    samples = samples_of(parse_openmetrics(text))
    assert [str(n) for n in range(990, 1000)] == [
        labels["source"] for labels, _ in samples[f"{P}_source_pending_bytes"]
    ]
    assert [({}, 990)] == samples[f"{P}_unlisted_sources"]
    assert [({}, sum(range(990)))] == samples[f"{P}_unlisted_pending_bytes"]


def test_a_journals_sequence_numbers_are_not_taken_for_bytes() -> None:
    """Its bytes are counted, its distance is not told in bytes."""
    journal = source(3, "", kind="journald", name="journald", pending=5)
    samples = samples_of(
        parse_openmetrics(render_metrics(replace(STATISTICS, sources=(journal,), forward=None)))
    )
    assert [5] == [value for _, value in samples[f"{P}_source_pending_bytes"]]
    assert f"{P}_source_unread_bytes" not in samples
    assert f"{P}_forward_connections_total" not in samples


def test_a_shipper_without_sources_has_metrics() -> None:
    """Right after its start, too."""
    samples = samples_of(
        parse_openmetrics(render_metrics(replace(STATISTICS, sources=(), last_answer_at="")))
    )
    assert [({}, 0)] == samples[f"{P}_open_sources"]
    assert [({}, 0)] == samples[f"{P}_last_answer_time_seconds"]
