"""When an item is given up, and as what: dead letters, and what speaks against making one.

In: refused items, and how everybody else's requests fare. Out: letters, or a no. A template that
is broken, or a centre that is down, blames every record: that must never empty a fleet's logs into
dead letters.
"""

from __future__ import annotations

import base64
import json
import threading
from typing import Final

from shipper.deliver.gate import Tally
from shipper.wire.record import IDENTITY_FIELDS, stored_bytes, to_json
from shipper.wire.state import DeadLetter

_IN_A_ROW: Final = 10
"""Letters without one stored record between them, after which the centre is to blame."""
LOSSES: Final = 2
"""Lost connections in a row until a batch is divided, or a lone item sent in its plain form."""
PLAIN_LOSSES: Final = 3
"""The same until an item in its plain form may be a dead letter."""
_STORED_FOR_EACH_LOST: Final = 2
_LEAST_STORED: Final = 2

_PLAIN_FIELDS: Final = frozenset(
    (
        "event.created",
        "log.file.path",
        "log.offset",
        "log.length",
        "afterimage.stream",
        "afterimage.source",
        "afterimage.masked",
        *IDENTITY_FIELDS.values(),
    )
)
"""What a plain form has besides its bytes."""


class BurialGuard:
    """Shared by the senders of one lane. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_a_row = 0

    def note_stored(self) -> None:
        """The centre took a record of this lane."""
        with self._lock:
            self._in_a_row = 0

    def may_bury(self, count: int) -> bool:
        """Whether so many more items may be given up."""
        with self._lock:
            if self._in_a_row + count > _IN_A_ROW:
                return False
            self._in_a_row += count
            return True


def is_poisonous(since: Tally, now: Tally, *, own_losses: int) -> bool:
    """Whether one item alone kills its connection, rather than a bad line all of them.

    Over the time in which it was lost `own_losses` times in a row, other requests must have been
    stored, and far more often stored than lost.
    """
    stored = now.stored - since.stored
    lost = now.lost - since.lost - own_losses
    return (
        own_losses >= PLAIN_LOSSES
        and stored >= _LEAST_STORED
        and stored >= _STORED_FOR_EACH_LOST * lost
    )


def make_dead_letter(item: bytes, *, at: str, reason: str) -> DeadLetter:
    """The letter of a `_bulk` item that the centre refused for good."""
    action = json.loads(item.partition(b"\n")[0])["create"]
    return DeadLetter(at=at, reason=reason, index=action["_index"], id=action["_id"], item=item)


def make_plain_item(item: bytes) -> bytes | None:
    """A record's item with its bytes and when they were read alone; None: it is no record of ours.

    The same form, and the same id, that a sender falls back to; made of the item, since the
    source may be gone.
    """
    action_line, _, document_line = item.partition(b"\n")
    try:
        document = json.loads(document_line)
        record = stored_bytes(json.loads(action_line)["create"]["_id"], document)
        read_at = document["event.created"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    plain = {
        "@timestamp": read_at,
        "afterimage.raw": base64.b64encode(record).decode(),
        **{name: value for name, value in document.items() if name in _PLAIN_FIELDS},
    }
    return b"%b\n%b\n" % (action_line, to_json(plain))
