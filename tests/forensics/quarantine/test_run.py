"""A run: what it brings about, what it does when AWS refuses, and what it says of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from forensics.errors import (
    IntegrityError,
    NotFoundError,
    RefusedError,
    StateConflictError,
    UnreachableError,
    UnsupportedError,
    UsageError,
)
from forensics.evidence.chain import encode_canonical
from forensics.evidence.custody import CustodyLog
from forensics.ports import CASE_TAG, STATE_TAG, NetworkInterface, SecurityRule
from forensics.quarantine.claim import load_claim
from forensics.quarantine.entries import Answered, Intended, Joined, OfCall, RunEnded
from forensics.quarantine.facts import fetch_facts
from forensics.quarantine.journal import Journal
from forensics.quarantine.lease import Lease
from forensics.quarantine.model import Mode
from forensics.quarantine.plan import plan_quarantine
from forensics.quarantine.result import Limits, Outcome, StepReport, StepState
from forensics.quarantine.run import run_quarantine
from tests.forensics.ledger.memory_store import MemoryStore
from tests.forensics.quarantine.fake_account import (
    ALL_OUT,
    GROUP,
    INSTANCE,
    FakeAccount,
    FakeAutoScaling,
    State,
    build_state,
)
from tests.forensics.quarantine.quarantines import (
    FailAt,
    KilledError,
    MemoryEvidence,
    quarantine,
    summary,
)

CASE = f"case-{INSTANCE}-20260103T140512Z"
DENIED = RefusedError("ec2 X failed", why="the caller may not ec2:X", next_step="allow ec2:X")
THROTTLED = UnreachableError("ec2 X failed", why="RequestLimitExceeded")


def states(reports: list[StepReport]) -> dict[str, str]:
    """The end of each step."""
    return {str(report.step_id): str(report.state) for report in reports if report.is_end}


def tags_of(state: State) -> dict[str, str]:
    """The instance's tags."""
    return dict(state.instances[INSTANCE].tags)


def closed_interfaces(state: State) -> bool:
    """Whether every interface of the instance is in a group without rules, alone."""
    return all(
        len(interface.group_ids) == 1
        and not state.security_groups[interface.group_ids[0]].ingress
        and not state.security_groups[interface.group_ids[0]].egress
        for interface in state.interfaces.values()
        if interface.instance_id == INSTANCE
    )


def test_a_fault_ends_complete_with_two_sets_stopped_and_isolated() -> None:
    """Everything planned is so, and the case's papers are there."""
    state, evidence = build_state(interfaces=2), MemoryEvidence()
    result = quarantine(state, evidence)
    assert (Outcome.COMPLETE, []) == (result.outcome, list(result.reasons))
    assert 4 == len(result.snapshot_ids)
    assert ["first", "first", "second", "second"] == sorted(
        snapshot.tags["afterimage:phase"] for snapshot in state.snapshots.values()
    )
    assert "stopped" == state.instances[INSTANCE].state
    assert closed_interfaces(state)
    assert [] == [target for target in state.targets if target.target_id == INSTANCE]
    assert INSTANCE not in {member.instance_id for member in state.groups[GROUP].members}
    assert (2, 2) == (state.groups[GROUP].desired_capacity, len(state.groups[GROUP].members))
    assert not any(d.delete_on_termination for d in state.instances[INSTANCE].block_devices)
    assert {CASE_TAG: CASE, STATE_TAG: "quarantined"}.items() <= tags_of(state).items()
    names = {key.rpartition("/")[2] for key in evidence.list(f"cases/{CASE}/")}
    assert {
        "plan.json", "console-output.txt", "instance-before.json", "instance-after.json"
    } <= names  # fmt: skip


