"""It went silent: no goodbye, and how much of its last words may be unheard.

In: what was observed. Out: at most one finding. A closing record means a clean end; without one the
last heartbeat says how many bytes the shipper had read and not yet delivered, and without that
nobody knows the size of the tail.
"""

from __future__ import annotations

from typing import Final

from forensics.findings.finding import (
    Confidence,
    Finding,
    Observed,
    Reference,
    record_reference,
)
from forensics.findings.nearness import SILENT_SECONDS, seconds_between
from forensics.ledger.model import InstanceState

_LIVING: Final = frozenset((InstanceState.RUNNING, InstanceState.UNKNOWN))


def find_silence(observed: Observed) -> Finding | None:
    """No closing record came, and the instance ended or gives no sign."""
    instance = observed.instance
    if instance.closed or not instance.last_sign_at:
        return None
    silent_seconds = seconds_between(instance.last_sign_at, observed.now)
    if not observed.ended and not (instance.state in _LIVING and silent_seconds > SILENT_SECONDS):
        return None
    return Finding(
        name="silence",
        title="It ended without a goodbye" if observed.ended else "It went silent",
        statement=f"No closing record came after its last sign of life. {_tail(observed)}",
        confidence=Confidence.CERTAIN if observed.ended else Confidence.LIKELY,
        weight=30,
        evidence=_evidence(observed),
    )


def _tail(observed: Observed) -> str:
    counters = pending_bytes(observed)
    if counters is None:
        return "No heartbeat tells how many bytes it had still to send: the tail's size is unknown."
    if counters == 0:
        return (
            "At its last heartbeat nothing was waiting to be sent; what was written after that is "
            "unheard."
        )
    return (
        f"At its last heartbeat {counters:,} bytes were read and not yet stored; what was written "
        "after that is unheard."
    )


def pending_bytes(observed: Observed) -> int | None:
    """Bytes that the last heartbeat says were waiting; None: no heartbeat, or it doesn't say."""
    value = observed.heartbeat.get("afterimage.counters.pending_bytes")
    return value if isinstance(value, int) else None


def _evidence(observed: Observed) -> tuple[Reference, ...]:
    instance = observed.instance
    sign = Reference(
        id=observed.heartbeat_id,
        at=instance.last_sign_at,
        where="stream",
        quote="last sign of life",
    )
    if observed.records:
        return (sign, record_reference(observed.records[-1]))
    return (sign,)
