"""What the TUI asks of the headless core, and the real thing behind it: a store and an account.

In: settings. Out: ledgers, logs, findings, reports. It must never ask for an answer on its own:
each is asked for by a screen's worker, and opens what it needs at its first use.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from forensics.config import Settings
from forensics.errors import ForensicsError, UsageError
from forensics.ledger.model import InstanceRow, Ledger
from forensics.tui.pager import EventSource
from shipper.wire.times import format_time

if TYPE_CHECKING:
    from forensics.findings.finding import Finding
    from forensics.ports import Account
    from forensics.report.model import ReportModel
    from forensics.store.protocol import Store


class Session(Protocol):
    """The core as the TUI sees it. Every method may raise a `ForensicsError`."""

    @property
    def shown(self) -> str:
        """Store and account, for a person, without secrets."""
        ...

    async def fetch_ledger(self, instance_ids: frozenset[str] = frozenset()) -> Ledger:
        """Rows of those instances; empty: of all."""
        ...

    async def open_timeline(self, row: InstanceRow) -> EventSource:
        """The instance's log and lifecycle in one order of time."""
        ...

    async def fetch_findings(self, row: InstanceRow) -> Sequence[Finding]:
        """What happened, as far as the evidence says; the cause first."""
        ...

    async def fetch_report(self, row: InstanceRow) -> ReportModel:
        """The report as of now, completeness included."""
        ...

    async def close(self) -> None:
        """Give back sockets and files."""
        ...


@dataclass(slots=True)
class LiveSession:
    """A store and an account as the settings name them."""

    settings: Settings
    _ledger: Ledger = field(default_factory=lambda: Ledger(()))
    _stores: dict[str, Store] = field(default_factory=dict)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _account: Account | None = None

    @property
    def shown(self) -> str:
        """See `Session.shown`."""
        return self.settings.store_shown or "no store: live AWS alone"

    async def fetch_ledger(self, instance_ids: frozenset[str] = frozenset()) -> Ledger:
        """See `Session.fetch_ledger`; without the store, the account alone, and a warning."""
        from forensics.ledger.load import load_ledger

        problem: ForensicsError | None = None
        store: Store | None = None
        try:
            store = await self._open("ledger")
        except ForensicsError as error:
            problem = error
        warnings: tuple[str, ...] = ()
        try:
            account, warning = await self._open_account(store)
            ledger = await load_ledger(store, account, instance_ids)
        except ForensicsError as error:
            raise problem or error from None
        if problem is not None:
            if not ledger.rows:
                raise problem
            warnings = (f"the store was not asked: {problem.what}: {problem.why}",)
        if warning:
            warnings = (*warnings, warning)
        ledger = replace(ledger, warnings=(*warnings, *ledger.warnings))
        if not instance_ids:
            self._ledger = ledger
        return ledger

    async def open_timeline(self, row: InstanceRow) -> EventSource:
        """See `Session.open_timeline`."""
        from forensics.tui.timeline_source import TimelineSource

        return TimelineSource(await self._open("pages"), await self._open("counts"), row)

    async def fetch_findings(self, row: InstanceRow) -> Sequence[Finding]:
        """See `Session.fetch_findings`."""
        from forensics.findings.observed import read_observed
        from forensics.findings.rank import find_all

        now = format_time(time.time_ns())
        return find_all(await read_observed(await self._open("answer"), row, now=now))

    async def fetch_report(self, row: InstanceRow) -> ReportModel:
        """See `Session.fetch_report`."""
        from forensics.evidence.folder import FolderEvidence
        from forensics.report.gather import gather_report

        evidence = FolderEvidence(self.settings.evidence)
        return await gather_report(
            await self._open("answer"),
            row,
            evidence,
            peers=self._ledger.rows,
            warnings=self._ledger.warnings,
        )

    async def close(self) -> None:
        """See `Session.close`."""
        while self._stores:
            _, store = self._stores.popitem()
            await store.close()

    async def _open(self, purpose: str) -> Store | None:
        """The store, opened once for each purpose: one opening answers one question at a time."""
        location = self.settings.store
        if location is None:
            return None
        async with self._opening:
            if purpose not in self._stores:
                from forensics.store.open import open_store

                self._stores[purpose] = await open_store(location)
            return self._stores[purpose]

    async def _open_account(self, store: Store | None) -> tuple[Account | None, str]:
        """The account, or None and why there is none to ask."""
        if self._account is None:
            from forensics.aws.account import connect

            try:
                self._account = await asyncio.to_thread(
                    connect, self.settings.profile, self.settings.region
                )
            except UsageError as error:
                if store is None:
                    raise
                return None, f"the account was not asked: {error.what}: {error.why}"
        return self._account, ""
