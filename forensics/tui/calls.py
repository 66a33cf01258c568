"""The list of questions that the TUI asked, and the source that keeps it and watches the clock.

In: questions to a store. Out: the same answers, each within a time limit and listed with duration
and outcome. It must never change a question or an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, fields
from typing import Final, TypeVar

from forensics.errors import TimedOutError
from forensics.store.protocol import Bucket, Cursor, Page, Query
from forensics.tui.pager import EventSource
from shipper.wire.times import format_time

TIMEOUT_SECONDS: Final = 60.0
KEPT: Final = 500

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One question and how it went."""

    at: str
    question: str
    """May quote hostile text."""
    seconds: float
    outcome: str
    """Likewise."""


class CallLog:
    """The newest questions, oldest first."""

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.calls: deque[Call] = deque(maxlen=KEPT)
        self.timeout_seconds = timeout_seconds

    async def ask(self, question: str, answer: Awaitable[Answer]) -> Answer:
        """Wait for an answer, and list it.

        Raises:
            TimedOutError: it took too long; what the answer itself raises.
        """
        at = format_time(time.time_ns())
        started = time.monotonic()
        outcome = "cancelled"
        try:
            async with asyncio.timeout(self.timeout_seconds):
                result = await answer
            outcome = _size_of(result)
        except TimeoutError:
            outcome = "timed out"
            raise TimedOutError(
                f"No answer to: {question}",
                why=f"the store took longer than {self.timeout_seconds:.0f} s",
                next_step="press r to ask again, or ask for less with f (filter) or t (time)",
            ) from None
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.calls.append(
                Call(
                    at=at,
                    question=question,
                    seconds=time.monotonic() - started,
                    outcome=outcome,
                )
            )
        return result


def _size_of(result: object) -> str:
    if isinstance(result, Page):
        return f"{len(result.documents)} events{', more follow' if result.more else ''}"
    if isinstance(result, int):
        return f"{result:,}"
    if isinstance(result, Sequence):
        return f"{len(result)} rows"
    return "ok"


class AskedSource:
    """An `EventSource` whose questions are listed and limited in time."""

    def __init__(self, source: EventSource, log: CallLog) -> None:
        self._source = source
        self._log = log

    async def page(
        self,
        query: Query,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 500,
    ) -> Page:
        """See `Store.page`."""
        where = "" if after is None else f" after {after.timestamp}"
        where += "" if before is None else f" before {before.timestamp}"
        return await self._log.ask(
            f"page {describe(query)}{where} limit {limit}",
            self._source.page(query, after=after, before=before, limit=limit),
        )

    async def count(self, query: Query) -> int:
        """See `Store.count`."""
        return await self._log.ask(f"count {describe(query)}", self._source.count(query))

    async def histogram(self, query: Query, buckets: int) -> Sequence[Bucket]:
        """See `Store.histogram`."""
        return await self._log.ask(
            f"histogram {describe(query)} {buckets} bars", self._source.histogram(query, buckets)
        )


def describe(query: Query) -> str:
    """The conditions of a query that are set, in one line."""
    parts = []
    for one in fields(query):
        value = getattr(query, one.name)
        if value:
            text = ",".join(sorted(value)) if isinstance(value, frozenset) else str(value)
            parts.append(f"{one.name}={text}")
    return " ".join(parts)
