"""Lifecycle events as documents: ids that repeat, and fields that come back."""

from __future__ import annotations

from dataclasses import replace

from forensics.ledger.lifecycle import event_id, from_document, to_document
from forensics.ledger.model import InstanceRow, InstanceState, Ledger, LifecycleEvent
from forensics.ledger.observe import observe
from forensics.store.protocol import Document
from shipper.wire.record import parse_record_id
from tests.forensics.ledger.memory_store import MemoryStore

EVENT = LifecycleEvent(
    at="2026-01-03T14:05:12.000000000Z",
    instance_id="i-0123456789abcdef0",
    action="snapshot",
    message="EC2 fixed the content of vol-1",
    origin="ec2",
    outcome="success",
    simulated=True,
    case_id="c1",
    subject="snap-1",
    identity={"host.image.id": "ami-1", "aws.autoscaling.group.name": "web"},
)


def test_an_event_comes_back_from_its_document() -> None:
    """Nothing of it is lost on the way."""
    document_id, fields = to_document(EVENT)
    assert EVENT == from_document(Document(document_id, "afterimage-lifecycle-2026.01", fields))


def test_what_is_empty_is_left_out() -> None:
    """A document holds no empty fields, and reads back as empty."""
    event = replace(EVENT, outcome="", case_id="", subject="", simulated=False, identity={})
    document_id, fields = to_document(event)
    assert "" not in fields.values()
    assert event == from_document(Document(document_id, "afterimage-lifecycle-2026.01", fields))


def test_a_happening_has_one_id_however_it_is_worded() -> None:
    """With a subject the message does not count; without, it tells two events apart."""
    assert event_id(EVENT) == event_id(replace(EVENT, message="42 % of vol-1"))
    assert event_id(EVENT) != event_id(replace(EVENT, subject="snap-2"))
    bare = replace(EVENT, subject="")
    assert event_id(bare) != event_id(replace(bare, message="another"))


def test_an_event_id_is_no_record_id() -> None:
    """A store must not take it for a place in a file."""
    try:
        parse_record_id(event_id(EVENT))
    except ValueError:
        return
    raise AssertionError(event_id(EVENT))


async def test_observing_twice_stores_once_and_only_what_aws_said() -> None:
    """Births stay in the vitals; facts of AWS are remembered, image and group with them."""
    birth = replace(EVENT, origin="stream", action="birth", subject="s")
    row = InstanceRow(
        instance_id=EVENT.instance_id,
        state=InstanceState.RUNNING,
        state_reason="",
        events=(EVENT, birth),
    )
    store = MemoryStore()
    assert 1 == await observe(store, Ledger(rows=(row,)))
    assert 0 == await observe(store, Ledger(rows=(row,)))
    [document] = store.documents.values()
    assert "web" == document.text("aws.autoscaling.group.name")
