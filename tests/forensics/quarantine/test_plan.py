"""The plan: which steps, in which order, for which state; and when it is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.errors import IntegrityError, RefusedError
from forensics.ports import CASE_TAG, GROUP_TAG, STATE_TAG, AutoScalingGroup, TargetHealth
from forensics.quarantine.facts import InstanceFacts, fetch_facts
from forensics.quarantine.model import Mode, Plan, Step, StepId
from forensics.quarantine.plan import plan_quarantine
from forensics.quarantine.plan_json import from_json, to_json
from forensics.quarantine.render import render_plan
from tests.forensics.quarantine.fake_account import (
    INSTANCE,
    PEER,
    TARGETS,
    FakeAccount,
    State,
    build_state,
)

BEFORE = "claim protect console"
FAULT = f"{BEFORE} detach snapshot replacement deregister isolate stop snapshot-again seal"
ATTACK = f"{BEFORE} detach deregister isolate snapshot stop snapshot-again seal"
NO_STOP = f"{BEFORE} snapshot deregister isolate seal"

PLANS = [
    ("InService", Mode.FAULT, FAULT),
    ("InService", Mode.ATTACK, ATTACK),
    ("Standby", Mode.FAULT, FAULT),
    ("Standby", Mode.ATTACK, ATTACK),
    ("Detaching", Mode.FAULT, FAULT),
    ("Terminating", Mode.FAULT, NO_STOP),
    ("Terminating:Wait", Mode.FAULT, NO_STOP),
    ("Terminating:Proceed", Mode.ATTACK, f"{BEFORE} deregister isolate snapshot seal"),
    (
        "Terminating:Retained",
        Mode.FAULT,
        f"{BEFORE} snapshot deregister isolate stop snapshot-again seal",
    ),
    ("Warmed:Stopped", Mode.FAULT, "claim console snapshot deregister isolate seal"),
    ("", Mode.FAULT, f"{BEFORE} snapshot isolate stop snapshot-again seal"),
    ("", Mode.ATTACK, f"{BEFORE} isolate snapshot stop snapshot-again seal"),
]
EC2_PLANS = [
    ("stopped", "", NO_STOP.replace(" deregister", "")),
    ("stopping", "", f"{BEFORE} snapshot isolate stop snapshot-again seal"),
    ("shutting-down", "Terminating:Proceed", f"{BEFORE} snapshot seal"),
    ("terminated", "", "claim console seal"),
]


def facts_of(state: State) -> InstanceFacts:
    """What a look at the state gives, while nothing moves."""
    state.looks_until_stopped = state.looks_until_detached = 99
    return fetch_facts(FakeAccount(state), INSTANCE, clock=state.clock)


def words(plan: Plan) -> str:
    """The plan's steps in one line."""
    return " ".join(step.id for step in plan.steps)


def with_ec2_state(state: State, ec2_state: str) -> State:
    """The instance in another state; a terminated one has no disks and no interfaces left."""
    instance = replace(state.instances[INSTANCE], state=ec2_state)
    if ec2_state == "terminated":
        instance = replace(instance, block_devices=())
        state.interfaces.clear()
    state.instances[INSTANCE] = instance
    return state


def with_group(state: State, **changes: object) -> State:
    """The group changed."""
    group: AutoScalingGroup = replace(state.groups["web"], **changes)  # type: ignore[arg-type]
    state.groups["web"] = group
    return state


@pytest.mark.parametrize(("lifecycle", "mode", "expected"), PLANS)
def test_steps_follow_from_the_place_in_the_group_and_the_mode(
    lifecycle: str, mode: Mode, expected: str
) -> None:
    """The table of design and anchors: which steps, in which order."""
    facts = facts_of(build_state(lifecycle=lifecycle))
    assert expected == words(plan_quarantine(facts, mode=mode))


@pytest.mark.parametrize(("ec2_state", "lifecycle", "expected"), EC2_PLANS)
def test_steps_follow_from_the_state_of_the_instance(
    ec2_state: str, lifecycle: str, expected: str
) -> None:
    """Stopped, stopping, dying and dead instances get what is still possible."""
    state = with_ec2_state(build_state(lifecycle=lifecycle), ec2_state)
    assert expected == words(plan_quarantine(facts_of(state)))


