"""Pages out of OpenSearch: searches whose hits are put in one order, and their content.

In: the parts of a page (a search each), an order, a limit. Out: hits and documents, in that order
and without a hole. It must never take a partial answer for a whole one, nor a part of a group of
equal sort values: only whole can it be put in order (docs/decisions/0032).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from forensics.errors import ForensicsError, PartialResultError, TimedOutError, UsageError
from forensics.store.documents import read_fields
from forensics.store.opensearch_client import REQUEST_TIMEOUT_SECONDS, OpenSearchClient
from forensics.store.opensearch_query import Body, Hit, index_pattern, parse_hits
from forensics.store.protocol import Document
from shipper.wire.record import Family
from shipper.wire.times import format_time

SEARCH_PARAMETERS: Final = {"ignore_unavailable": "true", "allow_no_indices": "true"}
"""An index that is missing or closed holds nothing to be found, and is no error."""

_SERVER_STOPS_EARLIER_SECONDS: Final = 2.0
_WINDOW: Final = 10_000
"""OpenSearch's `index.max_result_window`: the most that one search may return."""
_SPARE_HITS: Final = 8
"""Beyond a page: the cursor's own group again, and the last group, which may be cut."""
_PAGE_BYTES: Final = 8 << 20
"""A page ends here too: 500 lines of 1 MiB are no page."""
_UNKNOWN_LENGTH_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class Part:
    """One of the searches that together make a page."""

    families: frozenset[Family]
    body: Body
    start: Sequence[Any] | None
    """`search_after` of the first request."""


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a page, and the place it starts beyond."""

    key: Callable[[Hit], tuple[Any, ...]]
    place: tuple[Any, ...] | None
    backward: bool = False

    def is_beyond(self, hit: Hit) -> bool:
        """Whether a hit belongs to the page: strictly after its place, or before it."""
        if self.place is None:
            return True
        return self.key(hit) < self.place if self.backward else self.key(hit) > self.place


class PageReader:
    """Reads pages through one client."""

    def __init__(self, client: OpenSearchClient) -> None:
        self._client = client

    async def read_page(
        self, parts: Sequence[Part], order: Order, limit: int
    ) -> tuple[Sequence[Hit], bool]:
        """The first hits of all parts in one order, and whether there are more beyond them."""
        reads = [self._read_ordered(part, order, limit) for part in parts]
        answers = await asyncio.gather(*reads)
        hits = [hit for found, _ in answers for hit in found]
        hits.sort(key=order.key, reverse=order.backward)
        wanted = _take(hits[:limit])
        return wanted, len(hits) > len(wanted) or any(more for _, more in answers)

    async def _read_ordered(self, part: Part, order: Order, limit: int) -> tuple[list[Hit], bool]:
        """Up to `limit` hits of one search in order, and whether there are more.

        OpenSearch orders by the sort values only. Hits that have them in common are a group, which
        is taken whole or not at all, so that it can be put in order here.
        """
        found: list[Hit] = []
        size = min(limit + _SPARE_HITS, _WINDOW)
        start = part.start
        while True:
            place = {} if start is None else {"search_after": list(start)}
            answer = await self.search(part.families, part.body | place | {"size": size})
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

    async def search(
        self,
        families: Iterable[Family],
        body: Body,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> Body:
        """The answer of a whole search; cancelling it stops the search on the nodes too."""
        stop_after = timeout_seconds - _SERVER_STOPS_EARLIER_SECONDS
        answer: Body = await self._client.request(
            "POST",
            f"/{index_pattern(families)}/_search",
            body,
            params={**SEARCH_PARAMETERS, "cancel_after_time_interval": f"{stop_after:.0f}s"},
            timeout_seconds=timeout_seconds,
        )
        check_whole(answer, self._client.url)
        return answer

    async def fetch_documents(self, hits: Sequence[Hit], *, with_time: bool) -> list[Document]:
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


def check_whole(answer: Mapping[str, Any], url: str) -> None:
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
