"""What a run counts beside its sources' bytes: gaps, requests, since when the centre takes none.

In: what happens, as the loop hears of it. Out: members of `Statistics`, and whether the shipper is
healthy. One thread's. It must never take a gap of unknown size for one of no bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shipper.sources.ports import GapCause
from shipper.statistics import (
    DeliveryStatistics,
    ForwardStatistics,
    GapStatistics,
    OutputState,
)

FAILING_SECONDS: Final = 300.0
"""A centre that took nothing for so long is no passing trouble: a deployment of it is one."""


class Figures:
    """One run's."""

    def __init__(self) -> None:
        self.output: OutputState = "starting"
        self.last_answer_at = ""
        self.last_error = ""
        self.last_error_at = ""
        self.failing_since = ""
        self._failing_from: float | None = None
        self._gaps = self._gap_bytes = self._truncated_gaps = self._truncated_bytes = 0
        self._requests = self._failed_requests = self._body_bytes = 0

    def note_answer(self, *, at: str, body_bytes: int = 0) -> bool:
        """The centre took a request; whether it took none before."""
        was_failing = self.output == "retrying"
        self._note_request(body_bytes)
        self.output = "ok"
        self.last_answer_at = at
        self.failing_since = ""
        self._failing_from = None
        return was_failing

    def note_failure(self, error: str, *, at: str, now: float, body_bytes: int = 0) -> bool:
        """A request has to be made again; whether that is news: the first, or of another kind."""
        is_news = self.output != "retrying" or error.partition(":")[0] not in self.last_error
        self._note_request(body_bytes)
        self._failed_requests += 1
        self.output = "retrying"
        self.note_error(error, at=at)
        if self._failing_from is None:
            self._failing_from = now
            self.failing_since = at
        return is_news

    def note_refusal(self, *, body_bytes: int) -> None:
        """The centre answered and took nothing of a request: records blame themselves.

        It is not known by that whether it takes others: a broken template refuses every record.
        """
        self._note_request(body_bytes)
        self._failed_requests += 1

    def note_error(self, error: str, *, at: str) -> None:
        """Something went wrong, with the centre or on this machine."""
        self.last_error = error
        self.last_error_at = at

    def note_gap(self, *, start: int, end: int, cause: GapCause) -> None:
        """Bytes were not read; `end` equal to `start`: how many is not known."""
        known_bytes = end - start
        self._gaps += 1
        self._gap_bytes += known_bytes
        if cause == "truncated":
            self._truncated_gaps += 1
            self._truncated_bytes += known_bytes

    def health_problem(self, now: float) -> str:
        """Why the shipper is not healthy; empty: it is."""
        if self._failing_from is None:
            return ""
        failing_seconds = now - self._failing_from
        if failing_seconds < FAILING_SECONDS:
            return ""
        return f"the centre has taken nothing for {failing_seconds:.0f} s: {self.last_error}"

    @property
    def gaps(self) -> GapStatistics:
        """What could not be read."""
        return GapStatistics(
            gaps=self._gaps,
            known_bytes=self._gap_bytes,
            truncated_gaps=self._truncated_gaps,
            truncated_bytes_known=self._truncated_bytes,
        )

    @property
    def delivery(self) -> DeliveryStatistics:
        """What the senders did."""
        return DeliveryStatistics(
            requests=self._requests,
            failed_requests=self._failed_requests,
            body_bytes=self._body_bytes,
        )

    def _note_request(self, body_bytes: int) -> None:
        self._requests += 1
        self._body_bytes += body_bytes


def add_forward(servers: Sequence[ForwardStatistics]) -> ForwardStatistics | None:
    """What several servers did, together; None: there are none."""
    if not servers:
        return None
    return ForwardStatistics(
        connections=sum(one.connections for one in servers),
        connections_open=sum(one.connections_open for one in servers),
        events=sum(one.events for one in servers),
        bytes_received=sum(one.bytes_received for one in servers),
        refused=sum(one.refused for one in servers),
        duplicates=sum(one.duplicates for one in servers),
        cut=sum(one.cut for one in servers),
    )