@pytest.mark.parametrize("lifecycle", ["Pending", "Pending:Wait", "EnteringStandby"])
def test_what_is_still_starting_is_refused_with_retry(lifecycle: str) -> None:
    """It can't be detached in that state, and will be in another soon."""
    with pytest.raises(RefusedError, match="retry"):
        plan_quarantine(facts_of(build_state(lifecycle=lifecycle)), accept_outage=True)


@pytest.mark.parametrize(
    ("lifecycle", "word"),
    [
        ("Terminating:Wait", "Auto Scaling is terminating it"),
        ("Terminating:Proceed", "Auto Scaling is terminating it"),
        ("Warmed:Stopped", "warm pool"),
    ],
)
def test_what_is_lost_already_is_said_in_the_plan(lifecycle: str, word: str) -> None:
    """A plan that can only be degraded says so before anybody says yes."""
    (loss,) = plan_quarantine(facts_of(build_state(lifecycle=lifecycle))).losses
    assert word in loss


def test_a_terminated_instance_gets_a_case_of_logs_alone() -> None:
    """Nothing to snapshot, isolate or stop: the plan says that it is lost."""
    plan = plan_quarantine(facts_of(with_ec2_state(build_state(lifecycle=""), "terminated")))
    assert "terminated" in " ".join(plan.losses)


def test_no_snapshot_and_no_second_one_without_volumes() -> None:
    """An instance without EBS is isolated and stopped, and its loss named."""
    plan = plan_quarantine(facts_of(build_state(lifecycle="", volumes=0)))
    assert f"{BEFORE} isolate stop seal" == words(plan)
    assert "nothing to snapshot" in " ".join(plan.losses)


def test_keep_running_isolates_in_two_steps_and_says_what_stays_open() -> None:
    """Open group first, then closed; what no security group can cut is named."""
    plan = plan_quarantine(facts_of(build_state()), mode=Mode.ATTACK, keep_running=True)
    assert ATTACK.replace(" stop snapshot-again", "") == words(plan)
    isolate = next(step for step in plan.steps if step.id is StepId.ISOLATE)
    moved = [call.parameters["Groups"] for call in isolate.calls if "Groups" in call.parameters]
    assert [
        ["<id of afterimage-open in vpc-1>"],
        ["<id of afterimage-closed in vpc-1>"],
    ] == moved
    said = " ".join(plan.notes)
    assert "untracked" in said
    assert "NAT gateway" in said
    assert "quarantined-running" == plan.steps[-1].calls[0].parameters["Tags"][1]["Value"]


def test_an_instance_on_instance_store_is_isolated_only() -> None:
    """Its root can't be stopped; that is said."""
    state = build_state(lifecycle="")
    state.instances[INSTANCE] = replace(
        state.instances[INSTANCE], root_device_type="instance-store"
    )
    plan = plan_quarantine(facts_of(state))
    assert f"{BEFORE} snapshot isolate seal" == words(plan)
    assert "can't be stopped" in " ".join(plan.notes)


def test_spot_is_not_given_a_protection_that_it_can_not_have() -> None:
    """Termination protection is impossible for Spot: it is not planned, and its risk is said."""
    state = build_state(lifecycle="")
    state.instances[INSTANCE] = replace(state.instances[INSTANCE], lifecycle="spot")
    plan = plan_quarantine(facts_of(state))
    assert "DisableApiTermination" not in render_plan(plan)
    assert "Spot" in " ".join(plan.notes)


def last_healthy(state: State) -> State:
    """Nobody else in the target group is healthy."""
    state.targets = [
        replace(target, state="unhealthy") if target.target_id == PEER else target
        for target in state.targets
    ]
    return state


def alone(state: State) -> State:
    """Nobody else is in the group."""
    members = state.groups["web"].members[:1]
    state.targets = [target for target in state.targets if target.target_id != PEER]
    return with_group(state, members=members, desired_capacity=1)


HARMS = [
    ("last healthy target", last_healthy, "target group web would keep 0 healthy targets"),
    ("alone in the group", alone, "would keep 0 healthy instances"),
    (
        "launch suspended",
        lambda state: with_group(state, suspended_processes=("Launch",)),
        "Launch process suspended",
    ),
    (
        "group at its maximum",
        lambda state: with_group(state, desired_capacity=1, max_size=1),
        "no replacement will come",
    ),
]


