"""Logs, stored lifecycle and derived events of one instance in one line of time, page by page.

In: a page of a store's documents (ascending), a row's derived events, and the cursors that the page
was asked with. Out: entries by time. Pure. It must never show an event twice or lose one, whichever
way and however finely a reader pages.

A derived event stands at the cursor at which its document would stand, so pages of documents cut
the line of time for events too: each page owns the stretch between its cursors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from forensics.ledger.lifecycle import event_id, from_document
from forensics.ledger.model import LifecycleEvent
from forensics.store.protocol import Cursor, Document, Page, Query

_WORD: Final = re.compile(r"[^\W_]+")
_FAILURE_LEVEL: Final = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One line of the timeline."""

    at: str
    """30-character time."""
    kind: Literal["log", "lifecycle"]
    level: str
    """`log.level`; of a lifecycle event `error` if it failed, otherwise empty."""
    text: str
    """Message. Hostile text: show it only through `forensics.safe_text`."""
    cursor: Cursor
    """Where it stands: pages go on after or before it."""
    document: Document | None = None
    """The stored document; None: the event is derived, not stored."""
    event: LifecycleEvent | None = None
    """The lifecycle event; None: it is a log line."""


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Entries in ascending time order."""

    entries: Sequence[TimelineEntry]
    more: bool
    """Whether the store holds more in the direction that was asked for."""
    first: Cursor | None
    """Page on with `before=first`; None: there is nothing."""
    last: Cursor | None
    """Page on with `after=last`; None: there is nothing."""


def merge_page(
    page: Page,
    events: Iterable[LifecycleEvent],
    *,
    after: Cursor | None = None,
    before: Cursor | None = None,
) -> TimelinePage:
    """The page with the derived events of its stretch; `after`, `before` as `Store.page` got them.

    A page with more behind it ends at its outermost document; one with nothing behind it reaches to
    the end of time in that direction.
    """
    documents = page.documents
    low, high = (None, before) if before is not None else (after, None)
    if page.more and documents:
        if before is not None:  # backward, as in `Store.page`
            low = documents[0].cursor
        else:
            high = documents[-1].cursor
    stored = {document.id for document in documents}
    derived = [
        entry
        for entry in map(_derived_entry, events)
        if entry.cursor.id not in stored and _is_within(entry.cursor, low, high)
    ]
    entries = sorted((*map(document_entry, documents), *derived), key=lambda entry: entry.cursor)
    return TimelinePage(
        entries=entries,
        more=page.more,
        first=entries[0].cursor if entries else None,
        last=entries[-1].cursor if entries else None,
    )


def _is_within(cursor: Cursor, low: Cursor | None, high: Cursor | None) -> bool:
    """Strictly between; no event stands where a document does, unless it is that document."""
    return (low is None or cursor > low) and (high is None or cursor < high)


def document_entry(document: Document) -> TimelineEntry:
    """A stored document as an entry."""
    if document.family == "logs":
        return TimelineEntry(
            at=document.timestamp,
            kind="log",
            level=document.level,
            text=document.message,
            cursor=document.cursor,
            document=document,
        )
    event = from_document(document)
    return TimelineEntry(
        at=document.timestamp,
        kind="lifecycle",
        level=_level(event),
        text=document.message,
        cursor=document.cursor,
        document=document,
        event=event,
    )


def _derived_entry(event: LifecycleEvent) -> TimelineEntry:
    return TimelineEntry(
        at=event.at,
        kind="lifecycle",
        level=_level(event),
        text=event.message,
        cursor=Cursor(event.at, id=event_id(event)),
        event=event,
    )


def select_events(events: Iterable[LifecycleEvent], query: Query) -> Sequence[LifecycleEvent]:
    """Those derived events that the query would find if they were stored."""
    if "lifecycle" not in query.families or query.paths:
        return ()
    words = _words(query.match)
    return [
        event
        for event in events
        if (not query.instance_ids or event.instance_id in query.instance_ids)
        and (not query.since or event.at >= query.since)
        and (not query.until or event.at <= query.until)
        and (not query.actions or event.action in query.actions)
        and (not query.levels or _level(event) in query.levels)
        and words <= _words(event.message)
    ]


def _level(event: LifecycleEvent) -> str:
    return _FAILURE_LEVEL if event.outcome == "failure" else ""


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
