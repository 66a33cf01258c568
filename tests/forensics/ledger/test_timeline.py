"""The timeline: documents and derived events in one order, whichever way a reader pages."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from forensics.ledger.lifecycle import event_id, to_document
from forensics.ledger.model import LifecycleEvent
from forensics.ledger.timeline import TimelineEntry, merge_page, select_events
from forensics.store.protocol import Cursor, Document, Page, Query
from shipper.wire.record import Family, RecordKey
from shipper.wire.times import LATEST, format_time
from tests.forensics.ledger.memory_store import MemoryStore

ID = "i-0123456789abcdef0"
END = Cursor(LATEST)
QUERY = Query(families=frozenset(("logs", "lifecycle")))


def make_log(at: int, offset: int) -> Document:
    """A log line at that second."""
    key = RecordKey("aaaaaaaaaaaaaaaa", 1, offset, 2, 0)
    fields = {
        "@timestamp": format_time(at * 10**9),
        "cloud.instance.id": ID,
        "message": "x",
        "log.level": "warn",
    }
    return Document(str(key), "afterimage-logs-2026.01.03", fields)


def make_event(at: int, action: str = "launched", outcome: str = "") -> LifecycleEvent:
    """A derived event at that second."""
    return LifecycleEvent(
        at=format_time(at * 10**9),
        instance_id=ID,
        action=action,
        message=f"{action} at {at}",
        origin="ec2",
        outcome=outcome,
    )


class Reader:
    """Pages through a store with derived events, as a screen does."""

    def __init__(self, store: MemoryStore, events: Sequence[LifecycleEvent], limit: int) -> None:
        self.store = store
        self.events = events
        self.limit = limit

    def forward(self, after: Cursor | None = None) -> list[TimelineEntry]:
        """Everything after a place."""
        read: list[TimelineEntry] = []
        while True:
            page = self._page(after=after)
            merged = merge_page(page, self.events, after=after)
            read.extend(merged.entries)
            if not merged.more or merged.last is None:
                return read
            after = merged.last

    def backward(self, before: Cursor = END) -> list[TimelineEntry]:
        """Everything before a place, still oldest first."""
        read: list[TimelineEntry] = []
        place = before
        while True:
            page = self._page(before=place)
            merged = merge_page(page, self.events, before=place)
            read[:0] = merged.entries
            if not merged.more or merged.first is None:
                return read
            place = merged.first

    def _page(self, *, after: Cursor | None = None, before: Cursor | None = None) -> Page:
        return self.store.find_page(QUERY, after=after, before=before, limit=self.limit)


def fill(logs: Sequence[int], stored: Sequence[int]) -> MemoryStore:
    """A store with log lines and stored lifecycle events at those seconds."""
    store = MemoryStore()
    for number, at in enumerate(logs):
        document = make_log(at, number * 2)
        store.documents[document.id] = document
    store.add_lifecycle([to_document(make_event(at)) for at in set(stored)])
    return store


SECONDS = st.lists(st.integers(min_value=1, max_value=12), max_size=12)


@given(logs=SECONDS, stored=SECONDS, derived=SECONDS, limit=st.integers(1, 5))
def test_paging_either_way_shows_everything_once_and_in_order(
    logs: list[int], stored: list[int], derived: list[int], limit: int
) -> None:
    """Whatever coincides, at whatever page size: forward and backward read the same whole."""
    store = fill(logs, stored)
    events = [make_event(at) for at in set(derived)]
    reader = Reader(store, events, limit)
    expected = sorted(
        {document.cursor for document in store.documents.values()}
        | {Cursor(event.at, id=event_id(event)) for event in events}
    )
    assert expected == [entry.cursor for entry in reader.forward()]
    assert expected == [entry.cursor for entry in reader.backward()]


@given(logs=SECONDS, derived=SECONDS, limit=st.integers(1, 5), place=st.integers(0, 23))
def test_turning_round_anywhere_loses_and_repeats_nothing(
    logs: list[int], derived: list[int], limit: int, place: int
) -> None:
    """From any entry, what is before it and what is after it make up the rest."""
    events = [make_event(at) for at in set(derived)]
    reader = Reader(fill(logs, ()), events, limit)
    whole = [entry.cursor for entry in reader.forward()]
    if not whole:
        return
    index = place % len(whole)
    before = [entry.cursor for entry in reader.backward(whole[index])]
    after = [entry.cursor for entry in reader.forward(whole[index])]
    assert whole == [*before, whole[index], *after]


def test_a_stored_event_is_not_derived_again() -> None:
    """The document is shown, and with it the event that it tells."""
    reader = Reader(fill((), (5,)), [make_event(5)], 10)
    [entry] = reader.forward()
    assert entry.document is not None
    assert entry.event is not None
    assert ("lifecycle", "launched") == (entry.kind, entry.event.action)


def test_an_entry_says_what_it_is() -> None:
    """A log line has its level; a failed event is an error, a derived one has no document."""
    reader = Reader(fill((1,), ()), [make_event(2, "launching", "failure")], 10)
    log, event = reader.forward()
    assert ("log", "warn", None) == (log.kind, log.level, log.event)
    assert ("lifecycle", "error", None) == (event.kind, event.level, event.document)
    assert "launching at 2" == event.text


def test_without_a_store_the_events_alone_are_the_timeline() -> None:
    """An empty page that ends both ways shows all of them."""
    merged = merge_page(Page((), more=False), [make_event(2), make_event(1)])
    assert [format_time(10**9), format_time(2 * 10**9)] == [entry.at for entry in merged.entries]


def test_derived_events_follow_the_query_as_stored_ones_do() -> None:
    """Family, instance, time, action, level and words select; a path never matches an event."""
    events = [make_event(1), make_event(5, "terminated", "failure")]

    def chosen(query: Query) -> list[str]:
        return [event.action for event in select_events(events, query)]

    lifecycle: frozenset[Family] = frozenset(("lifecycle",))
    assert ["launched", "terminated"] == chosen(QUERY)
    assert [] == chosen(Query(families=frozenset(("logs",))))
    assert [] == chosen(Query(families=lifecycle, instance_ids=frozenset(("i-1",))))
    assert ["terminated"] == chosen(Query(families=lifecycle, since=format_time(5 * 10**9)))
    assert ["launched"] == chosen(Query(families=lifecycle, until=format_time(4 * 10**9)))
    assert ["terminated"] == chosen(Query(families=lifecycle, actions=frozenset(("terminated",))))
    assert ["terminated"] == chosen(Query(families=lifecycle, levels=frozenset(("error",))))
    assert ["terminated"] == chosen(Query(families=lifecycle, match="AT terminated 5"))
    assert [] == chosen(Query(families=lifecycle, paths=frozenset(("/var/log/syslog",))))
