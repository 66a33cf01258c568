"""What commands work with: an event loop, the store, the account, one instance's row.

In: settings. Out: the opened thing, closed again when the command is done. Looking at logs asks the
store alone; an account that can't be asked is a warning where the store can answer without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from forensics.cli.output import narrate
from forensics.errors import ForensicsError, UsageError

if TYPE_CHECKING:
    from forensics.config import Settings
    from forensics.ledger.model import InstanceRow, Ledger
    from forensics.ports import Account
    from forensics.report.model import ReportModel
    from forensics.store.protocol import Store

Answer = TypeVar("Answer")

_MANY_RECORDS: Final = 50_000
"""From here on a person waits long enough to wonder why."""


def run_async(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run `work` to its end in a loop of its own."""
    return asyncio.run(work)


@contextlib.asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """The store of these settings; `UsageError` where none is set."""
    from forensics.store.open import open_store

    store = await open_store(settings.require_store())
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def opened_store_if_set(settings: Settings) -> AsyncIterator[Store | None]:
    """The store of these settings, or None where none is set: then the account speaks alone."""
    if settings.store is None:
        yield None
        return
    async with opened_store(settings) as store:
        yield store


def connect_account(settings: Settings) -> Account:
    """The account of these settings; asks AWS nothing yet."""
    from forensics.aws.account import connect

    return connect(settings.profile, settings.region)


def connect_account_if_any(settings: Settings) -> tuple[Account | None, tuple[str, ...]]:
    """The account, or None and a warning that says why there is none.

    Raises:
        UsageError: there is no account, and no store either to answer without it.
    """
    try:
        return connect_account(settings), ()
    except UsageError as error:
        if settings.store is None:
            raise
        return None, (f"the account was not asked: {_one_line(error)}",)


async def load_everything(
    settings: Settings, store: Store | None, instance_ids: frozenset[str] = frozenset()
) -> Ledger:
    """The ledger of store and account; what could not be asked is among its warnings."""
    from forensics.ledger.load import load_ledger

    account, warnings = connect_account_if_any(settings)
    ledger = await load_ledger(store, account, instance_ids)
    return replace(ledger, warnings=(*warnings, *ledger.warnings))


async def find_instance(store: Store, text: str) -> InstanceRow:
    """The stored instance of that id or prefix, by what the streams say; AWS is not asked."""
    from forensics.ledger.load import find_row, load_ledger

    ledger = await load_ledger(store, None, frozenset((text,)))
    if any(row.instance_id == text for row in ledger.rows):
        return find_row(ledger, text)
    return find_row(await load_ledger(store, None), text)


async def gather_model(settings: Settings, text: str) -> ReportModel:
    """The report of the instance of that id or prefix, from all that these settings reach."""
    from forensics.evidence.folder import FolderEvidence
    from forensics.ledger.load import find_row
    from forensics.report.gather import gather_report

    async with opened_store_if_set(settings) as store:
        ledger = await load_everything(settings, store)
        row = find_row(ledger, text)
        if row.records > _MANY_RECORDS and sys.stderr.isatty():
            narrate(f"looking through {row.records:,} records for missing bytes…")
        return await gather_report(
            store,
            row,
            FolderEvidence(settings.evidence),
            peers=ledger.rows,
            warnings=ledger.warnings,
        )


def _one_line(error: ForensicsError) -> str:
    return str(error).replace("\n  → ", "; ")