def test_the_custody_log_names_what_was_taken_by_whom() -> None:
    """Plan, descriptions, console output and each snapshot, with digests; it verifies."""
    state, evidence = build_state(), MemoryEvidence()
    result = quarantine(state, evidence)
    entries = CustodyLog(evidence, CASE).read()
    assert {FakeAccount(state).identity().arn} == {entry.who for entry in entries}
    subjects = [entry.subject.rpartition("/")[2] for entry in entries]
    assert len(subjects) == len(set(subjects))
    assert {*result.snapshot_ids, "console-output.txt", "plan.json"} <= set(subjects)
    console = next(entry for entry in entries if entry.subject.endswith("console-output.txt"))
    assert state.console.encode() == evidence.get(console.subject)
    assert 64 == len(console.detail["sha256"])


def test_the_journal_has_the_intent_before_each_answer() -> None:
    """Every write of AWS stands between its intent and its observation, in one verified chain."""
    evidence = MemoryEvidence()
    state = build_state()
    quarantine(state, evidence)
    kinds = [type(entry) for entry in Journal(evidence, CASE).read()]
    calls = [kind for kind in kinds if issubclass(kind, OfCall)]
    pairs: list[type] = [Intended, Answered]
    assert pairs * (len(calls) // 2) == calls
    assert (Joined, RunEnded) == (kinds[0], kinds[-1])
    # One intent for each write, and one for the console output.
    assert sum(state.sent.values()) + 1 == kinds.count(Intended)


def test_an_attack_is_isolated_before_the_first_snapshot() -> None:
    """In attack mode no snapshot is older than the isolation."""
    order: list[str] = []

    def watch(name: str, when: str) -> None:
        if when == "after" and name in {"set_interface_groups", "create_snapshots"}:
            order.append(name)

    quarantine(build_state(), MemoryEvidence(), watch, mode=Mode.ATTACK)
    assert ["set_interface_groups", "create_snapshots", "create_snapshots"] == order


def test_keep_running_passes_the_open_group_and_leaves_it_running() -> None:
    """Two moves for each interface, no stop, and a tag that says so."""
    state = build_state(interfaces=2)
    result = quarantine(state, MemoryEvidence(), mode=Mode.ATTACK, keep_running=True)
    assert Outcome.COMPLETE is result.outcome
    assert "running" == state.instances[INSTANCE].state
    assert (4, 0) == (state.sent["set_interface_groups"], state.sent["stop_instance"])
    assert closed_interfaces(state)
    assert "quarantined-running" == tags_of(state)[STATE_TAG]
    opened = next(g for g in state.security_groups.values() if g.name == "afterimage-open")
    assert 2 == len(opened.ingress)
    assert {"0.0.0.0/0", "::/0"} == {r.cidr_ipv4 or r.cidr_ipv6 for r in opened.egress}


def test_an_interface_is_never_opened_when_it_could_not_be_closed() -> None:
    """Keep running: no way into the open group while the closed one has rules."""
    state = build_state()
    rule = SecurityRule(protocol="tcp", from_port=22, to_port=22, cidr_ipv4="0.0.0.0/0")
    state.security_groups["sg-evil"] = replace(
        state.security_groups["sg-web"], group_id="sg-evil", name="afterimage-closed",
        ingress=(rule,),
    )  # fmt: skip
    result = quarantine(state, MemoryEvidence(), keep_running=True)
    assert ("sg-web",) == state.interfaces["eni-0"].group_ids
    assert Outcome.DEGRADED is result.outcome
    assert "claimed" == tags_of(state)[STATE_TAG]


def test_a_second_run_changes_nothing() -> None:
    """No write, no new journal entry; the first outcome is told again."""
    state, evidence = build_state(), MemoryEvidence()
    first = quarantine(state, evidence)
    before, sent = summary(state), state.sent.copy()
    journal = len(Journal(evidence, CASE).read())
    second = quarantine(state, evidence)
    assert (before, sent) == (summary(state), state.sent)
    assert journal == len(Journal(evidence, CASE).read())
    assert (first.outcome, first.snapshot_ids) == (second.outcome, second.snapshot_ids)
    assert () == tuple(second.steps)


def test_a_second_run_from_another_evidence_store_is_told_where_the_case_is() -> None:
    """The tags say quarantined, and this store knows nothing of it."""
    state = build_state()
    quarantine(state, MemoryEvidence())
    with pytest.raises(NotFoundError, match="another evidence store"):
        quarantine(state, MemoryEvidence())


def test_slow_aws_is_waited_for() -> None:
    """Detaching, draining and stopping take a while; steps say that they wait."""
    state = build_state()
    state.looks_until_detached = state.looks_until_drained = state.looks_until_stopped = 6
    reports: list[StepReport] = []
    result = quarantine(state, MemoryEvidence(), on_step=reports.append)
    assert Outcome.COMPLETE is result.outcome
    waited = {str(report.step_id) for report in reports if report.state is StepState.WAITING}
    assert {"detach", "deregister", "stop"} <= waited


def test_an_attack_does_not_wait_for_draining() -> None:
    """The attacker's requests are not waited for."""
    state = build_state()
    state.looks_until_drained = 10_000
    began = state.now_nanos
    assert Outcome.COMPLETE is quarantine(state, MemoryEvidence(), mode=Mode.ATTACK).outcome
    assert state.now_nanos - began < 10e9


def test_a_hanging_stop_is_forced() -> None:
    """After half of the patience the stop is sent again with Force."""
    state = build_state()
    state.hangs_at_stop = True
    assert Outcome.COMPLETE is quarantine(state, MemoryEvidence()).outcome
    assert 2 == state.sent["stop_instance"]


def test_a_replacement_that_does_not_come_is_a_reason_not_a_halt() -> None:
    """After the limit the quarantine goes on."""
    state = build_state()
    state.replaces = False
    result = quarantine(state, MemoryEvidence())
    assert Outcome.DEGRADED is result.outcome
    (reason,) = result.reasons
    assert "1 of 2 are in service" in reason
    assert "stopped" == state.instances[INSTANCE].state


def test_pending_snapshots_are_reported_and_not_waited_for() -> None:
    """Their content is fixed; waiting is a choice."""
    state = build_state()
    state.snapshots_stay_pending = True
    result = quarantine(state, MemoryEvidence())
    assert Outcome.COMPLETE is result.outcome
    assert 4 == len(result.pending_snapshot_ids)


def test_waiting_for_snapshots_ends_when_they_are_readable() -> None:
    """With wait_snapshots the result has none pending."""
    state = build_state()
    state.snapshots_stay_pending = True

    def complete(name: str, when: str) -> None:
        if state.now_nanos > began + 60e9:
            for key, snapshot in state.snapshots.items():
                state.snapshots[key] = replace(snapshot, state="completed")

    began = state.now_nanos
    result = quarantine(state, MemoryEvidence(), complete, wait_snapshots=True)
    assert [] == list(result.pending_snapshot_ids)
    assert state.now_nanos - began > 60e9


def test_without_latest_the_console_is_asked_the_old_way() -> None:
    """Not every instance offers Latest."""
    state, evidence = build_state(), MemoryEvidence()
    state.has_latest = False
    assert Outcome.COMPLETE is quarantine(state, evidence).outcome
    assert state.console.encode() == evidence.get(f"cases/{CASE}/console-output.txt")


def test_an_empty_console_is_no_failure() -> None:
    """EC2 may have none yet."""
    state, evidence = build_state(), MemoryEvidence()
    state.console = ""
    assert Outcome.COMPLETE is quarantine(state, evidence).outcome
    assert [] == evidence.list(f"cases/{CASE}/console")


# --- what AWS refuses ---

WRITES = [
    ("create_tags", "claim"),
    ("set_delete_on_termination", "protect"),
    ("set_termination_protection", "protect"),
    ("set_shutdown_behavior", "protect"),
    ("set_auto_recovery", "protect"),
    ("get_console_output", "console"),
    ("detach_instance", "detach"),
    ("create_snapshots", "snapshot"),
    ("deregister_target", "deregister"),
    ("create_security_group", "isolate"),
    ("revoke_egress", "isolate"),
    ("set_interface_groups", "isolate"),
    ("stop_instance", "stop"),
]
LOOKS = [
    ("describe_instance_attributes", "protect"),
    ("describe_snapshots", "snapshot"),
    ("describe_volumes", ""),
    ("describe_network_interfaces", ""),
    ("find_security_group", "isolate"),
    ("describe_groups", ""),
    ("describe_target_health", ""),
    ("describe_registrations", ""),
]


@pytest.mark.parametrize(("method", "step"), WRITES)
@pytest.mark.parametrize("keep_running", [False, True])
def test_a_refused_call_degrades_its_step_and_names_the_right(
    *, method: str, step: str, keep_running: bool
) -> None:
    """Rights are missing for one call: the rest is done, and the reason says which."""
    state, evidence = build_state(), MemoryEvidence()
    tap = FailAt(method, DENIED)
    result = quarantine(state, evidence, tap, keep_running=keep_running)
    if keep_running and method == "stop_instance":
        assert Outcome.COMPLETE is result.outcome
        return
    assert Outcome.DEGRADED is result.outcome
    assert any(r.startswith(step) and "the caller may not ec2:X" in r for r in result.reasons)
    assert closed_interfaces(state) or step == "isolate"
    assert keep_running or "stopped" == state.instances[INSTANCE].state or step == "stop"
    assert isinstance(Journal(evidence, CASE).read()[-1], RunEnded)


@pytest.mark.parametrize(("method", "step"), LOOKS)
def test_a_refused_look_degrades_or_refuses_and_never_acts_blindly(method: str, step: str) -> None:
    """Without the right to look, nothing is created that may exist already."""
    state, evidence = build_state(), MemoryEvidence()
    tap = FailAt(method, DENIED)
    result = quarantine(state, evidence, tap, accept_outage=True)
    told = [*result.reasons, *load_plan_notes(evidence)]
    assert any(step in text and "the caller may not ec2:X" in text for text in told)
    is_harmless = method in {"describe_volumes", "describe_groups"}
    assert (Outcome.COMPLETE if is_harmless else Outcome.DEGRADED) is result.outcome
    if method == "describe_snapshots":
        assert 0 == state.sent["create_snapshots"]


def load_plan_notes(evidence: MemoryEvidence) -> tuple[str, ...]:
    """What the claimed plan noted."""
    claim = load_claim(evidence, INSTANCE)
    assert claim is not None
    return claim.plan.notes


@pytest.mark.parametrize("method", ["identity", "describe_instances"])
def test_without_the_first_look_nothing_is_begun(method: str) -> None:
    """Refused before any claim."""
    state, evidence = build_state(), MemoryEvidence()
    if method == "describe_instances":
        with pytest.raises(RefusedError, match="ec2:X"):
            quarantine(state, evidence, FailAt(method, DENIED))
        assert {} == evidence.objects
    assert 0 == sum(state.sent.values())


def test_mended_rights_complete_the_case_on_the_next_run() -> None:
    """A case that is not contained stays open, and running again tries again."""
    state, evidence = build_state(), MemoryEvidence()
    result = quarantine(state, evidence, FailAt("stop_instance", DENIED))
    assert Outcome.DEGRADED is result.outcome
    assert "claimed" == tags_of(state)[STATE_TAG]
    assert "skipped" == states(list(result.steps))["snapshot-again"]
    assert Outcome.COMPLETE is quarantine(state, evidence).outcome
    assert 2 == state.sent["create_snapshots"]
    assert "quarantined" == tags_of(state)[STATE_TAG]


@pytest.mark.parametrize("method", [method for method, _ in WRITES])
@pytest.mark.parametrize("error", [THROTTLED, StateConflictError("x", why="ResourceContention")])
def test_what_passes_by_is_repeated(method: str, error: Exception) -> None:
    """Two throttled or contended attempts, then success: complete, each write once."""
    state = build_state()
    result = quarantine(state, MemoryEvidence(), FailAt(method, error, times=2))
    assert (Outcome.COMPLETE, []) == (result.outcome, list(result.reasons))
    assert {1, 2} >= set(state.sent.values())


def test_a_look_that_is_not_answered_is_repeated_then_raised() -> None:
    """Nobody acts without seeing; the case is resumed later."""
    state, evidence = build_state(), MemoryEvidence()
    tap = FailAt("find_security_group", THROTTLED, times=3)
    assert Outcome.COMPLETE is quarantine(state, evidence, tap).outcome
    state, evidence = build_state(), MemoryEvidence()
    with pytest.raises(UnreachableError):
        quarantine(state, evidence, FailAt("find_security_group", THROTTLED))
    assert Outcome.COMPLETE is quarantine(state, evidence).outcome


def test_a_lost_answer_makes_no_second_set_of_snapshots() -> None:
    """The request was carried out and its answer lost, and the set shows only after a while."""
    state = build_state()
    state.looks_until_snapshots_show = 3
    tap = FailAt("create_snapshots", THROTTLED, times=1, when="after")
    result = quarantine(state, MemoryEvidence(), tap)
    assert Outcome.COMPLETE is result.outcome
    assert 2 == state.sent["create_snapshots"]
    assert 4 == len(state.snapshots)


def test_snapshots_that_never_come_do_not_block_containment() -> None:
    """Throttled for ever: isolated, stopped, degraded, and left open to try again."""
    state, evidence = build_state(), MemoryEvidence()
    result = quarantine(state, evidence, FailAt("create_snapshots", THROTTLED))
    assert Outcome.DEGRADED is result.outcome
    assert "stopped" == state.instances[INSTANCE].state
    assert closed_interfaces(state)
    assert "only the volumes themselves are kept: vol-0, vol-1" in result.reasons
    assert "claimed" == tags_of(state)[STATE_TAG]


def test_an_unsupported_call_is_told_with_its_reason() -> None:
    """As a stand-in that lacks the call: degraded, never a traceback."""
    state = build_state()
    error = UnsupportedError("ec2 ModifyInstanceMaintenanceOptions failed", why="no such call")
    result = quarantine(state, MemoryEvidence(), FailAt("set_auto_recovery", error))
    assert Outcome.DEGRADED is result.outcome
    assert ["protect: ec2 ModifyInstanceMaintenanceOptions failed: no such call"] == list(
        result.reasons
    )
    assert "quarantined" == tags_of(state)[STATE_TAG]


def test_no_stop_where_it_would_destroy_the_only_copy() -> None:
    """Still in its group, unprotected, without snapshot: isolated, not stopped."""
    state = build_state()
    refused = {"detach_instance", "create_snapshots", "set_delete_on_termination"}

    def refuse(name: str, when: str) -> None:
        if name in refused:
            raise DENIED

    result = quarantine(state, MemoryEvidence(), refuse)
    assert "running" == state.instances[INSTANCE].state
    assert closed_interfaces(state)
    assert "skipped" == states(list(result.steps))["stop"]


def test_a_closed_group_that_somebody_opened_is_not_trusted() -> None:
    """It has an inbound rule: said with its id, and the stop contains."""
    state = build_state()
    rule = SecurityRule(protocol="-1", cidr_ipv4="0.0.0.0/0")
    state.security_groups["sg-x"] = replace(
        state.security_groups["sg-web"], group_id="sg-x", name="afterimage-closed", ingress=(rule,)
    )
    result = quarantine(state, MemoryEvidence())
    (reason,) = result.reasons
    assert "afterimage-closed (sg-x)" in reason
    assert ("sg-web",) == state.interfaces["eni-0"].group_ids
    assert "stopped" == state.instances[INSTANCE].state


def test_an_existing_closed_group_is_used_and_emptied_of_outbound_rules() -> None:
    """By name and VPC; another VPC's is another group."""
    state = build_state()
    for group_id, vpc_id in (("sg-here", "vpc-1"), ("sg-there", "vpc-2")):
        state.security_groups[group_id] = replace(
            state.security_groups["sg-web"], group_id=group_id, name="afterimage-closed",
            vpc_id=vpc_id, egress=(ALL_OUT,),
        )  # fmt: skip
    assert Outcome.COMPLETE is quarantine(state, MemoryEvidence()).outcome
    assert ("sg-here",) == state.interfaces["eni-0"].group_ids
    assert () == state.security_groups["sg-here"].egress
    assert (ALL_OUT,) == state.security_groups["sg-there"].egress


# --- what changes meanwhile ---


def at_first(method: str, change: Callable[[], None]) -> Callable[[str, str], None]:
    """A tap that does something before the first call of a method."""
    todo = [change]

    def tap(name: str, when: str) -> None:
        if name == method and when == "before" and todo:
            todo.pop()()

    return tap


def test_an_interface_that_was_attached_meanwhile_is_isolated_too() -> None:
    """The plan knew one interface, the instance has two by now."""
    state = build_state()
    late = NetworkInterface(
        interface_id="eni-late", instance_id=INSTANCE, vpc_id="vpc-1", group_ids=("sg-web",)
    )

    def attach() -> None:
        state.interfaces["eni-late"] = late

    result = quarantine(state, MemoryEvidence(), at_first("create_snapshots", attach))
    assert Outcome.COMPLETE is result.outcome
    assert closed_interfaces(state)
    assert ("sg-web",) != state.interfaces["eni-late"].group_ids


def test_a_group_that_is_faster_is_taken_as_it_is() -> None:
    """Between plan and detach Auto Scaling began to terminate it: too late, said, and gone on."""
    state = build_state()

    def terminate() -> None:
        FakeAutoScaling(state).set_member(INSTANCE, "Terminating:Wait")

    result = quarantine(state, MemoryEvidence(), at_first("get_console_output", terminate))
    assert Outcome.DEGRADED is result.outcome
    assert any("too late to detach" in reason for reason in result.reasons)
    assert 4 == len(result.snapshot_ids)
    assert closed_interfaces(state)


def test_an_instance_terminated_meanwhile_is_saved_from_its_volumes() -> None:
    """Its protected volumes outlived it: each gets its snapshot."""
    state = build_state()

    def terminate() -> None:
        instance = state.instances[INSTANCE]
        state.instances[INSTANCE] = replace(instance, state="terminated", block_devices=())
        FakeAutoScaling(state).set_member(INSTANCE, "")

    result = quarantine(state, MemoryEvidence(), at_first("detach_instance", terminate))
    volumes = {snapshot.volume_id for snapshot in state.snapshots.values()}
    assert {"vol-0", "vol-1"} == volumes
    assert 0 == state.sent["create_snapshots"]
    assert Outcome.LOST is not result.outcome


def test_an_instance_terminated_with_its_volumes_is_lost() -> None:
    """Nothing of the disk is left: the outcome says lost, with reasons."""
    state = build_state()

    def terminate() -> None:
        instance = state.instances[INSTANCE]
        state.instances[INSTANCE] = replace(instance, state="terminated", block_devices=())
        state.volumes.clear()
        FakeAutoScaling(state).set_member(INSTANCE, "")

    result = quarantine(state, MemoryEvidence(), at_first("set_delete_on_termination", terminate))
    assert Outcome.LOST is result.outcome
    assert any("nothing left to snapshot" in reason for reason in result.reasons)


def test_the_floor_is_judged_with_the_facts_of_the_run() -> None:
    """Harmless when planned, harmful when run: refused, and nothing claimed."""
    state, evidence = build_state(), MemoryEvidence()
    plan = plan_quarantine(fetch_facts(FakeAccount(state), INSTANCE, clock=state.clock))
    state.targets = [
        target if target.target_id == INSTANCE else replace(target, state="unhealthy")
        for target in state.targets
    ]
    with pytest.raises(RefusedError, match="--accept-outage"):
        asyncio.run(
            run_quarantine(plan, FakeAccount(state), evidence, clock=state.clock, sleep=state.sleep)
        )
    assert {} == evidence.objects


def test_the_floor_is_judged_again_when_a_case_is_resumed() -> None:
    """Cut off before the detach, and by now its peer is ill: refused unless accepted."""
    state, evidence = build_state(), MemoryEvidence()
    plan = plan_quarantine(fetch_facts(FakeAccount(state), INSTANCE, clock=state.clock))
    with pytest.raises(UsageError):
        quarantine(state, evidence, FailAt("create_tags", UsageError("signed out"), when="after"))
    state.targets = [state.targets[0], replace(state.targets[1], state="unhealthy")]
    with pytest.raises(RefusedError, match="going on with") as caught:
        quarantine(state, evidence, plan=plan)
    assert "--accept-outage" in caught.value.next_step
    assert "claimed" == tags_of(state)[STATE_TAG]
    assert Outcome.COMPLETE is quarantine(state, evidence, accept_outage=True).outcome


def test_facts_are_read_again_after_waiting_for_the_turn() -> None:
    """Another run completed the case while this one waited: nothing is left to do."""
    state, evidence = build_state(), MemoryEvidence()
    plan = plan_quarantine(fetch_facts(FakeAccount(state), INSTANCE, clock=state.clock))
    quarantine(state, evidence)
    sealed = state.instances[INSTANCE]
    state.instances[INSTANCE] = replace(sealed, tags={**sealed.tags, STATE_TAG: "claimed"})
    other = Lease(evidence, CASE, "another run", seconds=120, clock=state.clock)
    other.acquire(timeout_seconds=0, sleep=state.sleep, on_wait=lambda _: None)
    journal = len(Journal(evidence, CASE).read())

    def complete_meanwhile() -> None:
        state.instances[INSTANCE] = sealed

    state.on_sleep = complete_meanwhile
    result = quarantine(state, evidence, plan=plan)
    assert (Outcome.COMPLETE, ()) == (result.outcome, tuple(result.steps))
    assert journal == len(Journal(evidence, CASE).read())


def test_a_plan_for_another_account_or_region_is_refused() -> None:
    """A plan that was shown for one place is not run in another."""
    state = build_state()
    plan = plan_quarantine(fetch_facts(FakeAccount(state), INSTANCE, clock=state.clock))
    with pytest.raises(UsageError, match="us-east-1"):
        asyncio.run(
            run_quarantine(
                replace(plan, region="us-east-1"), FakeAccount(state), MemoryEvidence(),
                clock=state.clock, sleep=state.sleep,
            )
        )  # fmt: skip


def test_a_released_instance_is_quarantined_as_a_new_case() -> None:
    """The old case is over; its snapshots are not taken for the new one's."""
    state, evidence = build_state(lifecycle=""), MemoryEvidence()
    first = quarantine(state, evidence)
    instance = state.instances[INSTANCE]
    state.instances[INSTANCE] = replace(
        instance, state="running", tags={**instance.tags, STATE_TAG: "released"}
    )
    state.sleep(3600)
    second = quarantine(state, evidence)
    assert Outcome.COMPLETE is second.outcome
    assert first.case_id != second.case_id
    assert not set(first.snapshot_ids) & set(second.snapshot_ids)
    assert 4 == len(second.snapshot_ids)


# --- papers and centre ---


def test_an_altered_claim_is_found() -> None:
    """Whoever changes the plan of a case is found out before anything is done."""
    state, evidence = build_state(), MemoryEvidence()
    quarantine(state, evidence, FailAt("stop_instance", DENIED))
    key = f"cases/by-instance/{INSTANCE}/000001.json"
    body = json.loads(evidence.objects[key])
    body["plan"]["steps"] = body["plan"]["steps"][:1]
    evidence.objects[key] = encode_canonical(body)
    with pytest.raises(IntegrityError, match="claim"):
        quarantine(state, evidence)


def test_an_altered_journal_is_found() -> None:
    """The chain names the entry."""
    state, evidence = build_state(), MemoryEvidence()
    quarantine(state, evidence, FailAt("stop_instance", DENIED))
    key = f"cases/{CASE}/journal/000003.json"
    assert b"observed" in evidence.objects[key]
    evidence.objects[key] = evidence.objects[key].replace(b"observed", b"obscured")
    with pytest.raises(IntegrityError, match="entry 3"):
        quarantine(state, evidence)


def test_the_centre_is_told_each_step_once() -> None:
    """Lifecycle events with the case's id; a second run stores nothing twice."""
    state, evidence, store = build_state(), MemoryEvidence(), MemoryStore()
    result = quarantine(state, evidence, store=store)
    events = list(store.documents.values())
    assert len(result.steps) + 1 == len(events)
    assert {CASE} == {event.text("afterimage.case") for event in events}
    assert {"success"} == {event.text("event.outcome") for event in events}
    assert "web" == events[0].text("aws.autoscaling.group.name")
    quarantine(state, evidence, store=store)
    assert len(events) == len(store.documents)


@pytest.mark.parametrize("trouble", ["dead", "stuck"])
def test_a_dead_centre_blocks_nothing_and_is_told_later(trouble: str) -> None:
    """The outcome is the same, a note says so, and running again tells it."""
    state, evidence, store = build_state(), MemoryEvidence(), MemoryStore()
    store.failure = UnreachableError("no centre", why="refused") if trouble == "dead" else None
    store.stuck = trouble == "stuck"
    limits = Limits(centre_seconds=0.05)
    result = quarantine(state, evidence, store=store, limits=limits)
    assert Outcome.COMPLETE is result.outcome
    assert "the centre was not told" in " ".join(result.notes)
    store.failure, store.stuck = None, False
    quarantine(state, evidence, store=store)
    assert len(result.steps) + 1 == len(store.documents)


async def test_a_cancelled_run_ends_between_two_calls_and_can_be_resumed() -> None:
    """Ctrl-C: no half-written call, the lease is given back, the next run completes."""
    state, evidence = build_state(), MemoryEvidence()
    plan = plan_quarantine(fetch_facts(FakeAccount(state), INSTANCE, clock=state.clock))
    detached = asyncio.Event()
    loop = asyncio.get_running_loop()

    def notice(name: str, when: str) -> None:
        if name == "detach_instance" and when == "after":
            loop.call_soon_threadsafe(detached.set)

    state.looks_until_detached = 10_000  # it stays on its way until the clock, which is real, says
    run = asyncio.create_task(run_quarantine(plan, FakeAccount(state, notice), evidence))
    await asyncio.wait_for(detached.wait(), 10)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 10)
    kinds = [type(entry) for entry in Journal(evidence, plan.case_id).read()]
    assert kinds.count(Intended) == kinds.count(Answered)
    state.looks_until_detached = 0
    result = await run_quarantine(plan, FakeAccount(state), evidence)
    assert (Outcome.COMPLETE, 1) == (result.outcome, state.sent["detach_instance"])


def test_a_set_that_lacks_a_volume_gets_that_one_alone() -> None:
    """A run killed after the set was made, one snapshot of which failed: no second set is made."""
    state, evidence = build_state(), MemoryEvidence()

    def kill_once_made(name: str, when: str) -> None:
        if (name, when) == ("create_snapshots", "after"):
            raise KilledError(name)

    with pytest.raises(KilledError):
        quarantine(state, evidence, kill_once_made)
    (failed,) = [s.snapshot_id for s in state.snapshots.values() if s.volume_id == "vol-1"]
    del state.snapshots[failed]
    quarantine(state, evidence)
    made = sorted(
        (snapshot.tags["afterimage:phase"], snapshot.volume_id)
        for snapshot in state.snapshots.values()
    )
    expected = [("first", "vol-0"), ("first", "vol-1"), ("second", "vol-0"), ("second", "vol-1")]
    assert expected == made