@pytest.mark.parametrize(
    ("change", "why"), [harm[1:] for harm in HARMS], ids=[harm[0] for harm in HARMS]
)
def test_harm_is_refused_unless_it_is_accepted(change: object, why: str) -> None:
    """Below the floor nothing is planned without --accept-outage; with it, the harm is noted."""
    assert callable(change)
    facts = facts_of(change(build_state()))
    with pytest.raises(RefusedError, match="--accept-outage") as caught:
        plan_quarantine(facts)
    assert why in caught.value.why
    accepted = plan_quarantine(facts, accept_outage=True)
    assert any(note.startswith("accepted: ") and why in note for note in accepted.notes)


def test_an_unhealthy_last_target_may_be_taken_away() -> None:
    """What serves nobody is missed by nobody."""
    state = last_healthy(build_state())
    state.targets = [replace(target, state="unhealthy") for target in state.targets]
    assert FAULT == words(plan_quarantine(facts_of(state)))


def test_a_higher_floor_counts() -> None:
    """`floor` is how many healthy others must be left."""
    facts = facts_of(build_state())
    with pytest.raises(RefusedError, match="below the floor of 2"):
        plan_quarantine(facts, floor=2)


def test_what_could_not_be_read_is_not_taken_for_harmless() -> None:
    """Without the right to look at load balancers nobody knows who is left."""

    def refuse(name: str, when: str) -> None:
        if name == "describe_registrations":
            raise RefusedError("elbv2 DescribeTargetHealth failed", why="no right")

    state = build_state(lifecycle="")
    facts = fetch_facts(FakeAccount(state, refuse), INSTANCE, clock=state.clock)
    with pytest.raises(RefusedError, match="no right"):
        plan_quarantine(facts)
    assert plan_quarantine(facts, accept_outage=True).steps


@pytest.mark.parametrize("tag", ["quarantined", "quarantined-running"])
def test_a_quarantined_instance_gets_an_empty_plan_that_says_so(tag: str) -> None:
    """A second quarantine has nothing to do."""
    state = build_state()
    tags = {**state.instances[INSTANCE].tags, CASE_TAG: "case-7", STATE_TAG: tag}
    state.instances[INSTANCE] = replace(state.instances[INSTANCE], tags=tags)
    plan = plan_quarantine(facts_of(state))
    assert ((), "case-7") == (plan.steps, plan.case_id)
    assert "nothing to do" in " ".join(plan.notes)


def test_a_released_instance_gets_a_new_case() -> None:
    """The old case is over."""
    state = build_state()
    tags = {**state.instances[INSTANCE].tags, CASE_TAG: "case-7", STATE_TAG: "released"}
    state.instances[INSTANCE] = replace(state.instances[INSTANCE], tags=tags)
    plan = plan_quarantine(facts_of(state))
    assert f"case-{INSTANCE}-20260103T140512Z" == plan.case_id
    assert FAULT == words(plan)


def test_the_group_is_remembered_before_detaching_removes_its_tag() -> None:
    """Instance and snapshots carry the group's name."""
    plan = plan_quarantine(facts_of(build_state()))
    assert {"Key": GROUP_TAG, "Value": "web"} in plan.steps[0].calls[0].parameters["Tags"]
    text = render_plan(plan)
    assert 3 == text.count('{"Key": "afterimage:group", "Value": "web"}')


def test_owners_and_addresses_are_named() -> None:
    """Who else counts on it, and what goes dark."""
    state = build_state()
    tags = {**state.instances[INSTANCE].tags, "eks:cluster-name": "shop"}
    state.instances[INSTANCE] = replace(
        state.instances[INSTANCE], tags=tags, instance_type="m5d.large"
    )
    state.interfaces["eni-0"] = replace(
        state.interfaces["eni-0"], public_ip="192.0.2.9", elastic_ip_allocation_id="eipalloc-1"
    )
    said = " ".join(plan_quarantine(facts_of(state)).notes)
    for word in ("Auto Scaling group web", "EKS", "192.0.2.9", "instance store", "keeps 1 healthy"):
        assert word in said


