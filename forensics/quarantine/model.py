"""A quarantine plan's values: what will be called, in which order, and what each step means.

Pure, frozen, JSON-safe. A plan that was claimed is evidence itself: it is stored with the claim,
and whoever resumes the case carries out that plan, not one of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

CLOSED_GROUP: Final = "afterimage-closed"
"""Name of the security group without any rule, one in each VPC."""
OPEN_GROUP: Final = "afterimage-open"
"""Name of the security group that allows all: the first of the two steps that cut connections."""
PHASE_TAG: Final = "afterimage:phase"
"""On snapshots: which of the case's two sets."""

QUARANTINED: Final = "quarantined"
QUARANTINED_RUNNING: Final = "quarantined-running"
CLAIMED: Final = "claimed"
"""Values of STATE_TAG, beside RELEASED_STATES."""


class Mode(StrEnum):
    """Why it is set aside, which decides what comes first."""

    FAULT = "fault"
    """It failed: the disk first, then the isolation."""
    ATTACK = "attack"
    """Somebody is in it: the isolation first."""


class Phase(StrEnum):
    """Which set of snapshots."""

    FIRST = "first"
    SECOND = "second"
    """After the stop: holds what was written since the first."""


class Effect(StrEnum):
    """What a call brings about; `effects/` knows how to see whether it is so, and to do it."""

    TAGGED = "tagged"
    VOLUMES_KEPT = "volumes kept"
    TERMINATION_PROTECTED = "termination protected"
    SHUTDOWN_STOPS = "shutdown stops"
    RECOVERY_OFF = "recovery off"
    CONSOLE_SAVED = "console saved"
    DETACHED = "detached"
    REPLACED = "replaced"
    SNAPSHOT_TAKEN = "snapshot taken"
    DEREGISTERED = "deregistered"
    GROUP_MADE = "security group made"
    GROUP_EMPTY = "security group empty"
    GROUP_OPEN = "security group open"
    INTERFACE_GROUPED = "interface grouped"
    STOPPED = "stopped"


class StepId(StrEnum):
    """The steps, by name. Which of them a plan has, and their order, `plan.py` decides."""

    CLAIM = "claim"
    PROTECT = "protect"
    CONSOLE = "console"
    DETACH = "detach"
    SNAPSHOT = "snapshot"
    REPLACEMENT = "replacement"
    DEREGISTER = "deregister"
    ISOLATE = "isolate"
    STOP = "stop"
    SNAPSHOT_AGAIN = "snapshot-again"
    SEAL = "seal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to AWS, sent only if its effect is not there already."""

    effect: Effect
    api: str
    """Service and action as IAM writes them: `ec2:StopInstances`."""
    parameters: Mapping[str, Any]
    """As they will be sent; `<id of NAME in VPC>` stands for a security group not made yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Some calls that belong together."""

    id: StepId
    title: str
    calls: tuple[Call, ...]
    undo: str
    """How a person takes it back; empty: it can't be."""
    precondition: str
    """What must be so before, in words."""
    risk: str
    """What it costs, or may break."""

    @property
    def is_reversible(self) -> bool:
        """Whether it can be taken back."""
        return bool(self.undo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the responder decided."""

    mode: Mode = Mode.FAULT
    keep_running: bool = False
    """Isolate but do not stop: memory stays, and so does whoever is in it."""
    accept_outage: bool = False
    """Go on below the floor."""
    floor: int = 1
    """Healthy others that must be left in each target group, or in the Auto Scaling group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole of what will be done to one instance."""

    case_id: str
    instance_id: str
    account_id: str
    region: str
    endpoint: str
    """A custom endpoint's URL; empty: AWS itself."""
    caller_arn: str
    planned_at: str
    """When the facts were read, 30-character UTC text."""
    options: Options
    group: str
    """Its Auto Scaling group; empty: none."""
    image_id: str
    volume_ids: tuple[str, ...]
    steps: tuple[Step, ...]
    """Empty: there is nothing to do, and `notes` says why."""
    notes: tuple[str, ...] = ()
    """What a person should know before saying yes. Hostile text."""
    losses: tuple[str, ...] = ()
    """What is lost already, whatever is done now: these make the outcome degraded or lost."""
    rechecked: tuple[str, ...] = ()
    """Facts that may change before the run, which therefore reads them again."""


def group_reference(name: str, vpc_id: str) -> str:
    """Stands in parameters for the id of a security group that may not exist yet."""
    return f"<id of {name} in {vpc_id}>"


def listed(tags: Mapping[str, str]) -> Sequence[Mapping[str, str]]:
    """Tags as AWS takes them, in order of keys."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
