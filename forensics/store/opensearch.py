"""The fleet's store: an OpenSearch cluster, asked through one client.

In: a URL. Out: the answers of `forensics.store.protocol.Store`. Only short lines come with the
search that finds them; long ones are found without content and fetched if the page has room. It
must never write anything but lifecycle documents, nor take a partial answer for a whole one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from forensics.errors import (
    ForensicsError,
    PartialResultError,
    RefusedError,
    TimedOutError,
    UsageError,
)
from forensics.store.documents import read_fields
from forensics.store.opensearch_client import REQUEST_TIMEOUT_SECONDS, OpenSearchClient
from forensics.store.opensearch_query import (
    Body,
    Hit,
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


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the searches that together make a page."""

    families: frozenset[Family]
    body: Body
    start: Sequence[Any] | None
    """`search_after` of the first request."""


@dataclass(frozen=True, slots=True)
class _Order:
    """The order of a page, and the place it starts beyond."""

    key: Callable[[Hit], tuple[Any, ...]]
    place: tuple[Any, ...] | None
    backward: bool = False

    def is_beyond(self, hit: Hit) -> bool:
        if self.place is None:
            return True
        return self.key(hit) < self.place if self.backward else self.key(hit) > self.place


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
        filters = build_filters(query)
        parts = []
        # Records have a place within their time and the other families have none: two sorts.
        for families in (query.families & _LOGS, query.families - _LOGS):
            if families:
                placed = families == _LOGS
                sort = build_time_sort(backward=backward, placed=placed)
                start = place and build_time_start(place, backward=backward, placed=placed)
                parts.append(_Part(families, build_short_lines(filters, sort), start))
                if placed:
                    parts.append(_Part(families, build_long_lines(filters, sort), start))
        order = _Order(cursor_of, place, backward=backward)
        hits, more = await self._read_page(parts, order, limit)
        documents = await self._fetch_documents(hits, with_time=True)
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
        filters, sort = build_source_filters(stream, source, from_offset), build_source_sort()
        bodies = (build_short_lines(filters, sort), build_long_lines(filters, sort))
        place: tuple[Any, ...] | None = None
        more = True
        while more:
            start = None if place is None else [place[0], place[1] - 1]
            parts = [_Part(_LOGS, body, start) for body in bodies]
            order = _Order(lambda hit: (*hit.sort, hit.id), place)
            hits, more = await self._read_page(parts, order, _SOURCE_PAGE_DOCUMENTS)
            if hits:
                yield await self._fetch_documents(hits, with_time=False)
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

    async def _read_page(
        self, parts: Sequence[_Part], order: _Order, limit: int
    ) -> tuple[Sequence[Hit], bool]:
        """The first hits of all parts in one order, and whether there are more beyond them."""
        answers = await asyncio.gather(
            *(self._read_ordered(part, order, limit) for part in parts)
        )  # fmt: skip
        hits = [hit for found, _ in answers for hit in found]
        hits.sort(key=order.key, reverse=order.backward)
        wanted = _take(hits[:limit])
        return wanted, len(hits) > len(wanted) or any(more for _, more in answers)

    async def _read_ordered(self, part: _Part, order: _Order, limit: int) -> tuple[list[Hit], bool]:
        """Up to `limit` hits of one search in order, and whether there are more.

        OpenSearch orders by the sort values only. Hits that have them in common are a group, which
        is taken whole or not at all, so that it can be put in order here.
        """
        found: list[Hit] = []
        size = limit + _SPARE_HITS
        start = part.start
        while True:
            place = {} if start is None else {"search_after": list(start)}
            answer = await self._search(part.families, part.body | place | {"size": size})
            batch = parse_hits(answer)
            cut = len(batch) == size
            groups = [hit for hit in batch if not cut or hit.sort != batch[-1].sort]
            if cut and not groups:
                if size == _WINDOW:
                    raise _too_many_at_once(batch[-1])
                size = _WINDOW
                continue
            found += filter(order.is_beyond, groups)
            if not cut or len(found) > limit:
                found.sort(key=order.key, reverse=order.backward)
                return found[:limit], len(found) > limit
            start = groups[-1].sort

    async def _search(
        self,
        families: Iterable[Family],
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
        """The documents of hits in their order, without those whose index went meanwhile."""
        bare = [hit for hit in hits if hit.source is None]
        fetched: dict[tuple[str, str], Mapping[str, Any]] = {}
        if bare:
            body = {"docs": [{"_index": hit.index, "_id": hit.id} for hit in bare]}
            answer = await self._client.request(
                "POST", "/_mget", body, params={"realtime": "false"}
            )  # fmt: skip
            fetched = {
                (row["_index"], row["_id"]): row["_source"]
                for row in answer["docs"]
                if row.get("found")
            }
        documents = []
        for hit in hits:
            source = fetched.get((hit.index, hit.id)) if hit.source is None else hit.source
            if source is not None:
                documents.append(_document(hit, source, with_time=with_time))
        return documents

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


def _document(hit: Hit, source: Mapping[str, Any], *, with_time: bool) -> Document:
    try:
        fields = read_fields(source)
    except ValueError:  # nested too deep to be flattened: what is flat of it can still be read
        flat = {name: value for name, value in source.items() if not isinstance(value, dict | list)}
        fields = read_fields(flat)
    if with_time:  # as OpenSearch understood it; the earliest where it has none
        fields["@timestamp"] = format_time(hit.sort[0])
    return Document(hit.id, hit.index, fields)


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
    shards = answer.get("_shards")
    if not isinstance(shards, dict):
        raise UsageError(
            f"what answers at {url} is no OpenSearch",
            why="a search's answer tells nothing of its shards",
            next_step="check --store and what stands in between, as a proxy",
        )
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