def test_the_text_shows_every_call_and_no_control_character() -> None:
    """What --dry-run prints is what will be sent, made harmless."""
    state = build_state()
    tags = {"kubernetes.io/cluster/\x1b[31mred": "owned\u202e"}
    state.instances[INSTANCE] = replace(state.instances[INSTANCE], tags=tags)
    plan = plan_quarantine(facts_of(state))
    text = render_plan(plan)
    for step in plan.steps:
        for call in step.calls:
            assert call.api in text
            assert json.dumps(call.parameters, sort_keys=True, ensure_ascii=False) in text
    assert "123456789012" in text
    assert "eu-west-1" in text
    assert not [c for c in text if ord(c) < 0x20 and c != "\n"]
    assert "\u202e" not in text


def test_a_plan_survives_json() -> None:
    """The stored plan is the plan; anything else is an integrity error."""
    plan = plan_quarantine(facts_of(build_state()), keep_running=True, mode=Mode.ATTACK)
    body = json.loads(json.dumps(to_json(plan)))
    assert plan == from_json(body)
    for broken in ({}, {**body, "schema": "other/1"}, {**body, "steps": [{}]}, {**body, "x": 1}):
        with pytest.raises(IntegrityError):
            from_json(broken)


LIFECYCLES = ["", "InService", "Standby", "Detaching", "Terminating:Wait", "Terminating:Retained",
              "Terminating", "Warmed:Running"]  # fmt: skip
EC2_STATES = ["running", "stopping", "stopped", "shutting-down", "terminated"]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    lifecycle=st.sampled_from(LIFECYCLES),
    ec2_state=st.sampled_from(EC2_STATES),
    mode=st.sampled_from(Mode),
    keep_running=st.booleans(),
    volumes=st.integers(0, 3),
    interfaces=st.integers(0, 3),
    spot=st.booleans(),
    ports=st.lists(st.integers(1, 65535), max_size=2, unique=True),
)
def test_no_plan_destroys_anything(
    lifecycle: str,
    ec2_state: str,
    mode: Mode,
    keep_running: bool,  # noqa: FBT001 - hypothesis gives it by name
    volumes: int,
    interfaces: int,
    spot: bool,  # noqa: FBT001 - hypothesis gives it by name
    ports: list[int],
) -> None:
    """Never terminate or delete; protect before detach; snapshot before stop in fault mode."""
    state = with_ec2_state(
        build_state(lifecycle=lifecycle, volumes=volumes, interfaces=interfaces), ec2_state
    )
    state.instances[INSTANCE] = replace(state.instances[INSTANCE], lifecycle="spot" if spot else "")
    state.targets += [
        TargetHealth(target_group_arn=TARGETS, target_id=INSTANCE, port=port, state="unused")
        for port in ports
    ]
    plan = plan_quarantine(
        facts_of(state), mode=mode, keep_running=keep_running, accept_outage=True
    )
    order = [step.id for step in plan.steps]
    apis = " ".join(call.api for step in plan.steps for call in step.calls)
    assert not [word for word in ("Terminate", "Delete", "Release") if word in apis]
    assert order[0] is StepId.CLAIM
    assert order[-1] is StepId.SEAL
    assert len(order) == len(set(order))
    assert_before(order, StepId.PROTECT, StepId.DETACH)
    assert_before(order, StepId.CONSOLE, StepId.ISOLATE)
    assert_before(order, StepId.DETACH, StepId.DEREGISTER)
    assert_before(order, StepId.ISOLATE, StepId.STOP)
    if StepId.STOP in order:
        assert not keep_running
        assert bool(volumes) == (StepId.SNAPSHOT in order) == (StepId.SNAPSHOT_AGAIN in order)
        if volumes:
            assert_before(order, StepId.SNAPSHOT, StepId.STOP)
            assert_before(order, StepId.STOP, StepId.SNAPSHOT_AGAIN)
    first, second = StepId.SNAPSHOT, StepId.ISOLATE
    if mode is Mode.ATTACK:
        first, second = second, first
    if first in order and second in order:
        assert_before(order, first, second)
    assert plan == from_json(to_json(plan))


def assert_before(order: list[StepId], first: StepId, second: StepId) -> None:
    """Where both are there, the first comes first."""
    if first in order and second in order:
        assert order.index(first) < order.index(second)


def test_every_step_says_what_it_needs_and_risks() -> None:
    """No step without its precondition, its risk and its way back."""
    steps: tuple[Step, ...] = plan_quarantine(facts_of(build_state())).steps
    for step in steps:
        assert step.title
        assert step.precondition
        assert step.risk
        assert step.calls
        assert step.is_reversible
