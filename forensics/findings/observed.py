"""Reads from a store what the findings look at: the last records and the whole lifecycle.

In: a store (or none) and a ledger row. Out: `Observed`. Bounded: the last 2,000 records, the newest
heartbeat, and lifecycle documents up to a limit that no instance reaches in practice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from forensics.findings.finding import RECORDS_LOOKED_AT, Observed
from forensics.ledger.lifecycle import event_id, from_document
from forensics.ledger.model import InstanceRow, LifecycleEvent
from forensics.store.protocol import Cursor, Document, Query, Store
from shipper.wire.times import LATEST

LIFECYCLE_LIMIT: Final = 10_000
_PAGE: Final = 500
_END: Final = Cursor(LATEST)


async def read_observed(store: Store | None, instance: InstanceRow, *, now: str) -> Observed:
    """What is known of the instance: from the store, where there is one, and from its row."""
    if store is None:
        return Observed(instance=instance, lifecycle=tuple(instance.events), now=now)
    only = frozenset((instance.instance_id,))
    records = await read_last(store, Query(instance_ids=only), RECORDS_LOOKED_AT)
    beats = await store.page(
        Query(
            instance_ids=only, families=frozenset(("vitals",)), actions=frozenset(("heartbeat",))
        ),
        before=_END,
        limit=1,
    )
    heartbeat = beats.documents[-1] if beats.documents else None
    return Observed(
        instance=instance,
        records=records,
        lifecycle=await read_lifecycle(store, instance),
        heartbeat=heartbeat.fields if heartbeat else {},
        heartbeat_id=heartbeat.id if heartbeat else "",
        now=now,
    )


async def read_last(store: Store, query: Query, limit: int) -> Sequence[Document]:
    """The query's last `limit` documents, in time order."""
    pages: list[Sequence[Document]] = []
    before, wanted = _END, limit
    while wanted > 0:
        page = await store.page(query, before=before, limit=min(_PAGE, wanted))
        if not page.documents:
            break
        pages.append(page.documents)
        wanted -= len(page.documents)
        before = page.documents[0].cursor
        if not page.more:
            break
    return [document for documents in reversed(pages) for document in documents]


async def read_lifecycle(store: Store, instance: InstanceRow) -> Sequence[LifecycleEvent]:
    """The row's own events and the store's lifecycle documents, in time order, each once."""
    query = Query(
        instance_ids=frozenset((instance.instance_id,)), families=frozenset(("lifecycle",))
    )
    documents = await read_last(store, query, LIFECYCLE_LIMIT)
    events = {
        event_id(event): event for event in (*instance.events, *map(from_document, documents))
    }
    return sorted(events.values(), key=lambda event: (event.at, event.action, event.message))
