"""Load the ledger: ask store and account at the same time, and merge what answers.

In: a store, an account, or both. Out: a `Ledger` whose warnings say what did not answer and what
the rows therefore lack. It must never write, wait without a limit, or fail while anything answers.
"""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from forensics.errors import ForensicsError, NotFoundError, UnreachableError, UsageError
from forensics.ledger.facts import Facts
from forensics.ledger.lifecycle import from_document
from forensics.ledger.merge import merge_rows
from forensics.ledger.model import InstanceRow, Ledger, LifecycleEvent
from forensics.ports import CASE_TAG, INSTANCE_TAG, Account, CallerIdentity, Instance, Snapshot
from forensics.safe_text import safe_text
from forensics.store.protocol import Query, Store
from shipper.wire.times import format_time

STORE_TIMEOUT_SECONDS: Final = 60
ACCOUNT_TIMEOUT_SECONDS: Final = 90

LIFECYCLE_PAGE: Final = 1000
LIFECYCLE_PAGES: Final = 200
"""Lifecycle documents of a whole fleet are read up to 200,000."""
VOLUMES_LOOKED_UP: Final = 450
"""Of more volumes than these, only snapshots with Afterimage's own tags are looked for."""

THE_STORE: Final = "the store"
AWS: Final = "AWS"
_LISTING: Final = frozenset(("EC2", "Auto Scaling"))
"""Who of AWS could have named an instance; STS could not."""

_NEAREST: Final = 3
_SHOWN: Final = 5
_T = TypeVar("_T")


