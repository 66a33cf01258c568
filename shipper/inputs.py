"""Everything that records come from, as one: followed files, spools and their servers, the journal.

In: a configuration, and what the state folder knows. Out: parts, in turn from every input, and
where each acknowledged part belongs. It must never let one input keep the others from being read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shipper.config import Config, TailConfig
from shipper.listen_address import parse_listen
from shipper.narration import narrate
from shipper.ports import Clock
from shipper.sources.followed import Followed
from shipper.sources.notify import Watcher
from shipper.sources.part import LogPart
from shipper.sources.ports import SourcePorts
from shipper.sources.rotation import FileId
from shipper.sources.spool import Spool, SpoolBudget
from shipper.sources.tail import Tail
from shipper.sources.watch import Watch
from shipper.wakeup import Wakeup
from shipper.wire.framing import Framer
from shipper.wire.shapes import Shape
from shipper.wire.state import Checkpoint, Closed, Journal, SourceRow
from shipper.wire.transforms import Transform

if TYPE_CHECKING:  # what most configurations don't use is not loaded
    from shipper.sources.forward.server import ForwardServer
    from shipper.sources.journal_input import JournalInput
    from shipper.sources.stdin import StdinReader

POLL_SECONDS: Final = 0.2
RESCAN_SECONDS: Final = 1.0
WATCHED_RESCAN_SECONDS: Final = 5.0
"""Where the kernel tells of every change, but for what it forgets."""
WATCHED_POLL_SECONDS: Final = 1.0
REST_SECONDS: Final = 0.03
"""Between two looks that writes cause, so that a thousand lines a second are not as many looks."""
RESCAN_CPU_SHARE: Final = 0.05
"""Thousands of files are looked for less often, rather than at any cost."""
_SERVER_STOP_SECONDS: Final = 5.0
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9.-]+")


class Inputs:
    """All inputs of one configuration. One thread's; servers have their own."""

    def __init__(self, config: Config, ports: SourcePorts, *, since: str, wakeup: Wakeup) -> None:
        """`since`: when the stream began; `wakeup`: what the agent's loop waits for.

        Raises:
            StateError: a spool's folder can't be used.
        """
        self._ports = ports
        self._wakeup = wakeup
        self._clock: Clock = ports.clock
        self.spool_budget = SpoolBudget(config.limits.spool_mib << 20)
        """What spools occupy, and may."""
        self._spools: list[Spool] = []
        watches = [_watch_files(config, tail) for tail in config.tails]
        self.forwards = self._make_forwards(config, self._tell, watches)
        self._stdin = self._make_stdin(config, self._tell, watches)
        self._has_others = bool(config.tails or config.forwards or config.journald)
        self._watcher = Watcher(partial(narrate, "warning"))
        self._tail = Tail(
            watches,
            ports,
            excluded=frozenset((_file_id(config.state_directory),)),
            unpack_folder=str(config.state_directory),
            since=since,
            held_percent=config.limits.held_percent,
            watcher=self._watcher,
        )
        self._journal = _make_journal(config, ports)
        self._poll_at = self._rescan_at = self._may_rescan_at = self._rest_until = 0.0
        """When each is due."""
        self._is_told = False
        """Whether something may have come: written by any thread."""
        self._waited_for: set[int] = set()
        """Descriptors that the wakeup waits for."""
        self._journal_is_next = False
        self._is_draining = False
        self._is_put_off = False
        """Whether new files wait for the disk: the last look at what there is came to no end."""
        self._is_listening = False

    # ---- making

    def _make_forwards(
        self, config: Config, wake: Callable[[], None], watches: list[Watch]
    ) -> Sequence[ForwardServer]:
        if not config.forwards:
            return ()
        from shipper.sources.forward.server import ForwardServer

        servers = []
        for forward in config.forwards:
            name = f"forward:{forward.listen}"
            spool = self._open_spool(config, name)
            servers.append(
                ForwardServer(
                    parse_listen(forward.listen),
                    spool,
                    shared_key_file=forward.shared_key_file,
                    clock=self._clock,
                    on_append=wake,
                )
            )
            watches.append(_watch_spool(config, spool, "forward", name))
        return servers

    def _make_stdin(
        self, config: Config, wake: Callable[[], None], watches: list[Watch]
    ) -> StdinReader | None:
        if config.stdin is None:
            return None
        from shipper.sources.stdin import StdinReader

        spool = self._open_spool(config, f"stdin:{config.stdin.name}", keeps_torn=True)
        watches.append(_watch_spool(config, spool, "stdin", config.stdin.name))
        return StdinReader(spool, on_append=wake)

    def _open_spool(self, config: Config, name: str, *, keeps_torn: bool = False) -> Spool:
        folder = config.state_directory / "spool" / _NOT_IN_A_NAME.sub("_", name)
        spool = Spool(folder, budget=self.spool_budget, keeps_torn=keeps_torn)
        self._spools.append(spool)
        return spool

    # ---- the agent's questions

    @property
    def sources(self) -> Iterator[Followed]:
        """Every source that is not closed."""
        return chain(self._tail.sources, self._journal.sources if self._journal else ())

    @property
    def unreadable(self) -> dict[str, str]:
        """Paths, and other inputs, that can't be read, and why."""
        found = self._tail.unreadable
        for server in self.forwards:
            if server.error:
                found[f"forward:{server.address}"] = server.error
        if self._stdin is not None and self._stdin.error:
            found["stdin"] = self._stdin.error
        if self._journal is not None:
            if self._journal.error:
                found["journald"] = self._journal.error
            found.update(self._journal.damaged)
        return found

    @property
    def left_behind(self) -> dict[str, str]:
        """What was there at the end and was not taken, and why."""
        found = {}
        if self._is_put_off:
            why = "the state folder could not take them; the next start follows them"
            found["new files"] = why
        for source in self._tail.sources:
            if source.error and not source.ended:
                found[source.name or source.path] = source.error
        for server in self.forwards:
            if server.unkept_events:
                found[f"forward:{server.address}"] = (
                    f"{server.unkept_events} events could not be kept: {server.error}"
                )
        return found

    @property
    def held_bytes(self) -> int:
        """What deleted files occupy that are not shipped yet."""
        return sum(held.size_bytes for held in self._tail.held)

    @property
    def held_limit_bytes(self) -> int:
        """What they may occupy on the file systems that have some; 0: none has."""
        return sum({held.device: held.limit_bytes for held in self._tail.held}.values())

    def start(self) -> None:
        """Begin to listen.

        Raises:
            ConfigError: an address can't be listened on.
        """
        for server in self.forwards:
            server.start()
        if self._stdin is not None:
            self._stdin.start()
        self._is_listening = True

    def load(self, journal: Journal, checkpoint: Checkpoint) -> None:
        """Know again what earlier runs followed."""
        self._tail.load(journal, checkpoint)
        if self._journal is not None:
            self._journal.load(journal, checkpoint)

    def wait(self, timeout_seconds: float) -> None:
        """Return when something came, at a ring of the wakeup, or when the time is over."""
        rest_seconds = self._rest_until - self._clock.monotonic()
        if rest_seconds > 0:
            if self._wakeup.rest(min(rest_seconds, timeout_seconds)):
                return
            timeout_seconds -= rest_seconds
        if not self._is_told and self._wakeup.wait(timeout_seconds):
            self._is_told = True

    @property
    def poll_seconds(self) -> float:
        """How long the loop may wait without being told of anything."""
        return WATCHED_POLL_SECONDS if self._tail.is_watched else POLL_SECONDS

    def look(self) -> None:
        """See what there is to read, where that is due; StateError: new files have to wait."""
        now = self._clock.monotonic()
        is_due = now >= self._poll_at or self._is_draining
        if not is_due and (not self._is_told or now < self._rest_until):
            return
        self._rest_until = now + REST_SECONDS
        self._is_told = False  # whatever comes from here on is told again
        if self._journal is not None:
            self._journal.look()
        self._wait_for_inputs()
        if now < self._rescan_at:
            self._tail.poll()
        if now >= self._rescan_at or (self._tail.wants_rescan and now >= self._may_rescan_at):
            self._rescan(now)
        if is_due:
            self._poll_at = now + POLL_SECONDS
            self._tail.cut_partials()

    def _rescan(self, now: float) -> None:
        self._tail.rescan()
        self._is_put_off = False
        took_seconds = self._clock.monotonic() - now
        pause_seconds = max(REST_SECONDS, took_seconds / RESCAN_CPU_SHARE)
        interval = WATCHED_RESCAN_SECONDS if self._tail.is_watched else RESCAN_SECONDS
        self._may_rescan_at = now + pause_seconds
        self._rescan_at = now + max(interval, pause_seconds)

    def _wait_for_inputs(self) -> None:
        """Have the loop wake when files change, or entries come."""
        inputs = (self._watcher.fileno(), self._journal.file if self._journal else None)
        wanted = {descriptor for descriptor in inputs if descriptor is not None}
        for descriptor in self._waited_for - wanted:
            self._wakeup.remove(descriptor)
        for descriptor in wanted - self._waited_for:
            self._wakeup.add(descriptor)
        self._waited_for = wanted

    def _tell(self) -> None:
        """Something came; any thread may say so."""
        self._is_told = True
        self._wakeup.ring()

    def look_now(self) -> None:
        """Have the next `look` find everything."""
        self._poll_at = self._rescan_at = 0.0

    def look_later(self) -> None:
        """The disk is full: new files wait for a while."""
        self._is_put_off = True
        self._rescan_at = self._may_rescan_at = self._clock.monotonic() + RESCAN_SECONDS

    def read_parts(self, budget_bytes: int) -> Iterator[LogPart]:
        """Parts of about `budget_bytes` together, in turn from every source that has some."""
        for part in self._read_parts(budget_bytes):
            source = self._find(part.source)
            if source is not None:
                source.note_read(part)
            yield part

    def _read_parts(self, budget_bytes: int) -> Iterator[LogPart]:
        if self._journal is None:
            yield from self._tail.read_parts(budget_bytes)
            return
        self._journal_is_next = not self._journal_is_next
        inputs = (
            (self._journal, self._tail) if self._journal_is_next else (self._tail, self._journal)
        )
        for one in inputs:
            for part in one.read_parts(budget_bytes):
                budget_bytes -= part.raw_bytes_total
                yield part

    def acknowledge(self, part: LogPart, dead_bytes: int) -> None:
        """The centre has `part`, `dead_bytes` of it as dead letters."""
        source = self._find(part.source)
        if source is not None:
            source.acknowledge(part, dead_bytes)

    def note_published(self, row: SourceRow) -> None:
        """The centre has the row's document; rows are published in their order."""
        source = self._find(row.source)
        if source is not None:
            source.published_rows += 1

    def note_gap_published(self, number: int) -> None:
        """The centre has a gap's document."""
        source = self._find(number)
        if source is not None:
            source.unpublished_gaps -= 1

    def close_settled(self) -> list[Followed]:
        """Forget the sources that ended and are acknowledged whole; which they were."""
        self._tail.end_sealed()
        settled: list[Followed] = list(self._tail.close_settled())
        if self._journal is not None:
            ended = self._journal.closable
            self._ports.journal.append(
                [Closed(source=source.number, end=source.offset) for source in ended]
            )
            for source in ended:
                self._journal.forget(source.number)
            settled += ended
        return settled

    def note_saved(self) -> None:
        """A checkpoint is on the disk: segments that it says were shipped may go."""
        self._tail.remove_ended()
        if self._journal is not None:
            self._journal.note_saved()

    def begin_drain(self) -> None:
        """Take what came until now from every client, and read on to where files end now.

        Raises:
            StateError: the rows of new files can't be written.
        """
        self._is_draining = True
        self._stop_listening(_SERVER_STOP_SECONDS)
        self.look_now()
        try:
            self.look()
        finally:
            self._tail.begin_drain()

    @property
    def is_drained(self) -> bool:
        """Whether everything that was there at the drain's begin was read, or can't be."""
        return self._tail.is_drained and (self._journal is None or self._journal.is_drained)

    @property
    def is_over(self) -> bool:
        """Whether nothing can come any more, and all that came is stored.

        So it is once standard input has ended, where it is the only input: of what came in there,
        also in an earlier run, no segment is left then.
        """
        if self._stdin is None or self._has_others or not self._stdin.is_ended:
            return False
        return not any(spool.segments() for spool in self._spools)

    def close(self) -> None:
        """Let go of every descriptor."""
        self._stop_listening(0.0)
        for descriptor in self._waited_for:
            self._wakeup.remove(descriptor)
        self._waited_for = set()
        self._tail.close()
        self._watcher.close()
        if self._journal is not None:
            self._journal.close()
        for spool in self._spools:
            spool.close()

    def _stop_listening(self, deadline_seconds: float) -> None:
        if not self._is_listening:
            return
        self._is_listening = False
        for server in self.forwards:
            server.stop(deadline_seconds)
        if self._stdin is not None:
            self._stdin.stop(deadline_seconds)

    def _find(self, number: int) -> Followed | None:
        found = self._tail.find(number)
        if found is None and self._journal is not None:
            return self._journal.find(number)
        return found


