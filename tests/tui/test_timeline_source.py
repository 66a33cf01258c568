"""Stored documents and derived events as one source: each event once, counted right."""

from __future__ import annotations

from forensics.ledger.lifecycle import to_document
from forensics.ledger.model import LifecycleEvent
from forensics.store.protocol import Bucket, Cursor, Document, Query, Store
from forensics.tui.timeline_source import TimelineSource, add_events
from tests.tui.real_store import at
from tests.tui.virtual_store import ListStore, instance

BOTH = Query(families=frozenset(("logs", "lifecycle")))


def _event(second: float, action: str) -> LifecycleEvent:
    return LifecycleEvent(
        at=at(second), instance_id="i-0", action=action, message=f"it {action}", origin="ec2"
    )


def _log(second: float) -> Document:
    fields = {"@timestamp": at(second), "message": f"line {second}"}
    return Document(f"log-{second}", "afterimage-logs-2026.01.03", fields)


LAUNCHED, STOPPED = _event(-60, "launched"), _event(25, "stopped")
LOGS = [_log(second) for second in range(0, 50, 10)]
STORED = Document(to_document(STOPPED)[0], "afterimage-lifecycle-2026.01", to_document(STOPPED)[1])
ROW = instance(events=(LAUNCHED, STOPPED))
IN_ORDER = ["it launched", "line 0", "line 10", "line 20", "it stopped", "line 30", "line 40"]


class AsStore(ListStore):
    """A `ListStore` where a whole `Store` is asked for; what a timeline never asks is not there."""


def _source(*documents: Document) -> TimelineSource:
    store: Store = AsStore(documents)  # type: ignore[assignment] # three questions are all it asks
    return TimelineSource(store, store, ROW)


async def _walk(source: TimelineSource, limit: int, *, backward: bool) -> list[str]:
    found: list[str] = []
    place: Cursor | None = Cursor("9999") if backward else None
    while True:
        if backward:
            page = await source.page(BOTH, before=place, limit=limit)
            found[:0] = [one.message for one in page.documents]
        else:
            page = await source.page(BOTH, after=place, limit=limit)
            found += [one.message for one in page.documents]
        if not page.more:
            return found
        place = page.documents[0 if backward else -1].cursor


async def test_pages_of_any_size_hold_each_event_once_in_order() -> None:
    """Forwards and backwards, whether an event is stored, derived, or both."""
    for documents in (LOGS, [*LOGS, STORED]):
        source = _source(*documents)
        for limit in (1, 2, 3, 500):
            for backward in (False, True):
                assert IN_ORDER == await _walk(source, limit, backward=backward)


async def test_counts_and_bars_hold_each_event_once() -> None:
    """An event that is stored too is counted as stored only."""
    for documents in (LOGS, [*LOGS, STORED]):
        source = _source(*documents)
        assert 7 == await source.count(BOTH)
        bars = await source.histogram(BOTH, 20)
        assert 7 == sum(bar.count for bar in bars)
        assert at(-60) == bars[0].start
        assert len(bars) <= 20


async def test_without_a_store_the_derived_events_are_the_timeline() -> None:
    """Live AWS alone still tells a story."""
    source = TimelineSource(None, None, ROW)
    page = await source.page(BOTH)
    assert ["it launched", "it stopped"] == [one.message for one in page.documents]
    assert 2 == await source.count(BOTH)
    assert 2 == sum(bar.count for bar in await source.histogram(BOTH, 10))


def test_bars_stay_as_they_are_where_every_event_fits() -> None:
    """Only the one that holds the event grows."""
    bars = [Bucket(at(0), 5), Bucket(at(20), 0), Bucket(at(40), 7)]
    assert [
        Bucket(at(0), 5), Bucket(at(20), 1), Bucket(at(40), 7)
    ] == add_events(bars, [STOPPED], 10)  # fmt: skip
