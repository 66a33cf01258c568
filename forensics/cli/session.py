"""What commands add to the session: an event loop, its end with the command, and a word on waiting.

In: settings and what was typed. Out: an open session, closed again; a report.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from forensics.cli.output import narrate

if TYPE_CHECKING:
    from forensics.config import Settings
    from forensics.report.model import ReportModel
    from forensics.session import Session

Answer = TypeVar("Answer")

_MANY_RECORDS: Final = 50_000
"""From here on a person waits long enough to wonder why."""


def run_async(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run `work` to its end in a loop of its own."""
    return asyncio.run(work)


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Session]:
    """A session that ends with the command."""
    from forensics.session import Session

    session = Session(settings)
    try:
        yield session
    finally:
        await session.close()


async def gather_model(settings: Settings, text: str) -> ReportModel:
    """The report of the instance of that id or prefix, from all that these settings reach."""
    from forensics.ledger.load import find_row

    async with opened(settings) as session:
        row = find_row(await session.fetch_ledger(), text)
        if row.records > _MANY_RECORDS and sys.stderr.isatty():
            narrate(f"looking through {row.records:,} records for missing bytes…")
        return await session.fetch_report(row)
