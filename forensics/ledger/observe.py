"""Remember what AWS says before it forgets: a ledger's facts become stored lifecycle documents.

In: a store and a ledger. Out: how many facts were new; observing twice stores once. This is a
write: only a command that may write calls it (quarantine, demo, watch), looking never does.
"""

from __future__ import annotations

from typing import Final

from forensics.ledger.lifecycle import to_document
from forensics.ledger.model import Ledger
from forensics.store.protocol import Store

FACT_ORIGINS: Final = frozenset(("ec2", "autoscaling"))
"""Whose events are AWS's own facts; streams and quarantine tell their story themselves."""

_BATCH: Final = 500


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
