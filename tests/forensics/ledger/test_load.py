"""Loading the ledger: whoever answers is merged, whoever does not is told in words."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forensics.errors import NotFoundError, RefusedError, UnreachableError, UsageError
from forensics.ledger import load
from forensics.ledger.facts import Facts
from forensics.ledger.lifecycle import to_document
from forensics.ledger.load import find_row, load_ledger
from forensics.ledger.merge import merge_rows
from forensics.ledger.model import InstanceState, Ledger, LifecycleEvent
from forensics.ledger.observe import observe
from forensics.ports import CASE_TAG, GROUP_TAG, INSTANCE_TAG, Account
from forensics.store.sqlite import SqliteStore
from forensics.store.sqlite_schema import open_for_writing
from tests.forensics.ledger.memory_store import MemoryStore, make_stream
from tests.forensics.moto_account import MotoAccount

pytestmark = pytest.mark.slow

ID = "i-0123456789abcdef0"
REFUSED = RefusedError("autoscaling failed", why="may not autoscaling:Describe*")
DOWN = UnreachableError("store down", why="connection refused")


class Overridden:
    """A port or account with some of its members replaced."""

    def __init__(self, real: Any, **members: Any) -> None:
        self._real = real
        self._members = members

    def __getattr__(self, name: str) -> Any:
        return self._members.get(name) or getattr(self._real, name)


def refuse(*_: object, **__: object) -> None:
    """A call without the right to make it."""
    raise REFUSED


async def test_account_and_streams_become_one_row_per_instance(moto: MotoAccount) -> None:
    """A running instance with its stream, one without, and one that EC2 forgot."""
    group = moto.build_group(2)
    store = MemoryStore([make_stream(group.instance_ids[0]), make_stream(ID)])
    ledger = await load_ledger(store, moto.account)
    assert () == ledger.warnings
    rows = {row.instance_id: row for row in ledger.rows}
    assert {*group.instance_ids, ID} == set(rows)
    spoke, silent = (rows[instance_id] for instance_id in group.instance_ids)
    assert ("last word", "") == (spoke.last_word, silent.last_word)
    assert [InstanceState.RUNNING] * 2 == [spoke.state, silent.state]
    assert (group.image_id, group.name, "eu-west-1") == (
        spoke.image_id, spoke.group, spoke.region,
    )  # fmt: skip
    assert ("ec2", "autoscaling", "stream") == tuple(spoke.sources)
    assert InstanceState.TERMINATED == rows[ID].state


@pytest.mark.slow
async def test_a_detached_tagged_snapshotted_instance_keeps_its_story(moto: MotoAccount) -> None:
    """After detaching, AWS's group tag is gone; ours, case and snapshots tell the rest."""
    group = moto.build_group(1)
    victim = group.instance_ids[0]
    account = moto.account
    account.ec2.create_tags([victim], {CASE_TAG: "c1", GROUP_TAG: group.name})
    account.autoscaling.detach_instance(victim, group.name, decrement=False)
    account.ec2.create_snapshots(victim, description="d", tags={INSTANCE_TAG: victim})
    account.ec2.stop_instance(victim)
    for asked in (frozenset[str](), frozenset((victim,))):
        row = find_row(await load_ledger(None, account, asked), victim)
        assert (InstanceState.QUARANTINED, "web", "c1", 1) == (
            row.state, row.group, row.case_id, len(row.snapshots),
        )  # fmt: skip
        assert {"launched", "snapshot", "stopped"} == {event.action for event in row.events}


async def test_what_was_observed_is_known_after_ec2_forgot(
    moto: MotoAccount, tmp_path: Path
) -> None:
    """Observed into a real store, a terminated instance keeps image, group, launch and end."""
    group = moto.build_group(1)
    victim = group.instance_ids[0]
    moto.ec2.terminate_instances(InstanceIds=[victim])
    path = tmp_path / "store.db"
    open_for_writing(path).close()
    store = await SqliteStore.open(path)
    try:
        before = await load_ledger(store, moto.account)
        assert 0 < await observe(store, before)
        assert 0 == await observe(store, before)
        known = find_row(before, victim)
        forgetful = Overridden(
            moto.account,
            ec2=Overridden(moto.account.ec2, describe_instances=lambda _ids: []),
        )
        account: Account = forgetful
        row = find_row(await load_ledger(store, account), victim)
    finally:
        await store.close()
    assert InstanceState.TERMINATED == row.state
    assert known.ended_at != ""
    assert (known.image_id, known.group, known.launched_at, known.ended_at) == (
        row.image_id, row.group, row.launched_at, row.ended_at,
    )  # fmt: skip


