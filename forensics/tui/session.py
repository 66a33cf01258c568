"""What the TUI asks of the headless core, and the real thing: the session of both doors, and logs.

In: settings. Out: ledgers, logs, findings, reports. It must never ask for an answer on its own:
each is asked for by a screen's worker, and opens what it needs at its first use.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from forensics import session as core
from forensics.ledger.model import InstanceRow, Ledger
from forensics.tui.pager import EventSource
from shipper.wire.times import format_time

if TYPE_CHECKING:
    from forensics.findings.finding import Finding
    from forensics.report.model import ReportModel


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


class LiveSession(core.Session):
    """A store and an account as the settings name them."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        """See `Session.shown`."""
        return self.settings.store_shown or "no store: live AWS alone"

    async def open_timeline(self, row: InstanceRow) -> EventSource:
        """See `Session.open_timeline`."""
        from forensics.tui.timeline_source import TimelineSource

        pages, counts = await self.open_store("pages"), await self.open_store("counts")
        return TimelineSource(pages, counts, row)

    async def fetch_findings(self, row: InstanceRow) -> Sequence[Finding]:
        """See `Session.fetch_findings`."""
        from forensics.findings.observed import read_observed
        from forensics.findings.rank import find_all

        now = format_time(time.time_ns())
        return find_all(await read_observed(await self.open_store("answer"), row, now=now))
