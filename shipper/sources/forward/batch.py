"""What a Forward server has read and the disk does not have yet.

In: deliveries, and which connection each came from. Out: lines, chunks and replies of one commit.
It must never let a chunk in twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shipper.sources.forward.connection import Connection
from shipper.sources.forward.protocol import Delivery
from shipper.sources.spool import Chunk


@dataclass(slots=True)
class Batch:
    """One commit's."""

    lines: list[bytes] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    replies: list[tuple[Connection, bytes]] = field(default_factory=list)
    """To be sent when the lines are durable."""
    answers: list[tuple[Connection, bytes]] = field(default_factory=list)
    """Whose chunks, by key, the replies are to."""
    duplicates: int = 0
    _keys: set[bytes] = field(default_factory=set)

    def add(
        self, connection: Connection, delivery: Delivery, is_known: Callable[[bytes], bool]
    ) -> None:
        """Add a delivery; of a chunk that is stored, or is here already, only its answer.

        A client sends again what it has no answer to. What comes over the very connection that
        carried the answer is therefore another chunk, with equal lines.
        """
        if delivery.ack:
            self.replies.append((connection, delivery.ack))
        key = delivery.key
        if key:
            self.answers.append((connection, key))
            is_stored = is_known(key) and not connection.was_answered(key)
            if key in self._keys or is_stored:
                self.duplicates += 1
                return
            self._keys.add(key)
            self.chunks.append(Chunk(key, len(self.lines), len(delivery.lines)))
        self.lines += delivery.lines
