"""The fleet's store: an OpenSearch cluster, asked through one client.

In: a URL. Out: the answers of `forensics.store.protocol.Store`. Only short lines come with the
search that finds them; long ones are found without content and fetched if the page has room. It
must never write anything but lifecycle documents, nor take a partial answer for a whole one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from forensics.errors import (
    RefusedError,
)
from forensics.store.opensearch_client import OpenSearchClient
from forensics.store.opensearch_pages import (
    SEARCH_PARAMETERS,
    Order,
    PageReader,
    Part,
    check_whole,
)
from forensics.store.opensearch_query import (
    Body,
    build_filters,
    build_levels_histogram,
    build_long_lines,
    build_search,
    build_short_lines,
    build_source_filters,
    build_source_sort,
    build_time_sort,
    build_time_start,
    cursor_of,
    index_pattern,
    parse_hits,
)
from forensics.store.opensearch_streams import build_streams, parse_summary
from forensics.store.protocol import (
    Bucket,
    Cursor,
    Document,
    Page,
    Query,
    StoreInfo,
    StreamSummary,
)
from shipper.wire.record import Family, build_document
from shipper.wire.times import NANOS_PER_SECOND, format_time

EVERYTHING: Final[frozenset[Family]] = frozenset(("logs", "vitals", "lifecycle"))

_LOGS: Final[frozenset[Family]] = frozenset(("logs",))

_SCAN_TIMEOUT_SECONDS: Final = 120.0
"""For questions that look at every document: streams, histogram, count."""

_SOURCE_PAGE_DOCUMENTS: Final = 1000
_NANOS_PER_MILLI: Final = NANOS_PER_SECOND // 1000


class OpenSearchStore:
    """A store in a cluster. Make it with `await OpenSearchStore.open(url)`."""

    def __init__(self, client: OpenSearchClient, version: str) -> None:
        self._client = client
        self._pages = PageReader(client)
        self._version = version

    @classmethod
    async def open(cls, url: str) -> OpenSearchStore:
        """The store at that URL; raises where no OpenSearch answers."""
        client = OpenSearchClient.from_environment(url)
        try:
            version = str((await client.fetch_greeting())["number"])
        except BaseException:
            await client.aclose()
            raise
        return cls(client, version)

    async def info(self) -> StoreInfo:
        """What and where it is; whether the newest log index refuses changes."""
        await self._client.fetch_greeting()
        append_only, warnings = await self._fetch_append_only()
        return StoreInfo(
            kind="opensearch",
            location=self._client.url,
            version=self._version,
            documents=await self.count(Query(families=EVERYTHING)),
            append_only=append_only,
            warnings=warnings,
        )

    async def streams(self, instance_ids: frozenset[str] = frozenset()) -> Sequence[StreamSummary]:
        """Every stream of those instances, in pages of bounded size."""
        found: list[StreamSummary] = []
        after: Mapping[str, str] | None = None
        while True:
            body = build_streams(instance_ids, after)
            answer = await self._pages.search(("logs", "vitals"), body, _SCAN_TIMEOUT_SECONDS)
            page = answer.get("aggregations", {}).get("streams", {"buckets": []})
            found += map(parse_summary, page["buckets"])
            after = page.get("after_key")
            if after is None:
                return sorted(found, key=lambda row: (row.instance_id, row.first_at, row.stream))

    async def page(
        self,
        query: Query,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 500,
    ) -> Page:
        """Up to `limit` documents beyond a place, fewer where they are very long."""
        backward = before is not None
        place = before if backward else after
        filters = build_filters(query)
        parts = []
        # Records have a place within their time and the other families have none: two sorts.
        for families in (query.families & _LOGS, query.families - _LOGS):
            if families:
                placed = families == _LOGS
                sort = build_time_sort(backward=backward, placed=placed)
                start = place and build_time_start(place, backward=backward, placed=placed)
                parts.append(Part(families, build_short_lines(filters, sort), start))
                if placed:
                    parts.append(Part(families, build_long_lines(filters, sort), start))
        order = Order(cursor_of, place, backward=backward)
        hits, more = await self._pages.read_page(parts, order, limit)
        documents = await self._pages.fetch_documents(hits, with_time=True)
        return Page(documents[::-1] if backward else documents, more)

    async def count(self, query: Query) -> int:
        """How many documents, exactly."""
        body = {"query": {"bool": {"filter": build_filters(query)}}}
        answer = await self._client.request(
            "POST",
            f"/{index_pattern(query.families)}/_count",
            body,
            params=SEARCH_PARAMETERS,
            timeout_seconds=_SCAN_TIMEOUT_SECONDS,
        )
        check_whole(answer, self._client.url)
        return int(answer["count"])

    async def histogram(self, query: Query, buckets: int) -> Sequence[Bucket]:
        """Bars of equal width in whole milliseconds, from the first document to the last."""
        filters = build_filters(query)
        edges = await asyncio.gather(
            self._edge(query, filters, backward=False), self._edge(query, filters, backward=True)
        )
        first, last = edges
        if first is None or last is None:
            return []
        width = (last - first) // max(buckets, 1) + 1
        body = build_levels_histogram(filters, first_millis=first, width_millis=width)
        answer = await self._pages.search(query.families, body, _SCAN_TIMEOUT_SECONDS)
        rows = {int(row["key"]): row for row in answer["aggregations"]["bars"]["buckets"]}
        return [
            _bar(start, rows.get(start))
            for start in range(first, last + 1, width)
        ]  # fmt: skip

    async def source_records(
        self, stream: str, source: int, *, from_offset: int = 0
    ) -> AsyncIterator[Sequence[Document]]:
        """Pages of one source's log records, ordered by offset then length."""
        filters, sort = build_source_filters(stream, source, from_offset), build_source_sort()
        bodies = (build_short_lines(filters, sort), build_long_lines(filters, sort))
        place: tuple[Any, ...] | None = None
        more = True
        while more:
            start = None if place is None else [place[0], place[1] - 1]
            parts = [Part(_LOGS, body, start) for body in bodies]
            order = Order(lambda hit: (*hit.sort, hit.id), place)
            hits, more = await self._pages.read_page(parts, order, _SOURCE_PAGE_DOCUMENTS)
            if hits:
                yield await self._pages.fetch_documents(hits, with_time=False)
                place = order.key(hits[-1])

    async def put_lifecycle(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> int:
        """Create (id, fields) in the lifecycle index; returns how many were new."""
        if not documents:
            return 0
        body = b"".join(build_document("lifecycle", *document) for document in documents)
        answer = await self._client.request(
            "POST", "/_bulk", body.decode(), params={"refresh": "true"}
        )
        results = [item["create"] for item in answer["items"]]
        for result in results:
            if result["status"] not in (201, 409):
                raise RefusedError(
                    f"{self._client.url} did not take the lifecycle document {result['_id']}",
                    why=f"{result['status']} {json.dumps(result.get('error', {}))[:300]}",
                    next_step="check the index templates: forensics centre check",
                )
        return sum(result["status"] == 201 for result in results)  # noqa: PLR2004 - HTTP's created

    async def close(self) -> None:
        """Give back the sockets; safe to call twice."""
        await self._client.aclose()

    async def _edge(self, query: Query, filters: list[Body], *, backward: bool) -> int | None:
        """The first or last document's time in ms; of documents that have one."""
        body = build_search([*filters, {"exists": {"field": "@timestamp"}}], size=1)
        body["sort"] = build_time_sort(backward=backward, placed=False)
        hits = parse_hits(await self._pages.search(query.families, body, _SCAN_TIMEOUT_SECONDS))
        return int(hits[0].sort[0]) // _NANOS_PER_MILLI if hits else None

    async def _fetch_append_only(self) -> tuple[bool, tuple[str, ...]]:
        try:
            settings = await self._client.request(
                "GET",
                f"/{index_pattern(('logs',))}/_settings/index.append_only.enabled",
                params={**SEARCH_PARAMETERS, "flat_settings": "true"},
                absent={},
            )
        except RefusedError:
            return False, (
                "no right to read index settings: whether logs can be changed is unknown",
            )
        if not settings:
            return False, ("there is no log index yet: whether logs can be changed is unknown",)
        newest = max(settings)
        value = settings[newest].get("settings", {}).get("index.append_only.enabled")
        if value == "true":
            return True, ()
        warning = f"{newest} is not append-only: who may write can change what is stored"
        return False, (warning,)


def _bar(start_millis: int, row: Mapping[str, Any] | None) -> Bucket:
    start = format_time(start_millis * _NANOS_PER_MILLI)
    if row is None:
        return Bucket(start, 0)
    levels = {level["key"]: level["doc_count"] for level in row["levels"]["buckets"]}
    return Bucket(start, row["doc_count"], levels)
