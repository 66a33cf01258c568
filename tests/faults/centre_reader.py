"""What a centre holds at the end, read as any reader gets it.

In: a store's location. Out: documents, and the oracle's account of them.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

from forensics.store.open import open_store
from forensics.store.protocol import Cursor, Document, Query
from shipper.wire.record import Family
from tests.faults.oracle import Account, Ledger, judge

_PAGE = 5000
_TIMEOUT_SECONDS = 30.0


async def read_all(location: str, family: Family) -> list[Document]:
    """Every document of a family."""
    store = await open_store(location)
    documents: list[Document] = []
    after: Cursor | None = None
    try:
        while True:
            query = Query(families=frozenset((family,)))
            page = await store.page(query, after=after, limit=_PAGE)
            documents += page.documents
            if not page.more:
                return documents
            after = page.documents[-1].cursor
    finally:
        await store.close()


def judge_store(ledger: Ledger, location: str) -> Account:
    """The ledger against all that a store gives out."""
    logs = asyncio.run(read_all(location, "logs"))
    vitals = asyncio.run(read_all(location, "vitals"))
    return judge(
        ledger,
        [(document.index, document.id, document.fields) for document in logs],
        [vital.fields for vital in vitals if vital.text("event.action") == "gap"],
    )


def ask(url: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
    """One request to a node of ours; its JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - our node
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - our node
        return json.load(answer)
