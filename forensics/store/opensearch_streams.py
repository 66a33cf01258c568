"""One row per (instance, stream), as aggregations over logs and vitals: bodies and their answers.

In: the instances asked for. Out: a body per page of streams, and `StreamSummary` values. It must
never take a time from `min` or `max`, whose doubles lose nanoseconds: documents have it exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from forensics.store.documents import read_fields
from forensics.store.opensearch_query import Body, build_search
from forensics.store.protocol import StreamSummary
from shipper.wire.times import format_time

STREAMS_PER_PAGE: Final = 1000
"""Fewer pages mean fewer passes over the indices; each stream brings three documents with it."""

_LAST_OFFSET: Final = {"log.offset": {"order": "desc", "unmapped_type": "long"}}
_WORD_ORDERS: Final = {
    "reading": ("event.created", "@timestamp"),
    "line": ("@timestamp", "event.created"),
}
"""Two candidates for the last word: read last, and written last by its own clock."""

_NO_TIME_NANOS: Final = 2**63 - 1
"""What OpenSearch sorts a document by that lacks the field, ascending; descending it is below 0."""


def build_streams(instance_ids: frozenset[str], after: Mapping[str, str] | None) -> Body:
    """The search for the next page of streams."""
    filters: list[Body] = [{"exists": {"field": "afterimage.stream"}}]
    if instance_ids:
        filters.append({"terms": {"cloud.instance.id": sorted(instance_ids)}})
    body = build_search(filters, size=0)
    composite: Body = {
        "size": STREAMS_PER_PAGE,
        "sources": [
            {"instance": {"terms": {"field": "cloud.instance.id"}}},
            {"stream": {"terms": {"field": "afterimage.stream"}}},
        ],
    }
    if after is not None:
        composite["after"] = dict(after)
    body["aggs"] = {
        "streams": {
            "composite": composite,
            "aggs": {
                "oldest": _top([_sort("event.created", "asc")], []),
                "newest": _top([_sort("event.created", "desc")], []),
                "logs": {
                    "filter": {"prefix": {"_index": "afterimage-logs-"}},
                    "aggs": {
                        f"word_by_{name}": _top(
                            [*(_sort(field, "desc") for field in order), _LAST_OFFSET],
                            ["@timestamp", "event.created", "message"],
                        )
                        for name, order in _WORD_ORDERS.items()
                    },
                },
                "birth": _newest_action("birth"),
                "closing": _newest_action("closing"),
            },
        }
    }
    return body


def _newest_action(action: str) -> Body:
    return {
        "filter": {"term": {"event.action": action}},
        "aggs": {"hit": _top([_sort("@timestamp", "desc")], ["*"])},
    }


def _top(sort: list[Body], fields: list[str]) -> Body:
    # Content is read only where it is wanted: it costs more than all the rest.
    return {"top_hits": {"size": 1, "sort": sort, "_source": fields or False}}


def _sort(field: str, order: str) -> Body:
    time = {"order": order, "unmapped_type": "date_nanos", "numeric_type": "date_nanos"}
    return {field: time}


def parse_summary(bucket: Mapping[str, Any]) -> StreamSummary:
    """One stream of a page."""
    words = [_fields(bucket["logs"][f"word_by_{name}"]) for name in _WORD_ORDERS]
    word = max(words, key=_word_time)
    birth = _fields(bucket["birth"]["hit"])
    closing = _fields(bucket["closing"]["hit"])
    if closing and closing.get("@timestamp", "") <= birth.get("@timestamp", ""):
        closing = {}
    return StreamSummary(
        instance_id=str(bucket["key"]["instance"]),
        stream=str(bucket["key"]["stream"]),
        first_at=_sort_time(bucket["oldest"]),
        last_at=_sort_time(bucket["newest"]),
        last_word_at=str(word.get("@timestamp", "")),
        last_word=str(word.get("message", "")),
        records=int(bucket["logs"]["doc_count"]),
        birth=birth,
        closing=closing,
    )


def _word_time(word: Mapping[str, Any]) -> str:
    """When a line was written, as far as its own clock and the shipper's tell."""
    times = (str(word.get("@timestamp", "")), str(word.get("event.created", "")))
    return min(times)


def _fields(top: Mapping[str, Any]) -> dict[str, Any]:
    hits = top["hits"]["hits"]
    return read_fields(hits[0]["_source"]) if hits else {}


def _sort_time(top: Mapping[str, Any]) -> str:
    """The time that a hit was sorted by; empty where no document has one."""
    nanos = top["hits"]["hits"][0]["sort"][0]
    return format_time(nanos) if 0 <= nanos < _NO_TIME_NANOS else ""
