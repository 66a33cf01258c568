"""Lifecycle events as stored documents, and back.

In: a `LifecycleEvent`, or a store's document. Out: (id, fields) for `Store.put_lifecycle`, or the
event. Pure. Ids are made of what happened, so that the same happening is never stored twice.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from forensics.ledger.model import LifecycleEvent
from forensics.store.protocol import Document
from shipper.wire.record import IDENTITY_FIELDS

DATASET: Final = "afterimage.lifecycle"
_ID_CHARACTERS: Final = 32
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
