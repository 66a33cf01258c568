"""Last lines that nobody finishes: when they are records as they are.

In: sources whose last read found no whole record. Out: cuts, durable before a record rests on
them, so that the same bytes are never framed otherwise. It must never cut a line that was just
written to, but for a drain.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shipper.sources.ports import SourcePorts
from shipper.sources.registry import Registry
from shipper.sources.source import Source
from shipper.sources.watch import PARTIAL_IDLE_SECONDS
from shipper.wire.state import Cut

_ROTATED_PARTIAL_IDLE_SECONDS: Final = 1.0


class Partials:
    """The sources that wait for the end of a record. One thread's."""

    def __init__(self, registry: Registry, ports: SourcePorts) -> None:
        self._registry = registry
        self._ports = ports
        self._barren: dict[int, Source] = {}
        """Sources that may have a partial: of thousands of files these are few."""

    def note_barren(self, source: Source) -> None:
        """Its last read found bytes, if any, but no whole record."""
        self._barren[source.number] = source

    @property
    def has_readable(self) -> bool:
        """Whether a last line waits in a file that can be read."""
        return any(
            source.has_partial and not source.ended and not source.error
            for source in self._barren.values()
        )

    def cut(self) -> None:
        """Make records of those that waited long enough; StateError: later."""
        now = self._ports.clock.monotonic()
        for source in list(self._barren.values()):
            if source.ended or source.barren_size <= source.offset:  # it was read since
                del self._barren[source.number]
        due = [source for source in self._barren.values() if self._is_due(source, now)]
        cuts = [Cut(source=source.number, offset=source.target) for source in due]
        self._ports.journal.append(cuts)
        for source, cut in zip(due, cuts, strict=True):
            source.cuts.append(cut.offset)
            source.barren_size = -1
            self._registry.note_ready(source)

    def _is_due(self, source: Source, now: float) -> bool:
        if not source.has_partial:
            return False
        quiet = now - source.grown_at
        if source.missing_at is not None and quiet >= _ROTATED_PARTIAL_IDLE_SECONDS:
            return True
        if self._registry.is_draining or source.watch is None:
            return self._registry.is_draining or quiet >= PARTIAL_IDLE_SECONDS
        if source.watch.segments is not None and source.watch.segments.is_sealed(Path(source.path)):
            return True  # standard input ended without a line feed
        return quiet >= source.watch.partial_seconds
