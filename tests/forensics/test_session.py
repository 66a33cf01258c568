"""The session of both doors: who is asked, who may be silent, and what is said then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from forensics.aws.account import BotoAccount
from forensics.config import Settings
from forensics.errors import NotFoundError, UnreachableError, UsageError
from forensics.ledger.load import find_row
from forensics.ports import CallerIdentity
from forensics.report.words import render_completeness, render_headline
from forensics.session import Session
from tests.forensics.cli.stored import DEAD, DEAD_LINES, StoreFile, content_of
from tests.forensics.moto_account import MotoAccount

DEAD_STORE = "http://127.0.0.1:9"
"""The discard port of loopback: nobody listens."""


@asynccontextmanager
async def _session(
    folder: Path, store: str | None, region: str | None = None
) -> AsyncIterator[Session]:
    session = Session(
        Settings(store=store, evidence=folder / "evidence", profile=None, region=region)
    )
    try:
        yield session
    finally:
        await session.close()


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No profile, no region: there is no account to ask."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@pytest.mark.slow
async def test_an_unreachable_store_is_a_warning_while_the_account_answers(
    moto: MotoAccount, tmp_path: Path
) -> None:
    """Rows and a report come from AWS; neither claims anything of logs that nobody looked at."""
    instance = moto.build_group(size=1).instance_ids[0]
    async with _session(tmp_path, DEAD_STORE) as session:
        ledger = await session.fetch_ledger()
        model = await session.fetch_report(find_row(ledger, instance))

    assert [instance] == [row.instance_id for row in ledger.rows]
    assert ledger.warnings[0].startswith("the store was not asked: ")
    assert model.warnings[0] == ledger.warnings[0]
    assert "" == model.scope.store
    assert moto.account.identity().shown == model.scope.account
    assert "No store was asked" in render_completeness(model)
    assert "No store was asked" in render_headline(model)


async def test_without_an_account_the_stores_trouble_is_the_error(
    no_account: None, tmp_path: Path
) -> None:
    """Nobody answers: what failed is the store that was named, not the account that was not."""
    async with _session(tmp_path, DEAD_STORE) as session:
        with pytest.raises(UnreachableError):
            await session.fetch_ledger()


async def test_a_location_that_is_wrong_is_an_error_whoever_else_answers(
    moto: MotoAccount, tmp_path: Path
) -> None:
    """A typing error must not look like a store that is down for a while."""
    async with _session(tmp_path, str(tmp_path / "none.sqlite")) as session:
        with pytest.raises(NotFoundError):
            await session.fetch_ledger()
    async with _session(tmp_path, "ftp://x") as session:
        with pytest.raises(UsageError):
            await session.fetch_ledger()


async def test_without_an_account_the_store_answers_and_a_warning_says_so(
    no_account: None, tmp_path: Path
) -> None:
    """Looking at logs needs no AWS."""
    file = StoreFile(tmp_path / "logs.sqlite")
    file.add_instance(DEAD, content_of(DEAD_LINES))
    file.close()
    async with _session(tmp_path, str(file.path)) as session:
        ledger = await session.fetch_ledger()
        model = await session.fetch_report(find_row(ledger, DEAD))

    assert ["the account was not asked"] == [text.split(":")[0] for text in ledger.warnings]
    assert tuple(ledger.warnings) == tuple(model.warnings)
    assert render_completeness(model).startswith("Complete: all ")
    assert "" == model.scope.account


async def test_with_neither_store_nor_account_the_error_names_what_to_give(
    no_account: None, tmp_path: Path
) -> None:
    """And an answer that only a store has asks for `--store`."""
    async with _session(tmp_path, None) as session:
        with pytest.raises(UsageError):
            await session.fetch_ledger()
        with pytest.raises(UsageError, match="no store is set"):
            await session.require_store()


@pytest.mark.slow
async def test_an_account_that_says_not_whose_it_is_is_a_warning(
    moto: MotoAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STS refuses, EC2 answers: the report says what is known of the account, and what is not."""

    def refuse(_: BotoAccount) -> CallerIdentity:
        raise UnreachableError("STS does not answer", why="the test says so")

    monkeypatch.setattr(BotoAccount, "identity", refuse)
    instance = moto.build_group(size=1).instance_ids[0]
    async with _session(tmp_path, None) as session:
        model = await session.fetch_report(find_row(await session.fetch_ledger(), instance))

    assert "an account not known, eu-west-1" == model.scope.account
    assert ["whose account it is is not known: STS does not answer: the test says so"] == list(
        model.warnings
    )


def test_a_caller_is_shown_with_account_region_and_an_endpoint_that_is_not_aws() -> None:
    """Enough to know where a report comes from; AWS itself needs no address."""
    caller = CallerIdentity(account_id="123456789012", arn="arn:aws:iam::x:user/a", region="eu-1")

    assert "account 123456789012, eu-1, arn:aws:iam::x:user/a" == caller.shown
    assert replace(caller, endpoint="http://127.0.0.1:5").shown.endswith(
        "user/a, at http://127.0.0.1:5 (not AWS)"
    )
