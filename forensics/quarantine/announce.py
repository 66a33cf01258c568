"""Tells the centre what a quarantine did, as lifecycle events, and never waits for it long.

In: a case's journal, and a store. Out: events whose ids come from the journal, so that a repeat
stores nothing twice; whether the centre took them.
Must never fail or delay the quarantine: a dead centre is a note.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from forensics.errors import ForensicsError
from forensics.evidence.ports import EvidenceStore
from forensics.ledger.lifecycle import to_document
from forensics.ledger.model import LifecycleEvent
from forensics.quarantine.claim import load_claim
from forensics.quarantine.entries import JournalEntry, RunEnded, StepEnded
from forensics.quarantine.journal import Journal
from forensics.quarantine.model import Plan
from forensics.quarantine.result import Limits
from forensics.store.protocol import Store
from shipper.wire.record import IDENTITY_FIELDS

_ECS_OUTCOMES: Mapping[str, str] = {
    "done": "success",
    "already": "success",
    "complete": "success",
    "degraded": "failure",
    "skipped": "failure",
    "lost": "failure",
}


def lifecycle_events(plan: Plan, entries: Sequence[JournalEntry]) -> Sequence[LifecycleEvent]:
    """What the journal tells of steps and outcomes, an event for each."""
    return [
        LifecycleEvent(
            at=entry.at,
            instance_id=plan.instance_id,
            action=_action(entry),
            message=_message(entry),
            origin="quarantine",
            outcome=_ECS_OUTCOMES.get(entry.outcome, "unknown"),
            case_id=plan.case_id,
            subject=f"journal entry {entry.n}",
            identity={
                IDENTITY_FIELDS["image_id"]: plan.image_id,
                IDENTITY_FIELDS["region"]: plan.region,
                IDENTITY_FIELDS["account_id"]: plan.account_id,
                IDENTITY_FIELDS["group"]: plan.group,
            },
        )
        for entry in entries
        if isinstance(entry, StepEnded | RunEnded)
    ]


class CentreFeed:
    """Sends what the journal of an instance's case says and the centre was not told yet."""

    def __init__(
        self, store: Store, evidence: EvidenceStore, instance_id: str, limits: Limits
    ) -> None:
        self.changed = asyncio.Event()
        """Set it when the journal has grown."""
        self._store = store
        self._evidence = evidence
        self._instance_id = instance_id
        self._limits = limits
        self._sent: set[LifecycleEvent] = set()

    async def follow(self) -> None:
        """Send as the journal grows, until cancelled, or until the centre fails once."""
        while True:
            await self.changed.wait()
            self.changed.clear()
            if await self.catch_up():
                return

    async def catch_up(self) -> str:
        """Send what is left to send; empty, or why the centre did not take it in time."""
        try:
            events = [
                event for event in await asyncio.to_thread(self._events) if event not in self._sent
            ]
            if events:
                async with asyncio.timeout(self._limits.centre_seconds):
                    await self._store.put_lifecycle([to_document(event) for event in events])
                self._sent.update(events)
        except TimeoutError:
            return f"no answer within {self._limits.centre_seconds:g} s"
        except ForensicsError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever the centre's client raises, the quarantine's result must get through
            return f"{type(error).__name__}: {error}"
        return ""

    def _events(self) -> Sequence[LifecycleEvent]:
        claim = load_claim(self._evidence, self._instance_id)
        if claim is None:
            return ()
        return lifecycle_events(claim.plan, Journal(self._evidence, claim.case_id).read())


def _action(entry: StepEnded | RunEnded) -> str:
    return "quarantined" if isinstance(entry, RunEnded) else entry.step


def _message(entry: StepEnded | RunEnded) -> str:
    if isinstance(entry, RunEnded):
        because = "; ".join(entry.reasons)
        return f"quarantine: {entry.outcome}" + (f" ({because})" if because else "")
    message = f" ({entry.message})" if entry.message else ""
    return f"quarantine: {entry.title}: {entry.outcome}{message}"
