"""The way of vitals: a small queue of their own, so that no backlog of logs holds them up.

In: vitals and source rows, in order. Out: parts for a single sender, one at a time, so that
they arrive in order. It must never drop one that tells of bytes: rows, gaps, birth and closing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shipper.deliver.sender import Senders
from shipper.wire.builder import Built
from shipper.wire.state import SourceRow
from shipper.wire.vitals import Vital

_PART_DOCUMENTS: Final = 500


@dataclass(frozen=True, slots=True)
class GapVital:
    """A gap's document, and the source that can't be closed before it is stored."""

    vital: Vital
    source: int | None


Entry = Vital | GapVital | SourceRow


@dataclass(frozen=True, slots=True)
class VitalsPart:
    """Some vitals on their way together."""

    entries: Sequence[Entry]
    documents: Sequence[Vital]

    def build(self) -> Built:
        """One item each."""
        return Built(b"".join([one.build() for one in self.documents]), len(self.documents))

    def build_plain(self, item: int) -> None:
        """There is no plainer form of one."""

    def raw_bytes(self, item: int) -> int:  # noqa: ARG002 - of the Part protocol
        """They stand for no bytes of a source."""
        return 0


class VitalsLane:
    """The queue. One thread's; the sender behind it has its own."""

    def __init__(self, sender: Senders, *, make_source: Callable[[SourceRow], Vital]) -> None:
        self._sender = sender
        self._make_source = make_source
        self._waiting: deque[Entry] = deque()
        self._under_way = False
        self._is_held = True

    @property
    def is_idle(self) -> bool:
        """Whether everything that was put is stored."""
        return not self._waiting and not self._under_way

    def put(self, entry: Entry) -> None:
        """Have a document sent after those before it."""
        self._waiting.append(entry)
        self._send_next()

    def release(self) -> None:
        """Begin to send: from now on the run's number, which is in the ids, can't come again."""
        self._is_held = False
        self._send_next()

    def take_back(self) -> None:
        """The part under way is stored: send the next."""
        self._under_way = False
        self._send_next()

    def _send_next(self) -> None:
        if self._is_held or self._under_way or not self._waiting:
            return
        count = min(len(self._waiting), _PART_DOCUMENTS)
        entries = [self._waiting.popleft() for _ in range(count)]
        self._under_way = True
        self._sender.submit([VitalsPart(entries, [self._document(entry) for entry in entries])])

    def _document(self, entry: Entry) -> Vital:
        match entry:
            case SourceRow():
                return self._make_source(entry)
            case GapVital():
                return entry.vital
            case _:
                return entry