def _watch_files(config: Config, tail: TailConfig) -> Watch:
    kind = "file" if tail.format == "lines" else tail.format
    return Watch(
        patterns=tail.paths,
        kind=kind,
        framer=_make_framer(tail),
        make_transform=partial(_make_transform, config, kind),
        partial_seconds=tail.multiline_seconds,
    )


def _watch_spool(config: Config, spool: Spool, kind: str, name: str) -> Watch:
    return Watch(
        patterns=(f"{spool.directory}/*.seg",),
        kind=kind,
        name=name,
        make_transform=partial(_make_transform, config, kind),
        segments=spool,
    )


def _make_framer(tail: TailConfig) -> Framer | None:
    is_plain = tail.format == "lines"
    if is_plain and not (tail.multiline or tail.multiline_start or tail.multiline_continuation):
        return None
    from shipper.wire.formats import make_framer

    return make_framer(
        tail.format,
        preset=tail.multiline,
        start=tail.multiline_start,
        continuation=tail.multiline_continuation,
    )


def _make_transform(config: Config, kind: str, path: str) -> Transform | None:
    if not (config.masks or config.drops or config.rates):
        return None
    from shipper.wire.rules import make_transform

    return make_transform(config.masks, config.drops, config.rates, path, kind=kind)


def _make_journal(config: Config, ports: SourcePorts) -> JournalInput | None:
    if config.journald is None:
        return None
    from shipper.sources.journal_input import KIND, JournalInput
    from shipper.sources.journald import JournalReader, find_own_unit

    reader = JournalReader(config.journald.directory, own_unit=find_own_unit())
    return JournalInput(reader, ports, transform=_make_transform(config, KIND, KIND))


def _file_id(path: Path) -> FileId:
    found = path.stat()
    return found.st_dev, found.st_ino


def find_shape(row: SourceRow) -> tuple[Shape | None, Mapping[str, Any]]:
    """How a row's records are taken apart, and what its path says of all of them."""
    if row.kind in {"file", "stdin"}:
        return None, {}
    from shipper.wire import formats

    return formats.find_shape(row.kind), formats.container_fields(row.kind, row.path)
