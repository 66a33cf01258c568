"""What effects share: the account, the plan, the case's papers, and the words of a look.

In: a reference of a plan. Out: what AWS has for it now. Must never change anything in AWS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from forensics.errors import NotFoundError
from forensics.ports import Account, Instance, SecurityGroup, Snapshot
from forensics.quarantine.model import Call, Plan
from forensics.quarantine.papers import Papers
from forensics.quarantine.result import Limits

_REFERENCE: Final = re.compile(r"<id of (\S+) in (\S*)>")


class Seen(Enum):
    """What a look at AWS says of an effect."""

    TODO = "to do"
    COMING = "on its way"
    DONE = "done"
    IMPOSSIBLE = "can't be any more"


@dataclass(frozen=True, slots=True)
class Check:
    """The answer of a look, with its ground for a person."""

    seen: Seen
    detail: str = ""
    snapshot_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """What effects work on."""

    account: Account
    plan: Plan
    papers: Papers
    created: dict[str, Snapshot] = field(default_factory=dict)
    """Snapshots that this run's requests gave: describing them may lag behind."""

    def instance(self) -> Instance | None:
        """The instance as EC2 describes it now; None: forgotten."""
        found = self.account.ec2.describe_instances(frozenset((self.plan.instance_id,)))
        return found[0] if found else None

    def find_group(self, reference: str) -> SecurityGroup | None:
        """The security group that a plan's reference stands for; None: not made yet."""
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise NotFoundError(f"{reference!r} refers to no security group")
        return self.account.ec2.find_security_group(name=match[1], vpc_id=match[2])

    def group_id(self, reference: str) -> str:
        """The id that a reference stands for.

        Raises:
            NotFoundError: there is no such group.
        """
        group = self.find_group(reference)
        if group is None:
            raise NotFoundError(f"there is no security group for {reference}")
        return group.group_id

    def resolved(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The parameters with every reference that can be resolved now, for the journal."""
        text = json.dumps(parameters)
        for match in set(_REFERENCE.finditer(text)):
            group = self.find_group(match[0])
            if group is not None:
                text = text.replace(match[0], group.group_id)
        resolved: Mapping[str, Any] = json.loads(text)
        return resolved


@dataclass(frozen=True, slots=True)
class Handling:
    """One effect, all that the engine must know of it: `check` looks, `do` sends the request."""

    check: Callable[[Scene, Call], Check]
    do: Callable[[Scene, Call], Mapping[str, Any]]
    shows: bool = True
    """Whether a look must confirm what was done."""
    force: Callable[[Scene, Call], Mapping[str, Any]] | None = None
    """A harder way, after half of the waiting time."""
    may_come_twice: bool = False
    """Whether sending it again could do it again, while what AWS accepted does not show yet."""
    patience: Callable[[Limits], float] = lambda limits: limits.visible_seconds
    """Seconds to wait for it once it is on its way."""
    late: str = ""
    """What to say where it ends by itself after that time, which then counts as done."""
