"""Real processes, real boto3, an account in a moto server: killed, raced, and compared.

moto lacks ModifyInstanceMaintenanceOptions, so the best outcome here is degraded, with that reason.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.client
import pytest

from forensics.evidence.custody import CustodyLog
from forensics.evidence.folder import FolderEvidence
from forensics.quarantine.claim import load_claim, save_claim
from forensics.quarantine.entries import RunEnded
from forensics.quarantine.facts import fetch_facts
from forensics.quarantine.journal import Journal
from forensics.quarantine.model import Mode, Plan
from forensics.quarantine.plan import plan_quarantine
from forensics.quarantine.render import render_plan
from forensics.quarantine.result import Limits, Outcome
from forensics.quarantine.run import run_quarantine
from tests.everything import ALL
from tests.forensics.moto_account import Group, MotoAccount

pytestmark = pytest.mark.slow

Orders = Callable[[Sequence[Mapping[str, Any]]], list[dict[str, Any]]]
REASON = "protect: ec2 ModifyInstanceMaintenanceOptions failed: {url} gave no AWS answer"
LIMITS = Limits(backoff_seconds=0.05, poll_seconds=0.05, visible_seconds=1)


@pytest.fixture
def orders(moto: MotoAccount) -> Iterator[Orders]:
    """Gives orders to a process that forks a quarantine for each."""
    script = Path(__file__).with_name("quarantine_process.py")
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout
        assert "ready\n" == stdout.readline()

        def give(several: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
            stdin.write(json.dumps(list(several)) + "\n")
            stdin.flush()
            answers: list[dict[str, Any]] = json.loads(stdout.readline())
            return answers

        yield give
        stdin.close()
        process.wait(timeout=20)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}


def order(
    instance_id: str, evidence: Path, *, kill_at: int = 0, when: str = "before"
) -> dict[str, Any]:
    """One quarantine in fault mode."""
    return {
        "instance_id": instance_id,
        "evidence": str(evidence),
        "mode": "fault",
        "keep_running": False,
        "kill_at": kill_at,
        "when": when,
    }


def summary(moto: MotoAccount, group: Group, instance_id: str, case_id: str) -> dict[str, object]:
    """What the account says of one instance, without ids that differ from instance to instance."""

    def named(text: str) -> str:
        for found, word in ((case_id, "CASE"), (instance_id, "INSTANCE"), (group.name, "GROUP"),
                            (group.image_id, "IMAGE")):  # fmt: skip
            text = text.replace(found, word)
        return text

    account = moto.account
    (instance,) = account.ec2.describe_instances(frozenset((instance_id,)))
    snapshots = account.ec2.describe_snapshots(tags={"afterimage:instance": instance_id})
    interfaces = account.ec2.describe_network_interfaces(instance_id)
    closed = account.ec2.find_security_group(name="afterimage-closed", vpc_id=group.vpc_id)
    assert closed is not None
    return {
        "state": instance.state,
        "tags": sorted(
            (key, named(value))
            for key, value in instance.tags.items()
            if "launchtemplate" not in key
        ),
        "kept": [device.delete_on_termination for device in instance.block_devices],
        "attributes": account.ec2.describe_instance_attributes(instance_id),
        "snapshots": Counter(
            (named(snapshot.description), tuple(sorted(map(named, snapshot.tags.values()))))
            for snapshot in snapshots
        ),
        "interfaces": [
            [group_id == closed.group_id for group_id in interface.group_ids]
            for interface in interfaces
        ],
        "closed group": (closed.ingress, closed.egress),
        "member": instance_id in moto.members(group.name),
        "targets": [
            target.target_id
            for target in account.load_balancing.describe_target_health(group.target_group_arn)
            if target.target_id == instance_id
        ],
    }


def assert_one_verified_case(evidence: Path, instance_id: str) -> str:
    """One claim, one case folder for the instance, chains that verify; gives the case's id."""
    store = FolderEvidence(evidence)
    assert 1 == len(store.list(f"cases/by-instance/{instance_id}/"))
    claim = load_claim(store, instance_id)
    assert claim is not None
    assert isinstance(Journal(store, claim.case_id).read()[-1], RunEnded)
    subjects = [entry.subject for entry in CustodyLog(store, claim.case_id).read()]
    assert len(subjects) == len(set(subjects))
    assert [claim.case_id] == sorted(
        {key.split("/")[1] for key in store.list(f"cases/case-{instance_id}")}
    )
    return claim.case_id


