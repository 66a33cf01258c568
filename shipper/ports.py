"""The seams of the shipper: what the agent needs of the world, as protocols.

In: nothing. Out: the interfaces that `deliver/` and `sources/` are written against, so that neither
knows the other. It must never hold or import an implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from shipper.wire.builder import Built
from shipper.wire.framing import RECORD_LIMIT_BYTES

CHUNK_BYTES: Final = 128 << 10
"""What a source's part has, at most, unless a line is longer."""
LONG_CHUNK_BYTES: Final = RECORD_LIMIT_BYTES + 64
"""What it has at most: enough to frame a slice of a line that has no end in sight."""


class Clock(Protocol):
    """Where times come from; tests bring their own."""

    def now_nanos(self) -> int:
        """Nanoseconds since 1970, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the centre answered to one request."""

    status: int
    body: bytes
    retry_after_seconds: float = 0.0
    location: str = ""
    """Where a redirect points; the shipper follows none."""
    repeated: bool = False
    """Whether an unanswered earlier try of the same request may have been carried out."""


class NoAnswerError(Exception):
    """A request that got no whole answer: it may or may not have been carried out."""

    def __init__(self, text: str, *, is_lost: bool = False, is_timeout: bool = False) -> None:
        super().__init__(text)
        self.is_lost = is_lost
        """The connection was lost after the request had begun."""
        self.is_timeout = is_timeout
        """It was whole, and silent for too long."""


class Transport(Protocol):
    """One kept-alive way to the centre; used by one thread."""

    @property
    def takes_gzip(self) -> bool:
        """Whether bodies are to be compressed."""

    def send(self, body: Sequence[bytes]) -> Reply:
        """POST a body's pieces to `_bulk`; NoAnswerError: refused, lost, timed out."""

    def close(self) -> None:
        """Let go of the connection."""


class Part(Protocol):
    """Some documents that are acknowledged together: a range of a source, or vitals."""

    def build(self) -> Built:
        """The `_bulk` items as one piece of a body, the same each time."""

    def build_plain(self, item: int) -> bytes | None:
        """The item in a form that no mapping refuses; None: it has none."""

    def raw_bytes(self, item: int) -> int:
        """How many bytes of the source the item stands for; 0 for vitals."""


class SourcePart(Part, Protocol):
    """A range of a source."""

    @property
    def start(self) -> int:
        """Where it starts in the source."""

    @property
    def end(self) -> int:
        """Where the next one starts."""

    @property
    def raw_bytes_total(self) -> int:
        """How many bytes of the source it stands for."""

    @property
    def body_bytes(self) -> int:
        """About how large its items are together."""
