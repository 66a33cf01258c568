"""A store in memory for the ledger's tests: pages, streams and lifecycle as the protocol says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from forensics.errors import ForensicsError
from forensics.store.protocol import (
    Bucket,
    Cursor,
    Document,
    Page,
    Query,
    StoreInfo,
    StreamSummary,
)


class MemoryStore:
    """Implements `Store` over a list; questions that the ledger never asks are refused."""

    def __init__(self, streams: Sequence[StreamSummary] = ()) -> None:
        self.documents: dict[str, Document] = {}
        self.all_streams = streams
        self.failure: ForensicsError | None = None
        """If set, every question fails with it."""
        self.stuck = False
        """If set, no question is ever answered."""

    async def _answer(self) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure

    async def streams(self, instance_ids: frozenset[str] = frozenset()) -> Sequence[StreamSummary]:
        """See `Store.streams`."""
        await self._answer()
        return [s for s in self.all_streams if not instance_ids or s.instance_id in instance_ids]

    async def page(
        self,
        query: Query,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 500,
    ) -> Page:
        """See `Store.page`."""
        await self._answer()
        return self.find_page(query, after=after, before=before, limit=limit)

    def find_page(
        self,
        query: Query,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 500,
    ) -> Page:
        """The page, at once; of the query, families and instances count."""
        found = sorted(
            (
                document
                for document in self.documents.values()
                if document.family in query.families
                and (not query.instance_ids or document.instance_id in query.instance_ids)
            ),
            key=lambda document: document.cursor,
        )
        if before is not None:
            found = [document for document in found if document.cursor < before]
            return Page(found[-limit:], more=len(found) > limit)
        found = [document for document in found if after is None or document.cursor > after]
        return Page(found[:limit], more=len(found) > limit)

    async def put_lifecycle(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> int:
        """See `Store.put_lifecycle`."""
        await self._answer()
        return self.add_lifecycle(documents)

    def add_lifecycle(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> int:
        """`put_lifecycle`, at once."""
        before = len(self.documents)
        for document_id, fields in documents:
            self.documents.setdefault(
                document_id, Document(document_id, "afterimage-lifecycle-2026.01", fields)
            )
        return len(self.documents) - before

    async def info(self) -> StoreInfo:
        """Not asked by the ledger."""
        raise NotImplementedError

    async def count(self, query: Query) -> int:
        """Not asked by the ledger."""
        raise NotImplementedError

    async def histogram(self, query: Query, buckets: int) -> Sequence[Bucket]:
        """Not asked by the ledger."""
        raise NotImplementedError

    def source_records(
        self, stream: str, source: int, *, from_offset: int = 0
    ) -> AsyncIterator[Sequence[Document]]:
        """Not asked by the ledger."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to give back."""


def make_stream(
    instance_id: str,
    *,
    stream: str = "aaaaaaaaaaaaaaaa",
    first_at: str = "2026-01-03T10:00:00.000000000Z",
    last_at: str = "2026-01-03T11:00:00.000000000Z",
    birth: Mapping[str, Any] | None = None,
    closing: Mapping[str, Any] | None = None,
    last_word: str = "last word",
) -> StreamSummary:
    """One stream of one instance."""
    return StreamSummary(
        instance_id=instance_id,
        stream=stream,
        first_at=first_at,
        last_at=last_at,
        last_word_at=last_at if last_word else "",
        last_word=last_word,
        records=10,
        birth=birth or {},
        closing=closing or {},
    )
