"""Runs of a quarantine for tests: over the account in memory, with an evidence store in memory.

In: a state, and what is to go wrong. Out: the result, and the state's summary to compare runs by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from forensics.errors import NotFoundError
from forensics.evidence.ports import EvidenceStore
from forensics.quarantine.facts import fetch_facts
from forensics.quarantine.model import Mode, Plan
from forensics.quarantine.plan import plan_quarantine
from forensics.quarantine.result import Limits, QuarantineResult, StepReport
from forensics.quarantine.run import run_quarantine
from forensics.store.protocol import Store
from tests.forensics.quarantine.fake_account import INSTANCE, FakeAccount, State, Tap


class KilledError(BaseException):
    """The process is no more: nothing may catch this."""


@dataclass
class MemoryEvidence:
    """Implements `EvidenceStore`; `tap` sees each put."""

    objects: dict[str, bytes] = field(default_factory=dict)
    tap: Tap = lambda *_: None

    def put_new(self, key: str, data: bytes) -> bool:
        """See `EvidenceStore`."""
        self.tap("put_new", "before")
        is_new = self.objects.setdefault(key, data) is data
        self.tap("put_new", "after")
        return is_new

    def get(self, key: str) -> bytes:
        """See `EvidenceStore`."""
        if key not in self.objects:
            raise NotFoundError(f"no {key}")
        return self.objects[key]

    def list(self, prefix: str) -> Sequence[str]:
        """See `EvidenceStore`."""
        return sorted(key for key in self.objects if key.startswith(prefix))


@dataclass
class KillAt:
    """A tap that ends the run at its n-th event, and everything after it."""

    at: int
    seen: int = 0

    def __call__(self, name: str, when: str) -> None:
        """Count one event."""
        self.seen += 1
        if self.seen >= self.at:
            raise KilledError(name, when)


@dataclass
class FailAt:
    """A tap that raises at the calls of one method, the first `times`."""

    method: str
    error: Exception
    times: int = 10_000
    when: str = "before"

    def __call__(self, name: str, when: str) -> None:
        """Fail or let pass."""
        if name == self.method and when == self.when and self.times:
            self.times -= 1
            raise self.error


def quarantine(
    state: State,
    evidence: EvidenceStore,
    tap: Tap = lambda *_: None,
    *,
    mode: Mode = Mode.FAULT,
    keep_running: bool = False,
    accept_outage: bool = False,
    store: Store | None = None,
    wait_snapshots: bool = False,
    limits: Limits | None = None,
    on_step: Callable[[StepReport], None] = lambda _: None,
    plan: Plan | None = None,
) -> QuarantineResult:
    """Plan with an undisturbed look, if there is no plan, then run with the tap on every call."""
    if plan is None:
        facts = fetch_facts(FakeAccount(state), INSTANCE, clock=state.clock)
        plan = plan_quarantine(
            facts, mode=mode, keep_running=keep_running, accept_outage=accept_outage
        )
    return asyncio.run(
        run_quarantine(
            plan,
            FakeAccount(state, tap),
            evidence,
            store=store,
            on_step=on_step,
            wait_snapshots=wait_snapshots,
            limits=limits,
            clock=state.clock,
            sleep=state.sleep,
        )
    )


def summary(state: State) -> dict[str, object]:
    """What the account looks like, without ids and times that differ from run to run."""
    names = {group.group_id: group.name for group in state.security_groups.values()}
    return {
        "snapshots": sorted(
            (snapshot.volume_id, snapshot.description, sorted(snapshot.tags.items()))
            for snapshot in state.snapshots.values()
        ),
        "security groups": sorted(
            (group.name, group.vpc_id, group.ingress, group.egress, sorted(group.tags.items()))
            for group in state.security_groups.values()
        ),
        "interfaces": {
            interface.interface_id: [names[group_id] for group_id in interface.group_ids]
            for interface in state.interfaces.values()
        },
        "instances": {
            instance.instance_id: (
                instance.state,
                sorted(instance.tags.items()),
                instance.block_devices,
                instance.auto_recovery,
            )
            for instance in state.instances.values()
        },
        "attributes": state.attributes,
        "members": {
            group.name: (
                group.desired_capacity,
                sorted(member.lifecycle_state for member in group.members),
            )
            for group in state.groups.values()
        },
        "targets": sorted(
            (target.target_id, target.port or 0, target.state)
            for target in state.targets
            if target.state != "draining"  # it ends by itself
        ),
    }
