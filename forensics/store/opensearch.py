"""The fleet's store: an OpenSearch cluster, asked through one client.

In: a URL. Out: the answers of `forensics.store.protocol.Store`. A page takes two requests: the
first finds which documents and in what order, without content; the second fetches exactly those. It
must never write anything but lifecycle documents, nor take a partial answer for a whole one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from forensics.errors import ForensicsError, PartialResultError, RefusedError, TimedOutError
from forensics.store.documents import read_fields
from forensics.store.opensearch_client import REQUEST_TIMEOUT_SECONDS, OpenSearchClient
from forensics.store.opensearch_query import (
    Body,
    Hit,
    build_filters,
    build_levels_histogram,
    build_search,
    build_source_filters,
    build_source_sort,
    build_time_sort,
    build_time_start,
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
_SERVER_STOPS_EARLIER_SECONDS: Final = 2.0

_WINDOW: Final = 10_000
"""OpenSearch's `index.max_result_window`: the most that one search may return."""
_SPARE_HITS: Final = 8
"""Beyond a page: the cursor's own group again, and the last group, which may be cut."""
_SOURCE_PAGE_DOCUMENTS: Final = 1000
_PAGE_BYTES: Final = 8 << 20
"""A page ends here too: 500 lines of 1 MiB are no page."""
_UNKNOWN_LENGTH_BYTES: Final = 8192
_NANOS_PER_MILLI: Final = NANOS_PER_SECOND // 1000

_SEARCH_PARAMETERS: Final = {"ignore_unavailable": "true", "allow_no_indices": "true"}

_Search = Callable[[list[Any] | None, int], Any]
"""(search_after, size) to hits."""


