"""What a shipper says of itself: heartbeats to the centre, its status on the disk, its metrics.

In: inputs, lanes and what the loop notes. Out: `Statistics`, and vitals that are made of it. One
thread's. It must never keep the loop from shipping.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from shipper.config import MetricsConfig
from shipper.dead_letter_file import LetterCount
from shipper.deliver.log_lane import LogLane
from shipper.deliver.vitals_lane import VitalsLane
from shipper.errors import ConfigError
from shipper.figures import Figures, add_forward
from shipper.inputs import Inputs
from shipper.listen_address import parse_listen
from shipper.memory import Memory
from shipper.narration import narrate
from shipper.ports import Clock
from shipper.sources.followed import Followed
from shipper.state_disk import StateDisk, says_full
from shipper.statistics import (
    Counters,
    SourceStatistics,
    Statistics,
    Usage,
    add_counters,
    count_closed,
)
from shipper.wire.state import Checkpoint
from shipper.wire.times import format_time
from shipper.wire.vitals import VitalsWriter, show_path

if TYPE_CHECKING:
    from shipper.metrics_server import MetricsServer

STATUS_SECONDS: Final = 1.0
IDLE_STATUS_SECONDS: Final = 5.0
BUSY_HEARTBEAT_SECONDS: Final = 5.0
IDLE_HEARTBEAT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReporterPorts:
    """What is reported on, and where to."""

    clock: Clock
    inputs: Inputs
    logs: LogLane
    vitals: VitalsLane
    writer: VitalsWriter


class Reporter:
    """The reports of one run."""

    def __init__(
        self,
        ports: ReporterPorts,
        *,
        checkpoint: Checkpoint,
        run: int,
        started_at: str,
        metrics: MetricsConfig | None,
        state_directory: Path,
    ) -> None:
        self._ports = ports
        self._stream = checkpoint.stream
        self._run = run
        self._started_at = started_at
        self._metrics_config = metrics
        self._metrics: MetricsServer | None = None
        self.figures = Figures()
        self.disk = StateDisk(state_directory)
        self._letters = LetterCount(state_directory)
        self.phase: Literal["running", "draining", "stopped"] = "running"
        self.closed = count_closed(
            acked_bytes=checkpoint.closed_acked,
            dropped_bytes=checkpoint.closed_dropped,
            dead_lettered_bytes=checkpoint.closed_dead_lettered,
        )
        """What came of the sources that are closed."""
        self._is_moving = True
        self._has_worked = False
        self._memory = Memory()
        self._told: dict[int, dict[str, int]] = {}
        """What the last heartbeat said of each source."""
        self._just_closed: list[dict[str, int]] = []
        self._status_at = float("-inf")
        """When it was last written."""
        self._heartbeat_at = ports.clock.monotonic()
        self._beat_at = self._heartbeat_at + BUSY_HEARTBEAT_SECONDS

    def note_moving(self) -> None:
        """Something was sent, or came back."""
        self._is_moving = True

    def note_closed(self, source: Followed) -> None:
        """A source is closed; the next report is the last that names it."""
        self.closed = add_counters((self.closed, source.counters))
        self._just_closed.append(_ends(source))

    def put_closing(self, reason: str) -> None:
        """Tell the centre that everything was shipped."""
        self._ports.vitals.put(
            self._ports.writer.closing(
                self._now(),
                reason=reason,
                counters=asdict(self.counters()),
                sources=[*self._just_closed, *map(_ends, self._ports.inputs.sources)],
            )
        )

    def is_status_due(self) -> bool:
        """Whether the status is to be written now.

        An unchanged one is written too, now and then, to show that the shipper lives.
        """
        now = self._ports.clock.monotonic()
        if now < self._status_at + (STATUS_SECONDS if self._is_moving else IDLE_STATUS_SECONDS):
            return False
        self._status_at = now
        self.disk.look(self._ports.inputs.unreadable.values(), at=self._now(), now=now)
        if not self._is_moving and self._has_worked:
            self._memory.give_back()
        self._has_worked = self._is_moving
        self._is_moving = False
        return True

    def turn_metrics(self) -> None:
        """Serve what is counted now, where somebody asked."""
        if self._metrics is not None:
            now = self._ports.clock.monotonic()
            problem = self.figures.health_problem(now) or self.disk.health_problem(now)
            self._metrics.turn(problem, self._render_metrics)

    def stop_metrics(self) -> None:
        """Close the socket."""
        if self._metrics is not None:
            self._metrics.stop()

    def statistics(self) -> Statistics:
        """What the shipper has done up to now; call it from the loop's thread."""
        inputs = self._ports.inputs
        return Statistics(
            stream=self._stream,
            run=self._run,
            pid=os.getpid(),
            at=self._now(),
            started_at=self._started_at,
            state=self.phase,
            output=self.figures.output,
            last_answer_at=self.figures.last_answer_at,
            last_error=self.figures.last_error,
            counters=self.counters(),
            sources=tuple(
                SourceStatistics(
                    source=source.number,
                    path=show_path(source.first_path),
                    size=source.size,
                    read=source.offset,
                    acked=source.acks.position,
                    error=source.error,
                    kind=source.rows[0].kind,
                    name=source.rows[0].name,
                    counters=source.counters,
                    pending_since=_show_time(source.pending_since_nanos),
                )
                for source in inputs.sources
            ),
            failing_since=self.figures.failing_since,
            last_error_at=self.figures.last_error_at,
            state_disk_full_since=self.disk.full_since,
            dead_letters_left=self._letters.read(),
            gaps=self.figures.gaps,
            delivery=self.figures.delivery,
            usage=self._usage(),
            forward=add_forward([server.statistics() for server in inputs.forwards]),
            unreadable={
                show_path(path): why
                for path, why in self._ports.inputs.unreadable.items()
                if not (self.disk.full_since and says_full(why))  # that is said once, for all
            },
        )

    def open_metrics(self) -> None:
        """Serve what is counted; a shipper that can't is still a shipper."""
        if self._metrics_config is None:
            return
        from shipper.metrics_server import MetricsServer

        try:
            self._metrics = MetricsServer(parse_listen(self._metrics_config.listen))
        except ConfigError as error:
            narrate("warning", f"there are no metrics: {error}")
        else:
            self._metrics.start()

    def _render_metrics(self) -> str:
        from shipper.metrics import render_metrics

        return render_metrics(self.statistics())

    def beat(self) -> None:
        """Tell the centre how far each source is, where that is due."""
        now = self._ports.clock.monotonic()
        if now < self._beat_at or not self._ports.vitals.is_idle:
            return
        self._beat_at = now + BUSY_HEARTBEAT_SECONDS
        ends = {source.number: _ends(source) for source in self._ports.inputs.sources}
        moved = [end for number, end in ends.items() if self._told.get(number) != end]
        if (
            not moved
            and not self._just_closed
            and now < self._heartbeat_at + IDLE_HEARTBEAT_SECONDS
        ):
            return
        self._heartbeat_at = now
        self._told = ends
        counters = asdict(self.counters())
        sources = [*self._just_closed, *moved]
        self._just_closed = []
        self._ports.vitals.put(self._ports.writer.heartbeat(self._now(), counters, sources))

    def _usage(self) -> Usage:
        spool = self._ports.inputs.spool_budget
        return Usage(
            in_flight_bytes=self._ports.logs.in_flight_bytes,
            in_flight_limit_bytes=self._ports.logs.in_flight_limit_bytes,
            spool_bytes=spool.used_bytes,
            spool_limit_bytes=spool.limit_bytes if spool.used_bytes else 0,
            held_bytes=self._ports.inputs.held_bytes,
            held_limit_bytes=self._ports.inputs.held_limit_bytes,
            state_disk_free_bytes=self.disk.free_bytes,
        )

    def counters(self) -> Counters:
        """Of all sources, closed ones too."""
        return add_counters(
            (self.closed, *(source.counters for source in self._ports.inputs.sources))
        )

    def _now(self) -> str:
        return format_time(self._ports.clock.now_nanos())


def _show_time(nanos: int) -> str:
    return format_time(nanos) if nanos else ""


def _ends(source: Followed) -> dict[str, int]:
    """How far a source is, as heartbeats say it."""
    ends = {
        "source": source.number,
        "read": source.offset,
        "acked": source.acks.position,
        "size": source.told_size,
    }
    counters = source.counters
    if counters.dropped_bytes:
        ends["dropped"] = counters.dropped_bytes
    if counters.dead_lettered_bytes:
        ends["dead_lettered"] = counters.dead_lettered_bytes
    return ends
