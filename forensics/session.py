"""The store and the account as the settings name them: what the CLI and the TUI both work with.

In: settings. Out: ledgers and reports, and the store itself for whoever reads logs. A store that
can't be reached is a warning while the account answers, and an account that can't be asked is one
while the store does; a location that names no store is an error. It must never show anything: the
doors do that.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from forensics.errors import (
    ForensicsError,
    NotFoundError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from forensics.ledger.model import InstanceRow, Ledger

if TYPE_CHECKING:
    from forensics.config import Settings
    from forensics.ports import Account
    from forensics.report.model import ReportModel
    from forensics.store.protocol import Store


@dataclass(slots=True)
class Session:
    """Opens each thing at its first use, and keeps it until `close`."""

    settings: Settings
    _ledger: Ledger = field(default_factory=lambda: Ledger(()))
    """The last one that was fetched: its warnings belong to the report."""
    _peers: tuple[InstanceRow, ...] = ()
    """The rows of the last ledger of all instances."""
    _stores: dict[str, Store] = field(default_factory=dict)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _account: Account | None = None
    _is_store_unreached: bool = False
    """The last ledger was made without the store that is set."""

    async def fetch_ledger(self, instance_ids: frozenset[str] = frozenset()) -> Ledger:
        """Rows of those instances (empty: of all), from whoever answers.

        Raises:
            ForensicsError: nobody answers; the store's trouble, if it has one.
        """
        from forensics.ledger.load import load_ledger

        trouble: ForensicsError | None = None
        store: Store | None = None
        warnings: list[str] = []
        try:
            store = await self.open_store("ledger")
        except (UnreachableError, TimedOutError) as error:
            trouble = error
            warnings.append(f"the store was not asked: {_one_line(error)}")
        try:
            account = await self._open_account(warnings, may_lack=store is not None)
            ledger = await load_ledger(store, account, instance_ids)
        except ForensicsError as error:
            if self.settings.store is None:
                raise _nobody_to_ask(error) from error
            raise trouble or error from None
        ledger = replace(ledger, warnings=(*warnings, *ledger.warnings))
        self._is_store_unreached = trouble is not None
        self._ledger = ledger
        if not instance_ids:
            self._peers = tuple(ledger.rows)
        return ledger

    async def fetch_report(self, row: InstanceRow) -> ReportModel:
        """The report as of now, from those whom the last ledger came from."""
        from forensics.evidence.folder import FolderEvidence
        from forensics.report.gather import gather_report

        return await gather_report(
            None if self._is_store_unreached else await self.open_store("answer"),
            row,
            FolderEvidence(self.settings.evidence),
            peers=self._peers,
            warnings=self._ledger.warnings,
            account=self._ledger.caller.shown if self._ledger.caller else "",
            evidence_location=str(self.settings.evidence),
        )

    async def open_store(self, purpose: str) -> Store | None:
        """The store, opened once for each purpose: one opening answers one question at a time.

        None: no store is set.
        """
        location = self.settings.store
        if location is None:
            return None
        async with self._opening:
            if purpose not in self._stores:
                from forensics.store.open import open_store

                self._stores[purpose] = await open_store(location)
            return self._stores[purpose]

    async def require_store(self) -> Store:
        """The store, for an answer that nobody else has; `UsageError` where none is set."""
        self.settings.require_store()
        store = await self.open_store("answer")
        assert store is not None  # noqa: S101 - the line above refuses settings without one
        return store

    async def find_stored(self, text: str, *, has_logs: bool = True) -> InstanceRow:
        """The stored instance of that id or prefix, by what the streams say.

        Raises:
            NotFoundError: nothing is stored of it, or no log and `has_logs`; it says so if AWS
                knows the instance.
        """
        from forensics.ledger.load import find_row, load_ledger
        from forensics.store.protocol import Query

        store = await self.require_store()
        try:
            row = await find_stored(store, text)
            only = Query(instance_ids=frozenset((row.instance_id,)))
            if row.streams or not has_logs or await store.count(only):
                return row
            text = row.instance_id
        except NotFoundError:
            pass  # AWS may know more
        everybody = await self.fetch_ledger(frozenset((text,)))
        if everybody.rows:
            raise _nothing_stored(everybody.rows[0])
        stored = await load_ledger(store, None)
        told = replace(stored, asked=everybody.asked, warnings=everybody.warnings)
        return find_row(told, text)

    async def close(self) -> None:
        """Give back sockets and files."""
        while self._stores:
            _, store = self._stores.popitem()
            await store.close()

    async def _open_account(self, warnings: list[str], *, may_lack: bool) -> Account | None:
        """The account; None, and a warning, where there is none and others answer."""
        if self._account is None:
            try:
                self._account = await asyncio.to_thread(connect_account, self.settings)
            except UsageError as error:
                if not may_lack:
                    raise
                warnings.append(f"the account was not asked: {_one_line(error)}")
        return self._account


def _nothing_stored(row: InstanceRow) -> NotFoundError:
    return NotFoundError(
        f"no log stored of {row.instance_id}",
        why=f"AWS knows it as {row.state}"
        if "ec2" in row.sources
        else "the store has only what happened to it, no shipper of it sent anything here",
        next_step=f"see what AWS says: forensics show {row.instance_id}; "
        "on the instance: shipper status",
    )


def _nobody_to_ask(error: ForensicsError) -> ForensicsError:
    """What a forgotten store looks like: the store is the first thing to give."""
    return type(error)(
        "no store is set, and the account can't be asked",
        why=f"{error.what}: {error.why}" if error.why else error.what,
        next_step="give --store PATH or --store https://…, or set AFTERIMAGE_STORE\n"
        f"or, for what AWS alone says: {error.next_step or 'try again'}",
    )


def connect_account(settings: Settings) -> Account:
    """The account of these settings; asks AWS nothing yet."""
    from forensics.aws.account import connect

    return connect(settings.profile, settings.region)


async def find_stored(store: Store, text: str) -> InstanceRow:
    """The stored instance of that id or prefix, by what the streams say; AWS is not asked."""
    from forensics.ledger.load import find_row, load_ledger

    ledger = await load_ledger(store, None, frozenset((text,)))
    if any(row.instance_id == text for row in ledger.rows):
        return find_row(ledger, text)
    return find_row(await load_ledger(store, None), text)


def _one_line(error: ForensicsError) -> str:
    return str(error).replace("\n  → ", "; ")