CREATIONS = ("DetachInstances", "CreateSnapshots", "CreateSecurityGroup")
"""What would be done twice if it were sent twice."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_process_killed_after_each_request_is_completed_by_the_next(
    moto: MotoAccount, orders: Orders, tmp_path: Path
) -> None:
    """SIGKILL after changing requests (each, under ALL=1), and before what could come twice."""
    measure = undisturbed(moto, orders, tmp_path)
    requests = measure.requests
    moments = [
        (n, "after")
        for n, name in enumerate(requests, start=1)
        if ALL or n % 3 == 0 or name in CREATIONS
    ] + [(n, "before") for n, name in enumerate(requests, start=1) if name in CREATIONS]
    kill_and_resume(moto, orders, tmp_path, moments, measure)
    print(f"{len(moments)} SIGKILLs around {len(requests)} requests")  # noqa: T201 - measured
    assert len(moments) >= (16 if ALL else 8)


@pytest.mark.everything
@pytest.mark.timeout(600)
def test_a_process_killed_before_each_other_request_is_completed_by_the_next(
    moto: MotoAccount, orders: Orders, tmp_path: Path
) -> None:
    """SIGKILL before each changing request that the test above leaves out."""
    measure = undisturbed(moto, orders, tmp_path)
    requests = measure.requests
    moments = [(n, "before") for n, name in enumerate(requests, start=1) if name not in CREATIONS]
    kill_and_resume(moto, orders, tmp_path, moments, measure)
    print(f"{len(moments)} SIGKILLs before {len(requests)} requests")  # noqa: T201 - measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What a run that nobody disturbed sent, said and left behind."""

    requests: list[str]
    reasons: list[str]
    account: dict[str, object]


def undisturbed(moto: MotoAccount, orders: Orders, tmp_path: Path) -> Measure:
    """The measure that the others are held to."""
    group = moto.build_group(1, name="undisturbed")
    evidence = tmp_path / "undisturbed"
    (answer,) = orders([order(group.instance_ids[0], evidence)])
    found = summary(moto, group, group.instance_ids[0], answer["result"]["result"]["case_id"])
    assert ([[True]], "stopped", False) == (found["interfaces"], found["state"], found["member"])
    return Measure(
        requests=[name for name, _ in answer["result"]["requests"]],
        reasons=answer["result"]["result"]["reasons"],
        account=found,
    )


def kill_and_resume(
    moto: MotoAccount,
    orders: Orders,
    tmp_path: Path,
    moments: Sequence[tuple[int, str]],
    measure: Measure,
) -> None:
    """At each moment, in a group of its own: kill, run again, compare with the undisturbed one."""
    for kill_at, when in moments:
        evidence = tmp_path / f"{kill_at}-{when}"
        group = moto.build_group(1, name=f"web-{kill_at}-{when}")
        instance_id = group.instance_ids[0]
        (killed,) = orders([order(instance_id, evidence, kill_at=kill_at, when=when)])
        (resumed,) = orders([order(instance_id, evidence)])
        assert (True, False) == (killed["killed"], resumed["killed"])
        assert measure.reasons == resumed["result"]["result"]["reasons"]
        case_id = assert_one_verified_case(evidence, instance_id)
        found = summary(moto, group, instance_id, case_id)
        assert measure.account == found, (kill_at, when)
        assert 1 == len(moto.members(group.name))


@pytest.mark.slow
def test_processes_at_once_make_one_case_and_one_set_of_snapshots(
    moto: MotoAccount, orders: Orders, tmp_path: Path
) -> None:
    """Three at the same moment: one claims, the others wait for their turn and adopt it."""
    group = moto.build_group(3)
    for round_number in range(3):
        evidence = tmp_path / str(round_number)
        instance_id = moto.members()[0]
        answers = orders([order(instance_id, evidence)] * 3)
        results = [answer["result"]["result"] for answer in answers]
        case_id = assert_one_verified_case(evidence, instance_id)
        assert {case_id} == {result["case_id"] for result in results}
        snapshots = moto.account.ec2.describe_snapshots(tags={"afterimage:instance": instance_id})
        assert [["first", "second"]] * 3 == [
            sorted(
                snapshot.tags["afterimage:phase"]
                for snapshot in snapshots
                if snapshot.snapshot_id in result["snapshot_ids"]
            )
            for result in results
        ]
        assert 2 == len(snapshots)
        sent = Counter(name for answer in answers for name, _ in answer["result"]["requests"])
        assert (2, 1, 1) == (
            sent["CreateSnapshots"], sent["DetachInstances"], sent["StopInstances"]
        )  # fmt: skip
        assert 3 == len(moto.members(group.name))


def plan_for(moto: MotoAccount, instance_id: str, **options: Any) -> Plan:
    """A plan from a fresh look."""
    return plan_quarantine(fetch_facts(moto.account, instance_id), **options)


