"""Lifecycle events as stored documents and back, and remembering what AWS says before it forgets.

In: `LifecycleEvent`s, or a ledger. Out: (id, fields) for `Store.put_lifecycle`. Ids are made of
what happened, so that observing twice stores once. Only `observe` writes, and only a command that
may write calls it: looking never does.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from forensics.ledger.model import Ledger, LifecycleEvent
from forensics.store.protocol import Document, Store
from shipper.wire.record import IDENTITY_FIELDS

DATASET: Final = "afterimage.lifecycle"
FACT_ORIGINS: Final = frozenset(("ec2", "autoscaling"))
"""Whose events are AWS's own facts; the rest tell their story themselves."""

_ID_CHARACTERS: Final = 32
_BATCH: Final = 500
_IDENTITY: Final = frozenset(IDENTITY_FIELDS.values()) - {IDENTITY_FIELDS["instance_id"]}


def event_id(event: LifecycleEvent) -> str:
    """The event's document id: the same for the same happening, whoever observes it, whenever.

    The message counts only where there is no subject: AWS words the same fact differently as an
    activity goes on.
    """
    what = (
        event.instance_id, event.origin, event.action, event.at, event.case_id,
        event.subject or event.message,
    )  # fmt: skip
    digest = hashlib.sha256("\0".join(what).encode("utf-8", "backslashreplace"))
    return f"life-{digest.hexdigest()[:_ID_CHARACTERS]}"


def to_document(event: LifecycleEvent) -> tuple[str, dict[str, Any]]:
    """(id, fields) as `Store.put_lifecycle` takes them."""
    fields: dict[str, Any] = {
        "@timestamp": event.at,
        "event.dataset": DATASET,
        "event.action": event.action,
        "event.provider": event.origin,
        "message": event.message,
        "cloud.instance.id": event.instance_id,
        "afterimage.simulated": event.simulated,
        **{name: value for name, value in event.identity.items() if name in _IDENTITY and value},
    }
    optional = {
        "event.outcome": event.outcome,
        "event.id": event.subject,
        "afterimage.case": event.case_id,
    }
    fields.update({name: value for name, value in optional.items() if value})
    return event_id(event), fields


def from_document(document: Document) -> LifecycleEvent:
    """The event that a stored document tells; what it leaves out is empty."""
    return LifecycleEvent(
        at=document.timestamp,
        instance_id=document.instance_id,
        action=document.text("event.action"),
        message=document.message,
        origin=document.text("event.provider"),
        outcome=document.text("event.outcome"),
        simulated=document.fields.get("afterimage.simulated") is True,
        case_id=document.text("afterimage.case"),
        subject=document.text("event.id"),
        identity={name: document.text(name) for name in _IDENTITY if document.text(name)},
    )


async def observe(store: Store, ledger: Ledger) -> int:
    """Store what EC2 and Auto Scaling said of every row; returns how many facts were new."""
    documents = [
        to_document(event)
        for row in ledger.rows
        for event in row.events
        if event.origin in FACT_ORIGINS
    ]
    new = 0
    for start in range(0, len(documents), _BATCH):
        new += await store.put_lifecycle(documents[start : start + _BATCH])
    return new
