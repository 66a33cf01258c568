"""The shipper at work: one loop that finds, reads and hands over, until it is told to stop.

In: a checked configuration and who the machine is. Out: an exit code; on the way, everything that
the sources hold, at the centre. This thread owns all state; senders only send, and report back on a
queue. It must never let a checkpoint pass what the centre has not named as stored.
"""

from __future__ import annotations

import queue
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from shipper.birth import read_birth_facts
from shipper.clock import SystemClock
from shipper.config import Config
from shipper.deliver.gate import Gate
from shipper.deliver.http import HttpTransport
from shipper.deliver.log_lane import LogLane
from shipper.deliver.pacing import Limits
from shipper.deliver.sender import (
    Acknowledged,
    Answered,
    Refused,
    Result,
    SenderPorts,
    Senders,
)
from shipper.deliver.vitals_lane import Entry, GapVital, VitalsLane, VitalsPart
from shipper.errors import StateError, StateReusedError
from shipper.goodbye import NOT_DRAINED, build_goodbye
from shipper.inputs import RESCAN_SECONDS, Inputs, find_shape
from shipper.narration import narrate
from shipper.ports import Clock, Part
from shipper.refusals import Refusals
from shipper.reporting import Reporter, ReporterPorts
from shipper.sources.followed import SourceNumbers
from shipper.sources.part import LogPart
from shipper.sources.ports import Gap, SourcePorts
from shipper.state_folder import StateFolder
from shipper.statistics import (
    Statistics,
    format_status,
)
from shipper.wakeup import Wakeup
from shipper.wire.builder import RecordBuilder
from shipper.wire.record import Identity, logs_index
from shipper.wire.state import Checkpoint, Run, SourceRow
from shipper.wire.times import format_time
from shipper.wire.transforms import Drop
from shipper.wire.vitals import Vital, VitalsWriter, show_path, show_row

SENDERS: Final = 2
DRAIN_POLL_SECONDS: Final = 0.02
SAVE_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 60.0
STATE_ERROR_SECONDS: Final = 60.0
BIRTH_SECONDS: Final = 10.0
"""How long logs wait for the birth to be stored, which shows that the state is not an old one."""
_JOIN_SECONDS: Final = 1.0


def run(config: Config, identity: Identity) -> int:
    """Ship until SIGTERM or SIGINT, then drain; 0: all that can be read is stored, 3: some is not.

    Where standard input is the only input, its end is an end too, once all of it is stored.

    A state folder that turns out to have been used before from where it stands (reverted with its
    disk, say) is left for a new stream.

    Raises:
        StateError: the state folder can't be used, or another shipper holds it.
        ConfigError: a certificate can't be used.
    """
    while True:
        agent = Agent(config, identity)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, partial(_stop, agent))
        try:
            return agent.run()
        except StateReusedError:
            if agent.is_stopping:  # the next start ships everything under the new stream
                return NOT_DRAINED


def _stop(agent: Agent, number: int, _frame: object) -> None:
    agent.stop(signal.Signals(number).name)