@dataclass(slots=True)
class _Asking:
    """Who answered, who did not, and in which words."""

    answered: set[str] = field(default_factory=set)
    """The sources that answered at least one question."""
    failures: list[ForensicsError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    async def ask(self, source: str, lack: str, question: Awaitable[_T], default: _T) -> _T:
        """The answer; or the default, with a warning that tells who failed and what is lacking."""
        try:
            async with asyncio.timeout(
                STORE_TIMEOUT_SECONDS if source == "store" else ACCOUNT_TIMEOUT_SECONDS
            ):
                answer = await question
        except ForensicsError as error:
            self._fail(error, lack)
            return default
        except TimeoutError:
            late = UnreachableError(
                f"{source} did not answer in time", next_step="try again, or ask for one instance"
            )
            self._fail(late, lack)
            return default
        self.answered.add(source)
        return answer

    def _fail(self, error: ForensicsError, lack: str) -> None:
        self.failures.append(error)
        self.warnings.append(
            f"{lack}: {safe_text(error.what)}: {safe_text(error.why)}".rstrip(": ")
        )


async def load_ledger(
    store: Store | None,
    account: Account | None,
    instance_ids: frozenset[str] = frozenset(),
) -> Ledger:
    """All rows, or those of `instance_ids`.

    Raises:
        UsageError: neither a store nor an account was given.
        ForensicsError: nothing answered; the first failure, as it is.
    """
    if store is None and account is None:
        raise UsageError(
            "there is nobody to ask",
            why="neither a store nor an AWS account is configured",
            next_step="give --store, or --profile and --region",
        )
    asking = _Asking()
    from_store, (caller, from_account) = await asyncio.gather(
        _ask_store(asking, store, instance_ids), _ask_account(asking, account, instance_ids)
    )
    if not asking.answered:
        raise asking.failures[0]
    facts = Facts(
        account_id=from_account.account_id,
        region=from_account.region,
        asked_at=from_account.asked_at,
        instances=from_account.instances,
        members=from_account.members,
        activities=from_account.activities,
        snapshots=from_account.snapshots,
        streams=from_store.streams,
        lifecycle=from_store.lifecycle,
    )
    # A fleet's rows take a second or two: a screen must not stand still meanwhile.
    rows = await asyncio.to_thread(merge_rows, facts, instance_ids)
    asked = (
        *([THE_STORE] if "store" in asking.answered else ()),
        *([AWS] if _LISTING & asking.answered else ()),
    )
    return Ledger(rows=rows, warnings=tuple(asking.warnings), asked=asked, caller=caller)


async def _ask_store(asking: _Asking, store: Store | None, instance_ids: frozenset[str]) -> Facts:
    if store is None:
        return Facts()
    streams, lifecycle = await asyncio.gather(
        asking.ask("store", "no streams, so no last words", store.streams(instance_ids), ()),
        asking.ask(
            "store",
            "no stored lifecycle, so terminated instances may be missing",
            _read_lifecycle(asking, store, instance_ids),
            (),
        ),
    )
    return Facts(streams=streams, lifecycle=lifecycle)


async def _read_lifecycle(
    asking: _Asking, store: Store, instance_ids: frozenset[str]
) -> Sequence[LifecycleEvent]:
    """Every lifecycle document of those instances, oldest first."""
    query = Query(families=frozenset(("lifecycle",)), instance_ids=instance_ids)
    events: list[LifecycleEvent] = []
    after = None
    for _ in range(LIFECYCLE_PAGES):
        page = await store.page(query, after=after, limit=LIFECYCLE_PAGE)
        events.extend(map(from_document, page.documents))
        if not page.more or not page.documents:
            return events
        after = page.documents[-1].cursor
    asking.warnings.append(
        f"only the oldest {len(events):,} lifecycle documents were read: ask for single instances"
    )
    return events


async def _ask_account(
    asking: _Asking, account: Account | None, instance_ids: frozenset[str]
) -> tuple[CallerIdentity | None, Facts]:
    if account is None:
        return None, Facts()
    nobody = CallerIdentity(account_id="", arn="", region=account.region)
    scaling = account.autoscaling
    identity, (instances, asked_at, snapshots), members, activities = await asyncio.gather(
        asking.ask("STS", "whose account it is is not known", _thread(account.identity), nobody),
        _ask_ec2(asking, account, instance_ids),
        asking.ask(
            "Auto Scaling",
            "no memberships of groups",
            _thread(lambda: scaling.describe_instances(instance_ids)),
            (),
        ),
        asking.ask(
            "Auto Scaling",
            "no activities of groups",
            _thread(scaling.describe_activities),
            (),
        ),
    )
    facts = Facts(
        account_id=identity.account_id,
        region=account.region,
        asked_at=asked_at,
        instances=instances,
        members=members,
        activities=activities,
        snapshots=snapshots,
    )
    return identity, facts


async def _ask_ec2(
    asking: _Asking, account: Account, instance_ids: frozenset[str]
) -> tuple[Sequence[Instance], str, Sequence[Snapshot]]:
    """Instances, when EC2 answered (empty: it did not), and snapshots."""
    found = await asking.ask(
        "EC2",
        "no states of instances",
        _thread(lambda: account.ec2.describe_instances(instance_ids)),
        None,
    )
    asked_at = "" if found is None else format_time(time.time_ns())
    instances = found or ()
    volumes = frozenset(
        device.volume_id for instance in instances for device in instance.block_devices
    )
    if len(volumes) > VOLUMES_LOOKED_UP:
        asking.warnings.append(
            f"of {len(volumes):,} volumes only snapshots with Afterimage's tags were looked for: "
            "ask for single instances to see the others"
        )
        volumes = frozenset()
    snapshots = await asking.ask(
        "EC2",
        "no snapshots",
        _thread(lambda: _find_snapshots(account, instance_ids, volumes)),
        (),
    )
    return instances, asked_at, snapshots


def _find_snapshots(
    account: Account, instance_ids: frozenset[str], volumes: frozenset[str]
) -> Sequence[Snapshot]:
    """By our tags, and by volume where there are volumes to ask for."""
    describe = account.ec2.describe_snapshots
    found: list[Snapshot] = []
    if len(instance_ids) == 1:
        found += describe(tags={INSTANCE_TAG: next(iter(instance_ids))})
    else:
        found += describe(tag_key=INSTANCE_TAG)
        found += describe(tag_key=CASE_TAG)
    if volumes:
        found += describe(volume_ids=volumes)
    return found


async def _thread(call: Callable[[], _T]) -> _T:
    """A blocking call on a thread; its own timeouts bound it, this one is only waited for."""
    return await asyncio.to_thread(call)


def find_row(ledger: Ledger, text: str) -> InstanceRow:
    """The row of that id, or of the one id that starts so.

    Raises:
        NotFoundError: no id, or several, start so; it names the nearest.
    """
    rows = {row.instance_id: row for row in ledger.rows}
    if text in rows:
        return rows[text]
    starting = sorted(i for i in rows if text and i.startswith(text))
    if len(starting) == 1:
        return rows[starting[0]]
    if starting:
        shown = ", ".join(map(safe_text, starting[:_SHOWN]))
        more = f" and {len(starting) - _SHOWN} more" if len(starting) > _SHOWN else ""
        raise NotFoundError(
            f"{safe_text(text)} is no single instance",
            why=f"it starts {len(starting)} ids: {shown}{more}",
            next_step="give more of the id",
        )
    nearest = difflib.get_close_matches(text, rows, n=_NEAREST, cutoff=0.5)
    raise NotFoundError(
        f"no instance {safe_text(text)}",
        why=_who_was_asked(ledger),
        next_step=f"did you mean {', '.join(map(safe_text, nearest))}?"
        if nearest
        else "`forensics instances` lists what is known",
    )


def _who_was_asked(ledger: Ledger) -> str:
    """Who does not mention it; and who was not asked, or did not answer, and why."""
    asked = " and ".join(ledger.asked) or "what was asked"
    verb = "do" if len(ledger.asked) > 1 else "does"
    said = [f"{asked} {verb} not mention it ({len(ledger.rows)} known)"]
    silent = [who for who in (THE_STORE, AWS) if ledger.asked and who not in ledger.asked]
    if ledger.warnings:
        said += ledger.warnings
    elif silent:
        said.append(f"{' and '.join(silent)} {'was' if len(silent) == 1 else 'were'} not asked")
    return "; ".join(map(safe_text, said))
