"""Records, events and rows for the findings, made from a few words each."""

from __future__ import annotations

from forensics.findings.finding import Observed
from forensics.ledger.model import InstanceRow, InstanceState, LifecycleEvent
from forensics.store.protocol import Document

INSTANCE = "i-0123456789abcdef0"
STREAM = "abcdef0123456789"


def at(seconds: int) -> str:
    """A 30-character time `seconds` after noon."""
    minutes, second = divmod(seconds, 60)
    return f"2026-01-03T{12 + minutes // 60:02d}:{minutes % 60:02d}:{second:02d}.000000000Z"


def record(message: str, *, second: int = 0, source: int = 1, level: str = "") -> Document:
    """A stored log line of `/var/log/appN.log` at `second` after noon."""
    fields: dict[str, object] = {
        "@timestamp": at(second),
        "event.created": at(second),
        "message": message,
        "cloud.instance.id": INSTANCE,
        "log.file.path": f"/var/log/app{source}.log",
    }
    if level:
        fields["log.level"] = level
    return Document(f"{STREAM}-{source}-{second * 1000}-10-00000000", "afterimage-logs-x", fields)


def event(
    message: str, *, second: int = 0, origin: str = "ec2", action: str = "x"
) -> LifecycleEvent:
    """What AWS did at `second` after noon."""
    return LifecycleEvent(
        at=at(second), instance_id=INSTANCE, action=action, message=message, origin=origin
    )


def observe(
    *messages: str | Document,
    state: InstanceState = InstanceState.TERMINATED,
    reason: str = "",
    closed: bool = False,
    events: tuple[LifecycleEvent, ...] = (),
    heartbeat: dict[str, object] | None = None,
    now: str = "2026-01-03T14:00:00.000000000Z",
) -> Observed:
    """`Observed` of an instance with those records, one second apart."""
    records = [
        message if isinstance(message, Document) else record(message, second=second)
        for second, message in enumerate(messages)
    ]
    last = records[-1].timestamp if records else at(0)
    return Observed(
        instance=InstanceRow(
            instance_id=INSTANCE,
            state=state,
            state_reason=reason,
            closed=closed,
            last_sign_at=last,
            last_word_at=last,
        ),
        records=records,
        lifecycle=events,
        heartbeat=heartbeat or {},
        now=now,
    )
