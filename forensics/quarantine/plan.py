"""Decides what a quarantine does to an instance, in which order, or refuses.

In: the facts and the responder's options. Out: a frozen plan, the very one that `--dry-run` prints
and `run` carries out. Pure: the same facts give the same plan.
Must never plan to terminate or delete anything, nor to stop before a first snapshot in fault mode
unless there is nothing to snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from forensics.errors import RefusedError
from forensics.ports import RELEASED_STATES
from forensics.quarantine import steps
from forensics.quarantine.facts import GONE_STATES, InstanceFacts
from forensics.quarantine.harm import find_harm, will_replace
from forensics.quarantine.model import (
    CLOSED_GROUP,
    QUARANTINED,
    QUARANTINED_RUNNING,
    Mode,
    Options,
    Phase,
    Plan,
    Step,
    StepId,
)

__all__ = ["Mode", "Options", "Plan", "Step", "StepId", "plan_quarantine"]

_DETACHABLE: Final = frozenset(("InService", "Standby"))
_TOO_EARLY: Final = frozenset(
    ("Pending", "Pending:Wait", "Pending:Proceed", "EnteringStandby", "ReplacingRootVolume")
)
_DOOMED: Final = frozenset(("Terminating", "Terminating:Wait", "Terminating:Proceed", "Terminated"))
_ALWAYS_TRACKED: Final = frozenset(("TCP", "UDP", "TLS", "TCP_UDP", "GENEVE"))
_RECHECKED: Final = (
    "the instance's state",
    "its place in the Auto Scaling group, and whether a replacement comes",
    "healthy targets left in each target group",
    "its network interfaces and their security groups",
    f"the rules of {CLOSED_GROUP}",
    "whether another run claimed it meanwhile (then that run's plan is carried out)",
)


def plan_quarantine(
    facts: InstanceFacts,
    *,
    mode: Mode = Mode.FAULT,
    keep_running: bool = False,
    accept_outage: bool = False,
    floor: int = 1,
    case_id: str = "",
) -> Plan:
    """The plan for these facts; empty, with a note, where it is quarantined already.

    `case_id` names a new case as an earlier plan did; empty: by instance and time.

    Raises:
        RefusedError: it would do harm and `accept_outage` was not given, or it is still starting.
    """
    options = Options(
        mode=mode, keep_running=keep_running, accept_outage=accept_outage, floor=floor
    )
    if facts.case_state in {QUARANTINED, QUARANTINED_RUNNING} and facts.case_id:
        return _plan(facts, facts.case_id, options, (), (_already(facts),), ())
    _refuse_too_early(facts)
    harm = find_harm(facts, floor)
    if harm and not accept_outage:
        raise RefusedError(
            f"quarantining {facts.instance_id} would do harm",
            why="; ".join(harm),
            next_step="bring up a replacement first, or say --accept-outage",
        )
    case_id = _case_id(facts, case_id)
    notes = (*(f"accepted: {reason}" for reason in harm), *_notes(facts, options))
    order = _order(facts, options, case_id)
    return _plan(facts, case_id, options, order, notes, _losses(facts))


def _order(facts: InstanceFacts, options: Options, case_id: str) -> tuple[Step, ...]:
    """The steps that this instance gets, in the order of the mode."""
    stops = _can_stop(facts) and not options.keep_running
    sealed = QUARANTINED_RUNNING if options.keep_running and _can_stop(facts) else QUARANTINED
    before = [steps.build_claim(facts, case_id), *_protect(facts), steps.build_console(facts)]
    snapshot = [steps.build_snapshot(facts, case_id, Phase.FIRST)] if facts.volume_ids else []
    isolate = _isolate(facts, options)
    detach = _detach(facts, options)
    match options.mode:
        case Mode.FAULT:
            middle = [*detach[:1], *snapshot, *detach[1:], *isolate]
        case Mode.ATTACK:
            middle = [*detach[:1], *isolate, *snapshot]
    after = []
    if stops:
        after.append(steps.build_stop(facts))
        if facts.volume_ids:
            after.append(steps.build_snapshot(facts, case_id, Phase.SECOND))
    return (*before, *middle, *after, steps.build_seal(facts, case_id, sealed))


def _protect(facts: InstanceFacts) -> Sequence[Step]:
    if facts.instance.state == "terminated" or _lifecycle(facts).startswith("Warmed"):
        return ()
    return (steps.build_protect(facts),)


def _detach(facts: InstanceFacts, options: Options) -> Sequence[Step]:
    """Leaving the group, then waiting for the replacement where one will come."""
    state = _lifecycle(facts)
    if state not in {*_DETACHABLE, "Detaching"} or facts.instance.state in GONE_STATES:
        return ()
    detach = steps.build_detach(facts, leaving=state == "Detaching")
    will_wait = (
        options.mode is Mode.FAULT
        and facts.group is not None
        and not will_replace(facts.group, facts.instance_id)
    )
    return (detach, steps.build_replacement(facts)) if will_wait else (detach,)


def _isolate(facts: InstanceFacts, options: Options) -> Sequence[Step]:
    if facts.instance.state in GONE_STATES:
        return ()
    found = []
    if facts.registrations:
        found.append(steps.build_deregister(facts))
    if facts.interfaces:
        running = options.keep_running and _can_stop(facts)
        found.append(steps.build_isolate(facts, keep_running=running))
    return found


def _can_stop(facts: InstanceFacts) -> bool:
    """Whether it runs, can stop, and nobody is about to terminate it anyway."""
    return (
        facts.instance.state in {"running", "stopping"}
        and facts.instance.root_device_type != "instance-store"
        and _lifecycle(facts) not in _DOOMED
        and not _lifecycle(facts).startswith("Warmed")
    )


def _refuse_too_early(facts: InstanceFacts) -> None:
    state = _lifecycle(facts)
    if facts.instance.state == "pending" or state in _TOO_EARLY:
        said = f"{facts.instance.state}, {state}" if state else facts.instance.state
        raise RefusedError(
            f"{facts.instance_id} can't be quarantined yet",
            why=f"it is still starting or changing ({said}), and can't be detached in that state",
            next_step="retry in a minute",
        )


def _losses(facts: InstanceFacts) -> tuple[str, ...]:
    """What no step can save any more."""
    if facts.instance.state == "terminated":
        return ("it is terminated: its memory and its instance store are gone",)
    if facts.instance.state == "shutting-down":
        return ("it is being terminated: what it writes now may be in no snapshot",)
    losses = []
    state = _lifecycle(facts)
    if state in _DOOMED:
        losses.append(
            f"Auto Scaling is terminating it ({state}): it can't be detached any more and will not "
            "stay; its protected volumes will"
        )
    if state.startswith("Warmed"):
        losses.append(f"it is in a warm pool ({state}): it can neither be detached nor protected")
    if not facts.volume_ids:
        losses.append("there is nothing to snapshot: it has no EBS volume")
    if why := facts.unread.get("network interfaces"):
        losses.append(f"it can't be isolated, its network interfaces could not be read: {why}")
    if why := facts.unread.get("load balancing"):
        losses.append(f"it may stay in target groups, which could not be read: {why}")
    return tuple(losses)


def _notes(facts: InstanceFacts, options: Options) -> Sequence[str]:
    """What a person should know before saying yes."""
    return [
        *_owner_notes(facts),
        *_network_notes(facts),
        *_running_notes(facts, options),
        *(f"not readable: {what} ({why})" for what, why in sorted(facts.unread.items())),
    ]


def _owner_notes(facts: InstanceFacts) -> Sequence[str]:
    notes = []
    group, state = facts.group, _lifecycle(facts)
    if group is not None:
        others = len(group.members) - 1
        notes.append(
            f"owner: Auto Scaling group {group.name} (minimum {group.min_size}, desired "
            f"{group.desired_capacity}, maximum {group.max_size}, {others} other members); "
            f"it is {state} there"
        )
        if why := will_replace(group, facts.instance_id):
            notes.append(f"no replacement will come: {why}")
        elif state in _DETACHABLE:
            notes.append("a replacement will come")
    if state == "Terminating:Retained":
        notes.append("Auto Scaling retained it: it is replaced already, and billed until disposed")
    notes += [f"owner: {owner}; tell it, or it may put the instance back" for owner in facts.owners]
    if group is None and not facts.owners:
        notes.append("owner: nobody that its tags or Auto Scaling name; no replacement will come")
    if facts.is_spot:
        notes.append("it is a Spot instance: EC2 may take it back at any time, its volumes not")
    return notes


def _network_notes(facts: InstanceFacts) -> Sequence[str]:
    notes = [
        f"target group {group.name if (group := facts.target_groups.get(arn)) else arn} keeps "
        f"{left} healthy targets"
        for arn, left in sorted(facts.healthy_others.items())
    ]
    notes += [
        f"elastic address {address} stays associated and goes silent"
        for address in facts.elastic_addresses
    ]
    if facts.group is not None and facts.group.classic_load_balancers:
        names = ", ".join(facts.group.classic_load_balancers)
        notes.append(f"classic load balancers {names}: Auto Scaling takes it out when detaching")
    return notes


def _running_notes(facts: InstanceFacts, options: Options) -> Sequence[str]:
    notes = []
    if facts.may_have_instance_store:
        notes.append(
            f"{facts.instance.instance_type} may have instance store: no snapshot reaches it, and "
            "stopping empties it; copy what matters first"
        )
    if facts.attributes is not None and facts.attributes.stop_protected:
        notes.append("stop protection is on: the stop will be refused until you switch it off")
    if facts.instance.root_device_type == "instance-store":
        notes.append("its root is on instance store: it can't be stopped, only isolated")
    if options.keep_running and _can_stop(facts):
        notes.append(
            "it keeps running: moving its interfaces through the open group first makes tracked "
            "TCP and UDP connections untracked, so that they end with the closed group; a tracked "
            "TCP connection alone would live on, idle up to 5 days. Always tracked, and so not cut "
            "by any security group: ICMP, and flows through a network or gateway load balancer, "
            "NAT gateway, transit gateway, Global Accelerator or Network Firewall"
        )
        tracked = [
            group.name
            for group in facts.target_groups.values()
            if group.protocol in _ALWAYS_TRACKED
        ]
        if tracked:
            notes.append(
                f"it serves behind {', '.join(sorted(tracked))}: those connections stay until it "
                "stops or a network ACL cuts the subnet"
            )
    return notes


def _already(facts: InstanceFacts) -> str:
    ran_on = " and left running" if facts.case_state == QUARANTINED_RUNNING else ""
    return f"{facts.instance_id} is quarantined already{ran_on}, as {facts.case_id}: nothing to do"


def _case_id(facts: InstanceFacts, proposed: str) -> str:
    if facts.case_id and facts.case_state not in RELEASED_STATES:
        return facts.case_id
    if proposed and proposed != facts.case_id:
        return proposed
    stamp = re.sub(r"[-:]", "", facts.read_at[:19])
    return f"case-{facts.instance_id}-{stamp}Z"


def _lifecycle(facts: InstanceFacts) -> str:
    return facts.member.lifecycle_state if facts.member else ""


def _plan(
    facts: InstanceFacts,
    case_id: str,
    options: Options,
    order: tuple[Step, ...],
    notes: tuple[str, ...],
    losses: tuple[str, ...],
) -> Plan:
    return Plan(
        case_id=case_id,
        instance_id=facts.instance_id,
        account_id=facts.caller.account_id,
        region=facts.caller.region,
        endpoint=facts.caller.endpoint,
        caller_arn=facts.caller.arn,
        planned_at=facts.read_at,
        options=options,
        group=facts.group_name,
        image_id=facts.instance.image_id,
        volume_ids=tuple(facts.volume_ids),
        steps=order,
        notes=notes,
        losses=losses,
        rechecked=_RECHECKED if order else (),
    )
