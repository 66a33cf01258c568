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

STREAMS_PER_PAGE: Final = 1000
"""Fewer pages mean fewer passes over the indices; each stream brings five documents with it."""


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
    created = ["event.created"]
    words = ["@timestamp", "message"]
    body["aggs"] = {
        "streams": {
            "composite": composite,
            "aggs": {
                "oldest": _top([_sort("event.created", "asc")], created),
                "newest": _top([_sort("event.created", "desc")], created),
                "logs": {
                    "filter": {"prefix": {"_index": "afterimage-logs-"}},
                    "aggs": {
                        "word": _top(
                            [
                                _sort("event.created", "desc"),
                                _sort("log.offset", "desc", "long"),
                            ],
                            words,
                        )
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
        "aggs": {"hit": _top([_sort("@timestamp", "desc")], True)},  # noqa: FBT003 - the API's word
    }


def _top(sort: list[Body], source: list[str] | bool) -> Body:  # noqa: FBT001 - the API's word
    return {"top_hits": {"size": 1, "sort": sort, "_source": source}}


def _sort(field: str, order: str, unmapped_type: str = "date_nanos") -> Body:
    return {field: {"order": order, "unmapped_type": unmapped_type}}


def parse_summary(bucket: Mapping[str, Any]) -> StreamSummary:
    """One stream of a page."""
    word = _fields(bucket["logs"]["word"])
    birth = _fields(bucket["birth"]["hit"])
    closing = _fields(bucket["closing"]["hit"])
    if closing and closing.get("@timestamp", "") <= birth.get("@timestamp", ""):
        closing = {}
    return StreamSummary(
        instance_id=str(bucket["key"]["instance"]),
        stream=str(bucket["key"]["stream"]),
        first_at=str(_fields(bucket["oldest"]).get("event.created", "")),
        last_at=str(_fields(bucket["newest"]).get("event.created", "")),
        last_word_at=str(word.get("@timestamp", "")),
        last_word=str(word.get("message", "")),
        records=int(bucket["logs"]["doc_count"]),
        birth=birth,
        closing=closing,
    )


def _fields(top: Mapping[str, Any]) -> dict[str, Any]:
    hits = top["hits"]["hits"]
    return read_fields(hits[0]["_source"]) if hits else {}
