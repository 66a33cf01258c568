"""A `Query` as OpenSearch's query language, and the order of pages as its sorts: pure values.

In: a query, a cursor. Out: JSON-ready bodies; every value of the query stands as a value in them.
It must never hold a script or a query string that a value could break out of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from forensics.store.documents import split_words
from forensics.store.protocol import Cursor, Query
from shipper.wire.record import INDEX_PREFIX, Family, parse_record_id
from shipper.wire.times import format_time, parse_time

_SOURCE_MAX: Final = 2**31 - 1
_OFFSET_MAX: Final = 2**63 - 1
_LONG_LINES: Final = {"range": {"log.length": {"gte": 16_384}}}
_NANOS_MAX: Final = 2**63 - 1
_LAST_TEXT: Final = "\U0010ffff"

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found: where it stands, and its content where the search brought it along."""

    id: str
    index: str
    sort: tuple[Any, ...]
    """OpenSearch's own sort values: documents with equal ones come in no particular order."""
    source: Mapping[str, Any] | None
    length: int | None
    """`log.length`; None where it has none, and its size is not known."""


def cursor_of(hit: Hit) -> Cursor:
    """The place of a hit in the order of pages, which must be Document.cursor's."""
    timestamp = format_time(hit.sort[0])
    try:
        key = parse_record_id(hit.id)
    except ValueError:
        return Cursor(timestamp, id=hit.id)
    return Cursor(timestamp, key.stream, key.source, key.offset, hit.id)


def index_pattern(families: Iterable[Family]) -> str:
    """The indices of those families."""
    return ",".join(f"{INDEX_PREFIX}-{family}-*" for family in sorted(families))


def build_filters(query: Query) -> list[Body]:
    """The conditions of a query; its families are chosen by index."""
    filters: list[Body] = [
        {"terms": {field: sorted(wanted)}}
        for field, wanted in (
            ("cloud.instance.id", query.instance_ids),
            ("log.level", query.levels),
            ("log.file.path", query.paths),
            ("event.action", query.actions),
        )
        if wanted
    ]
    if query.since:
        filters.append(_either_time({"gte": query.since}))
    if query.until:
        filters.append(_either_time({"lte": query.until}))
    if query.match:
        # Analysed as the message was; what holds no word finds nothing, as in every store.
        text = query.match if split_words(query.match) else ""
        words = {"query": text, "operator": "and", "zero_terms_query": "none"}
        filters.append({"match": {"message": words}})
    return filters


def _either_time(bound: Body) -> Body:
    ranges = [{"range": {field: bound}} for field in ("@timestamp", "event.created")]
    return {"bool": {"should": ranges, "minimum_should_match": 1}}


def build_search(filters: Sequence[Body], *, size: int) -> Body:
    """A search without content and without a total."""
    return {
        "size": size,
        "query": {"bool": {"filter": list(filters)}},
        "_source": False,
        "track_total_hits": False,
    }


def build_short_lines(filters: Sequence[Body], sort: Sequence[Body]) -> Body:
    """A search for all but long lines, content included."""
    short = {"bool": {"must_not": [_LONG_LINES]}}
    return build_search([*filters, short], size=0) | {"sort": list(sort), "_source": True}


def build_long_lines(filters: Sequence[Body], sort: Sequence[Body]) -> Body:
    """A search for long lines without content: 500 lines of 1 MiB must not come in one answer."""
    body = build_search([*filters, _LONG_LINES], size=0)
    return body | {"sort": list(sort), "docvalue_fields": ["log.length"]}


def build_time_sort(*, backward: bool, placed: bool) -> list[Body]:
    """The order of pages as far as OpenSearch can keep it; equal values are ordered by `_id` later.

    `placed`: records, which have stream, source and offset. `_id` is no sort key here: sorting by
    it would load every id of the indices into the heap. A document without a time stands first.
    """
    order = "desc" if backward else "asc"
    time = {
        "order": order,
        "numeric_type": "date_nanos",  # an index of another shipper may have milliseconds
        "unmapped_type": "date_nanos",
        "missing": 0,
    }
    sort: list[Body] = [{"@timestamp": time}]
    if placed:
        missing = "_last" if backward else "_first"
        stream = {"order": order, "missing": missing, "unmapped_type": "keyword"}
        number = {"order": order, "missing": 0, "unmapped_type": "long"}
        sort += [
            {"afterimage.stream": stream},
            {"afterimage.source": number},
            {"log.offset": number},
        ]
    return sort


def build_time_start(cursor: Cursor, *, backward: bool, placed: bool) -> list[Any] | None:
    """`search_after` values just outside the cursor's own group of equal sort values.

    The group itself is read again, since OpenSearch can't order it by `_id`; None: from the start.
    """
    nanos = parse_time(cursor.timestamp)
    if not placed:
        if not backward and nanos == 0:
            return None
        return [min(nanos + 1, _NANOS_MAX) if backward else nanos - 1]
    if backward:
        return [nanos, cursor.stream, cursor.source, min(cursor.offset + 1, _OFFSET_MAX)]
    if cursor.stream:
        return [nanos, cursor.stream, cursor.source, cursor.offset - 1]
    # Documents without a place: their group is the first of its nanosecond.
    return None if nanos == 0 else [nanos - 1, _LAST_TEXT, _SOURCE_MAX, _OFFSET_MAX]


def build_source_filters(stream: str, source: int, from_offset: int) -> list[Body]:
    """The records of one source from an offset on."""
    return [
        {"term": {"afterimage.stream": stream}},
        {"term": {"afterimage.source": source}},
        {"range": {"log.offset": {"gte": from_offset}}},
    ]


def build_source_sort() -> list[Body]:
    """By offset, then length."""
    number = {"order": "asc", "missing": 0, "unmapped_type": "long"}
    return [{"log.offset": number}, {"log.length": number}]


def build_levels_histogram(
    filters: Sequence[Body], *, first_millis: int, width_millis: int
) -> Body:
    """Counts per bar and level; the first bar starts at `first_millis`."""
    body = build_search([*filters, {"exists": {"field": "@timestamp"}}], size=0)
    bars = {
        "field": "@timestamp",
        "fixed_interval": f"{width_millis}ms",
        "offset": f"{first_millis % width_millis}ms",
        "min_doc_count": 1,
    }
    levels = {"terms": {"field": "log.level", "size": 50}}
    body["aggs"] = {"bars": {"date_histogram": bars, "aggs": {"levels": levels}}}
    return body


def parse_hits(answer: Body) -> list[Hit]:
    """The hits of a search."""
    return [
        Hit(row["_id"], row["_index"], tuple(row["sort"]), row.get("_source"), _length(row))
        for row in answer["hits"]["hits"]
    ]


def _length(row: Mapping[str, Any]) -> int | None:
    """`log.length` of a hit, from wherever the search brought it."""
    source = row.get("_source")
    if source is not None:
        value = source.get("log.length")
        return value if isinstance(value, int) else None
    return next(iter(row.get("fields", {}).get("log.length", ())), None)