class OpenSearchStore:
    """A store in a cluster. Make it with `await OpenSearchStore.open(url)`."""

    def __init__(self, client: OpenSearchClient, version: str) -> None:
        self._client = client
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
            answer = await self._search(("logs", "vitals"), body, _SCAN_TIMEOUT_SECONDS)
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
        # Records have a place within their time and the other families have none: two sorts.
        parts = [
            self._page_hits(query, families, place, backward=backward, limit=limit)
            for families in (query.families & _LOGS, query.families - _LOGS)
            if families
        ]
        answers = await asyncio.gather(*parts)
        hits = sorted(
            (hit for part, _ in answers for hit in part),
            key=lambda hit: hit.cursor,
            reverse=backward,
        )
        wanted = _take(hits[:limit])
        more = len(hits) > len(wanted) or any(part_has_more for _, part_has_more in answers)
        documents = await self._fetch_documents(wanted, with_time=True)
        return Page(documents[::-1] if backward else documents, more)

    async def count(self, query: Query) -> int:
        """How many documents, exactly."""
        body = {"query": {"bool": {"filter": build_filters(query)}}}
        answer = await self._client.request(
            "POST",
            f"/{index_pattern(query.families)}/_count",
            body,
            params=_SEARCH_PARAMETERS,
            timeout_seconds=_SCAN_TIMEOUT_SECONDS,
        )
        _check_whole(answer, self._client.url)
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
        answer = await self._search(query.families, body, _SCAN_TIMEOUT_SECONDS)
        rows = {int(row["key"]): row for row in answer["aggregations"]["bars"]["buckets"]}
        return [
            _bar(start, rows.get(start))
            for start in range(first, last + 1, width)
        ]  # fmt: skip

    async def source_records(
        self, stream: str, source: int, *, from_offset: int = 0
    ) -> AsyncIterator[Sequence[Document]]:
        """Pages of one source's log records, ordered by offset then length."""
        body = build_search(
            build_source_filters(stream, source, from_offset), size=0
        ) | {"sort": build_source_sort(), "docvalue_fields": ["log.length"]}  # fmt: skip
        floor: tuple[Any, ...] | None = None

        async def search(start: list[Any] | None, size: int) -> list[Hit]:
            return await self._find(("logs",), body, start, size)

        while True:
            start = None if floor is None else [floor[0], floor[1] - 1]
            hits, more = await self._read_ordered(
                search, start, lambda hit: (*hit.sort, hit.id), floor, _SOURCE_PAGE_DOCUMENTS
            )
            wanted = _take(hits)
            if wanted:
                yield await self._fetch_documents(wanted, with_time=False)
                floor = (*wanted[-1].sort, wanted[-1].id)
            if not more and len(wanted) == len(hits):
                return

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

    async def _page_hits(
        self,
        query: Query,
        families: frozenset[Family],
        place: Cursor | None,
        *,
        backward: bool,
        limit: int,
    ) -> tuple[list[Hit], bool]:
        placed = "logs" in families
        body = build_search(build_filters(query), size=0)
        body["sort"] = build_time_sort(backward=backward, placed=placed)
        body["docvalue_fields"] = ["log.length"]

        async def search(start: list[Any] | None, size: int) -> list[Hit]:
            return await self._find(families, body, start, size)

        start = (
            None if place is None else build_time_start(place, backward=backward, placed=placed)
        )  # fmt: skip
        return await self._read_ordered(
            search, start, lambda hit: hit.cursor, place, limit, backward=backward
        )

    async def _read_ordered(
        self,
        search: _Search,
        start: list[Any] | None,
        key: Callable[[Hit], tuple[Any, ...]],
        floor: tuple[Any, ...] | None,
        limit: int,
        *,
        backward: bool = False,
    ) -> tuple[list[Hit], bool]:
        """Up to `limit` hits strictly beyond `floor` in the order of `key`, and if there are more.

        OpenSearch orders by the sort values only. Hits that have them in common are a group, which
        is taken whole or not at all, so that `key` can order it here.
        """
        found: list[Hit] = []
        size = limit + _SPARE_HITS
        while True:
            batch: list[Hit] = await search(start, size)
            cut = len(batch) == size
            groups = [hit for hit in batch if not cut or hit.sort != batch[-1].sort]
            if cut and not groups:
                if size == _WINDOW:
                    raise _too_many_at_once(batch[-1])
                size = _WINDOW
                continue
            found += [
                hit
                for hit in groups
                if floor is None or (key(hit) < floor if backward else key(hit) > floor)
            ]
            if not cut or len(found) > limit:
                found.sort(key=key, reverse=backward)
                return found[:limit], len(found) > limit
            start = list(groups[-1].sort)

    async def _find(
        self, families: Sequence[Family] | frozenset[Family], body: Body, start: list[Any] | None,
        size: int,
    ) -> list[Hit]:  # fmt: skip
        more = {} if start is None else {"search_after": start}
        return parse_hits(await self._search(families, body | more | {"size": size}))

    async def _search(
        self,
        families: Sequence[Family] | frozenset[Family],
        body: Body,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> Body:
        stop_after = timeout_seconds - _SERVER_STOPS_EARLIER_SECONDS
        answer: Body = await self._client.request(
            "POST",
            f"/{index_pattern(families)}/_search",
            body,
            params={**_SEARCH_PARAMETERS, "cancel_after_time_interval": f"{stop_after:.0f}s"},
            timeout_seconds=timeout_seconds,
        )
        _check_whole(answer, self._client.url)
        return answer

    async def _edge(self, query: Query, filters: list[Body], *, backward: bool) -> int | None:
        """The first or last document's time in ms; of documents that have one."""
        body = build_search([*filters, {"exists": {"field": "@timestamp"}}], size=1)
        body["sort"] = build_time_sort(backward=backward, placed=False)
        hits = parse_hits(await self._search(query.families, body, _SCAN_TIMEOUT_SECONDS))
        return int(hits[0].sort[0]) // _NANOS_PER_MILLI if hits else None

    async def _fetch_documents(self, hits: Sequence[Hit], *, with_time: bool) -> list[Document]:
        """The content of hits, in their order, without those whose index was deleted meanwhile."""
        if not hits:
            return []
        body = {"docs": [{"_index": hit.index, "_id": hit.id} for hit in hits]}
        answer = await self._client.request("POST", "/_mget", body, params={"realtime": "false"})
        return [
            _document(row, hit.cursor.timestamp if with_time else "")
            for hit, row in zip(hits, answer["docs"], strict=True)
            if row.get("found")
        ]

    async def _fetch_append_only(self) -> tuple[bool, tuple[str, ...]]:
        try:
            settings = await self._client.request(
                "GET",
                f"/{index_pattern(('logs',))}/_settings/index.append_only.enabled",
                params={**_SEARCH_PARAMETERS, "flat_settings": "true"},
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


def _take(hits: Sequence[Hit]) -> Sequence[Hit]:
    """The first hits that together make no more than a page of bytes, at least one."""
    size_bytes = 0
    for number, hit in enumerate(hits):
        size_bytes += _UNKNOWN_LENGTH_BYTES if hit.length is None else hit.length
        if number and size_bytes > _PAGE_BYTES:
            return hits[:number]
    return hits


def _document(row: Mapping[str, Any], timestamp: str) -> Document:
    try:
        fields = read_fields(row["_source"])
    except ValueError:  # nested too deep to be flattened: what is flat of it can still be read
        flat = {name: value for name, value in row["_source"].items() if not _is_nested(value)}
        fields = read_fields(flat)
    if timestamp:
        fields["@timestamp"] = timestamp
    return Document(row["_id"], row["_index"], fields)


def _is_nested(value: object) -> bool:
    return isinstance(value, (dict, list))


def _bar(start_millis: int, row: Mapping[str, Any] | None) -> Bucket:
    start = format_time(start_millis * _NANOS_PER_MILLI)
    if row is None:
        return Bucket(start, 0)
    levels = {level["key"]: level["doc_count"] for level in row["levels"]["buckets"]}
    return Bucket(start, row["doc_count"], levels)


def _check_whole(answer: Mapping[str, Any], url: str) -> None:
    """Raise where a part of the indices did not answer, or not in time."""
    if answer.get("timed_out"):
        raise TimedOutError(
            f"{url} stopped searching",
            why="it did not finish in the time it was given",
            next_step="narrow the question: an instance, --since, --until",
        )
    shards = answer["_shards"]
    if shards["failed"]:
        failure: Mapping[str, Any] = next(iter(shards.get("failures", ())), {})
        reason = failure.get("reason") or {}
        raise PartialResultError(
            f"{shards['failed']} of {shards['total']} shards of {url} did not answer",
            why=f"{failure.get('index', 'an index')}: {reason.get('reason', 'no reason given')}"[
                :300
            ],
            next_step="look at the cluster's health; what the other shards hold is not shown, since"
            " it would look complete",
        )


def _too_many_at_once(hit: Hit) -> ForensicsError:
    return PartialResultError(
        f"more than {_WINDOW:,} documents without a place share one time",
        why=f"{hit.index} holds lines of another shipper, which can only be ordered by their ids",
        next_step="narrow the question to one instance, level or word",
    )