async def test_a_refused_call_is_a_warning_and_the_rest_is_shown(moto: MotoAccount) -> None:
    """The warning says which right is missing and what the rows lack."""
    group = moto.build_group(1)
    scaling = Overridden(
        moto.account.autoscaling, describe_instances=refuse, describe_activities=refuse
    )
    account: Account = Overridden(moto.account, autoscaling=scaling)
    ledger = await load_ledger(None, account)
    assert list(group.instance_ids) == [row.instance_id for row in ledger.rows]
    assert [
        "no memberships of groups: autoscaling failed: may not autoscaling:Describe*",
        "no activities of groups: autoscaling failed: may not autoscaling:Describe*",
    ] == sorted(ledger.warnings, reverse=True)


async def test_an_ec2_that_did_not_answer_declares_nobody_dead(moto: MotoAccount) -> None:
    """Its silence is not the silence of an EC2 that answers without the id."""
    broken = Overridden(moto.account.ec2, describe_instances=refuse)
    account: Account = Overridden(moto.account, ec2=broken)
    ledger = await load_ledger(MemoryStore([make_stream(ID)]), account)
    assert (InstanceState.UNKNOWN, "EC2 did not answer") == (
        find_row(ledger, ID).state,
        find_row(ledger, ID).state_reason,
    )
    assert any("no states of instances" in warning for warning in ledger.warnings)


async def test_a_dead_store_leaves_the_account(moto: MotoAccount) -> None:
    """Rows from AWS, and two warnings of what they lack."""
    moto.build_group(1)
    store = MemoryStore()
    store.failure = DOWN
    ledger = await load_ledger(store, moto.account)
    assert 1 == len(ledger.rows)
    assert 2 == len([warning for warning in ledger.warnings if "store down" in warning])


async def test_a_store_that_never_answers_is_left_behind(
    moto: MotoAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time is over the rest is shown."""
    moto.build_group(1)
    monkeypatch.setattr(load, "STORE_TIMEOUT_SECONDS", 0.05)
    store = MemoryStore()
    store.stuck = True
    ledger = await load_ledger(store, moto.account)
    assert 1 == len(ledger.rows)
    assert any("store did not answer in time" in warning for warning in ledger.warnings)


async def test_nothing_that_answers_is_the_first_failure() -> None:
    """An empty list would be a lie."""
    store = MemoryStore()
    store.failure = DOWN
    with pytest.raises(UnreachableError, match="store down"):
        await load_ledger(store, None)


async def test_nobody_to_ask_is_a_usage_error() -> None:
    """With what to give."""
    with pytest.raises(UsageError, match="--store"):
        await load_ledger(None, None)


async def test_a_long_lifecycle_is_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """And where even that ends, the warning says so."""
    monkeypatch.setattr(load, "LIFECYCLE_PAGE", 2)
    store = MemoryStore()
    event = LifecycleEvent(at="", instance_id="", action="birth", message="", origin="ec2")
    store.add_lifecycle(
        [
            to_document(
                replace(event, at=f"2026-01-0{n}T00:00:00.000000000Z", instance_id=f"i-{n}")
            )
            for n in range(1, 8)
        ]
    )
    ledger = await load_ledger(store, None)
    assert (7, ()) == (len(ledger.rows), ledger.warnings)
    monkeypatch.setattr(load, "LIFECYCLE_PAGES", 2)
    ledger = await load_ledger(store, None)
    assert 4 == len(ledger.rows)
    assert "only the oldest 4 lifecycle documents" in ledger.warnings[0]


LEDGER = Ledger(
    rows=merge_rows(
        Facts(streams=tuple(map(make_stream, ("i-0aaa", "i-0aab", "i-0bbb", "i-0bbbb", "web\x1b"))))
    )
)


@pytest.mark.parametrize(
    ("text", "found"), [("i-0aaa", "i-0aaa"), ("i-0bbb", "i-0bbb"), ("i-0bbbb", "i-0bbbb"),
                        ("web", "web\x1b")],
)  # fmt: skip
def test_an_id_or_its_unambiguous_start_finds_the_row(text: str, found: str) -> None:
    """The whole id wins over being another's start."""
    assert found == find_row(LEDGER, text).instance_id


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("i-0a", "it starts 2 ids: i-0aaa, i-0aab"),
        ("i-0aac", "did you mean i-0aa"),
        ("zzz\x1b[31m", "no instance zzz␛[31m"),
        ("", "forensics instances"),
    ],
)
def test_what_is_not_found_names_the_nearest(text: str, words: str) -> None:
    """In text that is safe to print."""
    with pytest.raises(NotFoundError) as caught:
        find_row(LEDGER, text)
    assert words in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("module", ["forensics.ledger.load", "forensics.aws.account"])
def test_importing_costs_neither_boto3_nor_textual(module: str) -> None:
    """A help text must not wait for an SDK."""
    program = (
        f"import sys, {module}; "
        "print(sorted({'boto3', 'botocore', 'textual', 'opensearchpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "[]" == done.stdout.strip()
