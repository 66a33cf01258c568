"""The story: four instances of one image under load, one leaks, one fails, both are replaced.

In: a folder, a store, a stand-in account. Out: machines that are real processes, one quarantined
and one terminated instance, and the lifecycle events of what happened. Where AWS would act by
itself and moto does not (health checks, switching a machine off), the demo does, and says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from forensics.demo.account import GROUP, GROUP_SIZE, DemoAccount
from forensics.demo.load import Load
from forensics.demo.machine import Machine
from forensics.demo.progress import Progress
from forensics.errors import TimedOutError
from forensics.evidence.folder import FolderEvidence
from forensics.ledger.lifecycle import to_document
from forensics.ledger.model import LifecycleEvent
from forensics.ports import Account
from forensics.quarantine.facts import fetch_facts
from forensics.quarantine.plan import plan_quarantine
from forensics.quarantine.result import QuarantineResult, StepReport
from forensics.quarantine.run import run_quarantine
from forensics.store.protocol import Store
from shipper.wire.times import format_time

FAULTS: Final = ("leak", "errors", "none", "none")
"""The faults of the group's first four instances."""
FORWARDS: Final = (False, True, False, False)
"""Which of them log to their shipper's socket."""
WAIT_SECONDS: Final = 60
ORDERS_EACH: Final = 20
"""Orders that every living instance has answered before the load ends."""
POLL_SECONDS: Final = 0.2


class Story:
    """The demo's course; `close` ends every process it started."""

    _store: Store

    def __init__(
        self,
        *,
        directory: Path,
        store_url: str,
        account: Account,
        demo_account: DemoAccount,
        progress: Progress,
    ) -> None:
        self._directory = directory
        self._store_url = store_url
        self.account = account
        self._demo_account = demo_account
        self._say = progress.say
        self.machines: dict[str, Machine] = {}
        self._load = Load(lambda: list(self.machines.values()))

    async def run(
        self, store: Store, evidence: FolderEvidence
    ) -> tuple[Machine, Machine, QuarantineResult]:
        """The whole course: (the dead and quarantined machine, the terminated one, the case)."""
        self._store = store
        await self._boot_group()
        self._load.start()
        self._say(f"load: orders to all {GROUP_SIZE} services")
        leaking, failing = list(self.machines.values())[:2]
        await self._terminate_when_unhealthy(failing)
        await self._wait(lambda: not leaking.service_is_running, "the leaking service to die")
        await self._tell(
            leaking,
            "health-check",
            "ELB health check failed: the application no longer answers.",
            origin="elb",
        )
        result = await self._quarantine(leaking, evidence)
        await self._follow_account()
        await self._wait(self._replacements_are_known, "the replacements to serve customers")
        self._load.stop()
        await self._wait(
            lambda: all(m.pending_bytes() <= 0 for m in self.machines.values() if m.is_running),
            "the living instances' shippers to have everything acknowledged",
        )
        return leaking, failing, result

    def resume_load(self) -> None:
        """Let customers come again, so that a viewer sees the living instances live."""
        self._load = Load(lambda: list(self.machines.values()))
        self._load.start()

    def close(self) -> None:
        """End the load and every process."""
        self._load.stop()
        for machine in self.machines.values():
            machine.kill()

    def _replacements_are_known(self) -> bool:
        running = [machine for machine in self.machines.values() if machine.service_is_running]
        return all(self._load.answered[m.instance_id] >= ORDERS_EACH for m in running)

    async def _boot_group(self) -> None:
        members = await asyncio.to_thread(self._demo_account.in_service)
        for instance_id, fault, forwards in zip(members, FAULTS, FORWARDS, strict=True):
            await self._boot(instance_id, fault, forwards=forwards)

    async def _boot(self, instance_id: str, fault: str = "none", *, forwards: bool = False) -> None:
        identity = await asyncio.to_thread(self._demo_account.identity, instance_id)
        machine = Machine(
            identity=identity,
            disk=self._directory / "instances" / instance_id,
            store_url=self._store_url,
            fault=fault,
            forwards=forwards,
        )
        self.machines[instance_id] = machine
        await asyncio.to_thread(machine.start)
        how = "logging to its shipper's socket" if forwards else "logging to files"
        self._say(
            f"{instance_id} boots from {identity.image_id}: shipper, and service {how}",
            simulated=True,
        )

    async def _terminate_when_unhealthy(self, machine: Machine) -> None:
        await self._wait(lambda: machine.get("/health") != 200, "the failing service to fail")  # noqa: PLR2004 - HTTP's OK
        await self._tell(
            machine,
            "health-check",
            "ELB health check failed: the application answers 503.",
            origin="elb",
        )
        await asyncio.to_thread(
            self._demo_account.autoscaling.terminate_instance_in_auto_scaling_group,
            InstanceId=machine.instance_id,
            ShouldDecrementDesiredCapacity=False,
        )
        await self._tell(
            machine,
            "terminated",
            f"Auto Scaling group {GROUP} terminates the unhealthy instance and launches another.",
            origin="autoscaling",
        )
        await self._follow_account()

    async def _quarantine(self, machine: Machine, evidence: FolderEvidence) -> QuarantineResult:
        facts = await asyncio.to_thread(fetch_facts, self.account, machine.instance_id)
        plan = plan_quarantine(facts)
        self._say(f"{machine.instance_id} is quarantined: {len(plan.steps)} steps")
        return await run_quarantine(
            plan, self.account, evidence, store=self._store, on_step=self._say_step
        )

    def _say_step(self, report: StepReport) -> None:
        if report.is_end:
            said = f": {report.message}" if report.message else ""
            self._say(f"  {report.number}/{report.total} {report.title}: {report.state}{said}")

    async def _follow_account(self) -> None:
        """Do to the machines what the account says of them: switch off, boot replacements."""
        running = [machine for machine in self.machines.values() if machine.is_running]
        ids = [machine.instance_id for machine in running]
        ended = await asyncio.to_thread(self._demo_account.ended, ids)
        for machine in running:
            if machine.instance_id in ended:
                self._say(f"{machine.instance_id} is switched off: SIGTERM to all", simulated=True)
                await asyncio.to_thread(machine.shut_down)
        members = await asyncio.to_thread(self._demo_account.in_service)
        for instance_id in members:
            if instance_id not in self.machines:
                await self._boot(instance_id)

    async def _tell(self, machine: Machine, action: str, message: str, *, origin: str) -> None:
        self._say(f"{machine.instance_id}: {message}", simulated=True)
        event = LifecycleEvent(
            at=format_time(time.time_ns()),
            instance_id=machine.instance_id,
            action=action,
            message=message,
            origin=origin,
            simulated=True,
            identity=machine.identity.as_fields(),
        )
        await self._store.put_lifecycle([to_document(event)])

    async def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not await asyncio.to_thread(condition):
            if time.monotonic() > deadline:
                raise TimedOutError(
                    f"waited {WAIT_SECONDS} s for {what}",
                    why=_states(list(self.machines.values())),
                    next_step=f"look into {self._directory}",
                )
            await asyncio.sleep(POLL_SECONDS)


def _states(machines: Sequence[Machine]) -> str:
    return ", ".join(
        f"{machine.instance_id}: service {'up' if machine.service_is_running else 'down'}, "
        f"{machine.pending_bytes()} bytes pending"
        for machine in machines
    )