class Agent:
    """One shipper. `stop` may be called from a signal handler or another thread."""

    def __init__(
        self,
        config: Config,
        identity: Identity,
        *,
        clock: Clock | None = None,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._clock = clock or SystemClock()
        self._drain_seconds = drain_seconds
        self._started_at = self._now()
        self._state = StateFolder(
            config.state_directory, instance_id=identity.instance_id, now=self._started_at
        )
        self._identity = identity
        self._stream = self._state.stream.stream
        self._run = self._state.journal.runs + 1
        self._writer = VitalsWriter(identity=identity, stream=self._stream, run=self._run)
        self._checkpoint = self._state.load_checkpoint()

        self._wakeup = Wakeup()
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        sender_ports = SenderPorts(
            connect=lambda: HttpTransport(config.output, spread_by=self._stream),
            clock=self._clock,
            bury=self._state.append_dead_letters,
            report=self._report,
            gate=Gate(self._clock, Limits(most_concurrency=SENDERS)),
        )
        self._log_senders = Senders("logs", sender_ports, count=SENDERS)
        self._vitals_sender = Senders("vitals", sender_ports, count=1, is_extra=True)
        self._vitals = VitalsLane(
            self._vitals_sender, make_source=lambda row: self._writer.source(row, self._now())
        )
        self._inputs = Inputs(
            config,
            SourcePorts(
                journal=self._state,
                clock=self._clock,
                make_builder=self._make_builder,
                on_row=self._put_fresh,
                on_gap=self._declare_gap,
                make_drop=self._make_drop,
                numbers=SourceNumbers(self._state.journal.next_source),
            ),
            since=self._state.stream.created,
            wakeup=self._wakeup,
        )
        self._logs = LogLane(
            self._log_senders,
            self._inputs.read_parts,
            sender_count=SENDERS,
            in_flight_limit_bytes=config.limits.in_flight_mib << 20,
        )

        self._stop_reason = ""
        self._is_abandoned = False
        self._reporter = Reporter(
            ReporterPorts(
                clock=self._clock,
                inputs=self._inputs,
                logs=self._logs,
                vitals=self._vitals,
                writer=self._writer,
            ),
            checkpoint=self._checkpoint,
            run=self._run,
            started_at=self._started_at,
            metrics=config.metrics,
            state_directory=config.state_directory,
        )
        self._is_dirty = False
        self._is_run_written = False
        self._is_born = False
        self._fresh_rows: set[SourceRow] = set()
        """The rows that this run made and has not heard of: nobody can have sent them before."""
        self._checkpoint_at = self._write_run_at = 0.0
        """When each is due."""
        self._tell_state_error_at = 0.0
        self._refusals = Refusals()
        self._begun_at = self._clock.monotonic()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return bool(self._stop_reason)

    def statistics(self) -> Statistics:
        """What the shipper has done up to now; call it from the loop's thread."""
        return self._reporter.statistics()

    def stop(self, reason: str) -> None:
        """Drain and end; a second call ends at once."""
        self._is_abandoned = bool(self._stop_reason)
        self._stop_reason = self._stop_reason or reason
        self._wakeup.ring()

    def run(self) -> int:
        """Until `stop`; the exit code."""
        try:
            self._begin()
            while not self._stop_reason:
                self._turn()
                if self._inputs.is_over:
                    self.stop("standard input has ended")
            return self._drain()
        finally:
            self._reporter.stop_metrics()
            self._log_senders.stop()
            self._vitals_sender.stop()
            self._log_senders.join(_JOIN_SECONDS)
            self._inputs.close()
            self._state.close()

    # ---- the loop

    def _begin(self) -> None:
        self._reporter.open_metrics()
        self._log_senders.start()
        self._vitals_sender.start()
        self._vitals.put(self._writer.birth(self._now(), read_birth_facts(self._state.notices)))
        self._inputs.load(self._state.journal, self._checkpoint)
        self._inputs.start()
        for source in self._inputs.sources:
            for row in source.rows[source.published_rows :]:
                self._vitals.put(row)
        self._write_run()

    def _write_run(self) -> None:
        """Make the run's number durable, without which no vital goes: their ids hold it.

        On a full disk the sources that are known already are shipped meanwhile.
        """
        now = self._clock.monotonic()
        if self._is_run_written or now < self._write_run_at:
            return
        self._write_run_at = now + RESCAN_SECONDS
        try:
            self._state.append([Run(run=self._run, at=self._started_at)])
        except StateError as error:
            self._note_state_error(str(error))
        else:
            self._is_run_written = True
            self._vitals.release()

    def _turn(self) -> None:
        """Once around: files, bodies, results, and what is due."""
        self._write_run()
        try:
            self._inputs.look()
            if self._may_ship():
                self._logs.fill()
            self._close_settled()
        except StateError as error:  # a full disk: what needs no new row goes on
            self._note_state_error(str(error))
            self._inputs.look_later()
        is_draining = self._reporter.phase == "draining"
        poll_seconds = DRAIN_POLL_SECONDS if is_draining else self._inputs.poll_seconds
        self._take_results(min(poll_seconds, self._logs.due_in_seconds()))
        self._reporter.beat()
        self._save_when_due()
        self._reporter.turn_metrics()

    def _close_settled(self) -> None:
        for source in self._inputs.close_settled():
            self._reporter.note_closed(source)
            self._is_dirty = True

    def _drain(self) -> int:
        self._reporter.phase = "draining"
        narrate("info", f"{self._stop_reason}: shipping the rest")
        self._log_senders.hurry()
        self._vitals_sender.hurry()
        deadline = self._clock.monotonic() + self._drain_seconds
        try:
            self._inputs.begin_drain()
        except StateError as error:
            self._note_state_error(str(error))
        is_drained = self._turn_until(
            lambda: self._inputs.is_drained and self._logs.is_idle and self._vitals.is_idle,
            deadline,
        )
        if is_drained:
            self._reporter.put_closing(self._stop_reason)
            is_drained = self._turn_until(lambda: self._vitals.is_idle, deadline)
        self._reporter.phase = "stopped"
        self._save_checkpoint()
        self._save_status()
        return self._say_goodbye(is_drained=is_drained)

    def _turn_until(self, is_done: Callable[[], bool], deadline: float) -> bool:
        self._turn()
        while not is_done():
            if self._is_abandoned or self._clock.monotonic() > deadline:
                return False
            self._turn()
        return True

    def _say_goodbye(self, *, is_drained: bool) -> int:
        if is_drained:
            goodbye = build_goodbye(
                unreadable=self._inputs.unreadable, left_behind=self._inputs.left_behind
            )
            narrate(goodbye.level, goodbye.text)
            return goodbye.exit_code
        pending = self._reporter.counters().pending_bytes
        narrate(
            "warning",
            f"stopped with {pending} bytes read and not stored, and perhaps more unread"
            f" ({self._reporter.figures.last_error or 'no error'}).\n"
            "Nothing is lost while the files and the state folder remain: the next start goes on.",
        )
        return NOT_DRAINED

    # ---- results

    def _report(self, result: Result) -> None:
        """A sender's answer; called by its thread."""
        self._results.put(result)
        self._wakeup.ring()

    def _take_results(self, timeout_seconds: float) -> None:
        if self._results.empty():
            self._inputs.wait(timeout_seconds)
        with suppress(queue.Empty):
            while True:
                self._take(self._results.get_nowait())

    def _take(self, result: Result) -> None:
        self._reporter.note_moving()
        match result:
            case Answered():
                self._take_answer(result)
            case Refused():
                self._take_refused(result)
            case Acknowledged():
                self._is_dirty = True
                logs = [part for part in result.parts if isinstance(part, LogPart)]
                for part, dead_bytes in zip(logs, result.dead_bytes, strict=False):
                    self._inputs.acknowledge(part, dead_bytes)
                if logs:
                    self._logs.take_back(logs)
                else:
                    self._take_vitals(result.parts, result.taken)

    def _put_fresh(self, row: SourceRow) -> None:
        self._fresh_rows.add(row)
        self._vitals.put(row)

    def _take_vitals(self, parts: Sequence[Part], taken: Sequence[int]) -> None:
        for part in parts:
            entries = part.entries if isinstance(part, VitalsPart) else ()
            self._check_own([entries[number] for number in taken])
            for entry in entries:
                if isinstance(entry, SourceRow):
                    self._fresh_rows.discard(entry)
                    self._inputs.note_published(entry)
                elif isinstance(entry, GapVital) and entry.source is not None:
                    self._inputs.note_gap_published(entry.source)
        self._is_born = True  # the birth is in the first part
        self._vitals.take_back()

    def _check_own(self, taken: Sequence[Entry]) -> None:
        """What only this run can have sent must not be at the centre before it."""
        for entry in taken:
            if isinstance(entry, SourceRow):
                if entry not in self._fresh_rows:
                    continue  # made by an earlier run, which did not hear that it was stored
                what = f"source {entry.source}"
            else:
                what = f"run {self._run}"
            why = f"the state folder is an old one: {what} of stream {self._stream} was used before"
            self._state.abandon_stream(why)
            raise StateReusedError(why)

    def _may_ship(self) -> bool:
        """Whether the state is known to be ours, or that can't be known for now.

        A centre that is away, a full disk and blocked vitals hold up no log.
        """
        if self._is_born or not self._is_run_written or self._reporter.figures.output == "retrying":
            return True
        return self._clock.monotonic() - self._begun_at > BIRTH_SECONDS

    def _take_answer(self, answer: Answered) -> None:
        if answer.error:
            self._note_error(answer.error, answer.body_bytes)
            return
        if answer.is_refusal:
            self._reporter.figures.note_refusal(body_bytes=answer.body_bytes)
            return
        if self._reporter.figures.note_answer(at=self._now(), body_bytes=answer.body_bytes):
            narrate("info", "the centre takes records again")

    def _take_refused(self, refused: Refused) -> None:
        if self._reporter.figures.output != "retrying":  # else what holds everything up matters
            self._reporter.figures.note_error(refused.reason, at=self._now())
        if text := self._refusals.note(refused, self._clock.monotonic()):
            narrate("warning", text)

    def _note_error(self, error: str, body_bytes: int) -> None:
        if self._reporter.figures.note_failure(
            error, at=self._now(), now=self._clock.monotonic(), body_bytes=body_bytes
        ):
            narrate("warning", f"{error}; trying again until it works")

    def _note_state_error(self, error: str) -> None:
        """The centre is well, the disk is not: said at once, and every minute that it lasts."""
        self._reporter.figures.note_error(error, at=self._now())
        self._reporter.disk.note_error(error, self._clock.monotonic())
        if self._clock.monotonic() >= self._tell_state_error_at:
            self._tell_state_error_at = self._clock.monotonic() + STATE_ERROR_SECONDS
            narrate(
                "warning",
                f"{error}\nFiles that are known already are shipped; new ones wait until the disk"
                " takes their rows. Nothing is lost while the files remain.",
            )

    def _declare_gap(self, gap: Gap) -> None:
        where = show_path(gap.path)
        what = f"bytes {gap.start} to {gap.end}" if gap.end > gap.start else "an unknown amount"
        next_step = f"\n  → {gap.next_step}" if gap.next_step else ""
        narrate("warning", f"{where}: {what} not read: {gap.reason}{next_step}")
        self._reporter.figures.note_gap(start=gap.start, end=gap.end, cause=gap.cause)
        vital = self._writer.gap(
            self._now(),
            source=gap.source,
            path=gap.path,
            start=gap.start,
            end=gap.end,
            cause=gap.cause,
            reason=gap.reason,
        )
        self._vitals.put(GapVital(vital, gap.source))

    # ---- what is due

    def _save_when_due(self) -> None:
        """Checkpoint and status, each at most once a second, and the first at once."""
        now = self._clock.monotonic()
        if self._is_dirty and now >= self._checkpoint_at:
            self._checkpoint_at = now + SAVE_SECONDS
            self._save_checkpoint()
        if self._reporter.is_status_due():
            self._save_status()

    def _save_status(self) -> None:
        try:
            self._state.save_status(format_status(self._reporter.statistics()))
        except OSError as error:
            self._note_state_error(f"status.json can't be written: {error}")

    def _save_checkpoint(self) -> None:
        checkpoint = Checkpoint(
            stream=self._stream,
            saved_at=self._now(),
            sources={source.number: source.progress() for source in self._inputs.sources},
            closed_acked=self._reporter.closed.acked_bytes,
            closed_dead_lettered=self._reporter.closed.dead_lettered_bytes,
            closed_dropped=self._reporter.closed.dropped_bytes,
        )
        try:
            self._state.save_checkpoint(checkpoint)
        except OSError as error:  # the old one stays: more is read again after a crash
            self._note_state_error(f"the checkpoint can't be written: {error}")
        else:
            self._is_dirty = False
            self._forget_segments()

    def _forget_segments(self) -> None:
        try:
            self._inputs.note_saved()
        except StateError as error:
            self._note_state_error(str(error))

    def _make_builder(self, row: SourceRow) -> RecordBuilder:
        shape, source_fields = find_shape(row)
        return RecordBuilder(
            identity=self._identity,
            stream=self._stream,
            source=row.source,
            path=show_row(row),
            index=logs_index(row.day),
            shape=shape,
            source_fields=source_fields,
        )

    def _make_drop(self, row: SourceRow, drop: Drop) -> Vital:
        return self._writer.drop(self._now(), source=row.source, path=show_row(row), drop=drop)

    def _now(self) -> str:
        return format_time(self._clock.now_nanos())