@pytest.mark.parametrize("keep_running", [False, True])
def test_the_plan_shows_each_request_as_it_is_sent(
    moto: MotoAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keep_running: bool
) -> None:
    """What botocore sends is what the plan says, but for ids of groups that were not made yet."""
    group = moto.build_group(2)
    plan = plan_for(moto, group.instance_ids[0], mode=Mode.ATTACK, keep_running=keep_running)
    sent: list[tuple[str, Any]] = []
    client_class: Any = botocore.client.BaseClient
    ask = client_class._make_api_call

    def ask_and_note(client: Any, operation: str, parameters: Any) -> Any:
        if not operation.startswith(("Describe", "GetCallerIdentity")):
            sent.append((operation, json.loads(json.dumps(parameters))))
        return ask(client, operation, parameters)

    monkeypatch.setattr(client_class, "_make_api_call", ask_and_note)
    evidence = FolderEvidence(tmp_path)
    asyncio.run(run_quarantine(plan, moto.account, evidence, limits=LIMITS))
    ids = {
        f"<id of {name} in {group.vpc_id}>": found.group_id
        for name in ("afterimage-closed", "afterimage-open")
        if (found := moto.account.ec2.find_security_group(name=name, vpc_id=group.vpc_id))
    }
    planned = json.dumps(
        [
            (call.api.partition(":")[2], call.parameters)
            for step in plan.steps
            for call in step.calls
        ]
    )
    for reference, group_id in ids.items():
        planned = planned.replace(reference, group_id)
    expected = [tuple(call) for call in json.loads(planned)]
    assert sent == [call for call in expected if call in sent]
    # Not sent, since they are so already or only look.
    assert {"ModifyInstanceAttribute", "DescribeAutoScalingGroups"} >= {
        name for name, parameters in expected if (name, parameters) not in sent
    }


@pytest.mark.slow
def test_what_moto_lacks_is_degraded_with_its_reason(moto: MotoAccount, tmp_path: Path) -> None:
    """No traceback: the outcome names the call and the endpoint that did not know it."""
    group = moto.build_group(2)
    plan = plan_for(moto, group.instance_ids[0])
    evidence = FolderEvidence(tmp_path)
    result = asyncio.run(run_quarantine(plan, moto.account, evidence, limits=LIMITS))
    assert Outcome.DEGRADED is result.outcome
    (reason,) = result.reasons
    assert reason.startswith(REASON.format(url=moto.url))
    assert f"endpoint {moto.url} (not AWS)" in render_plan(plan)
    second = plan_for(moto, group.instance_ids[0])
    again = asyncio.run(run_quarantine(second, moto.account, evidence, limits=LIMITS))
    assert (result.outcome, list(result.reasons), list(result.snapshot_ids)) == (
        again.outcome, list(again.reasons), list(again.snapshot_ids)
    )  # fmt: skip


def test_a_terminated_instance_leaves_a_case_that_is_lost(
    moto: MotoAccount, tmp_path: Path
) -> None:
    """An answer without snapshots and without error is not taken for a snapshot."""
    group = moto.build_group(2)
    instance_id = group.instance_ids[0]
    moto.ec2.terminate_instances(InstanceIds=[instance_id])
    plan = plan_for(moto, instance_id, accept_outage=True)
    evidence = FolderEvidence(tmp_path)
    result = asyncio.run(run_quarantine(plan, moto.account, evidence, limits=LIMITS))
    assert (Outcome.LOST, []) == (result.outcome, list(result.snapshot_ids))
    assert any("terminated" in reason for reason in result.reasons)


def test_volumes_that_outlived_their_instance_are_snapshotted(
    moto: MotoAccount, tmp_path: Path
) -> None:
    """Claimed and protected, then terminated by somebody: the next run saves the volumes."""
    group = moto.build_group(2)
    instance_id = group.instance_ids[0]
    evidence = FolderEvidence(tmp_path)
    plan = plan_for(moto, instance_id)

    moto.account.ec2.set_delete_on_termination(
        instance_id, dict.fromkeys(_devices(moto, instance_id), False)
    )
    save_claim(evidence, plan)
    moto.ec2.terminate_instances(InstanceIds=[instance_id])
    result = asyncio.run(run_quarantine(plan, moto.account, evidence, limits=LIMITS))
    assert Outcome.DEGRADED is result.outcome
    snapshots = moto.account.ec2.describe_snapshots(tags={"afterimage:case": result.case_id})
    assert set(plan.volume_ids) == {snapshot.volume_id for snapshot in snapshots}


def _devices(moto: MotoAccount, instance_id: str) -> list[str]:
    (instance,) = moto.account.ec2.describe_instances(frozenset((instance_id,)))
    return [device.device_name for device in instance.block_devices]
