"""What the shipper says of records that the centre refused and that are cared for otherwise.

In: refusals, as senders report them. Out: a sentence for stderr, at most one a minute for each
reason; what was not told then is counted in the next. It must never keep more than a few reasons.
"""

from __future__ import annotations

from typing import Final

from shipper.deliver.sending import Refused

TELL_SECONDS: Final = 60.0
_REASONS_LIMIT: Final = 64

_BECAME: Final = {
    False: "sent as raw bytes (`afterimage.raw`), without their words in `message`",
    True: "kept as dead letters: shipper dead-letters list",
}


class Refusals:
    """One run's. One thread's."""

    def __init__(self) -> None:
        self._untold: dict[tuple[bool, str], tuple[int, float]] = {}
        """By what became of them and the kind of reason: how many, and when to tell them."""

    def note(self, refused: Refused, now: float) -> str:
        """What to say now; empty: the same was said within the last minute."""
        kind = (refused.is_dead, refused.reason.partition(":")[0])
        count, due_at = self._untold.get(kind, (0, now))
        count += refused.records
        if now < due_at:
            self._untold[kind] = (count, due_at)
            return ""
        if len(self._untold) >= _REASONS_LIMIT:
            self._untold.clear()
        self._untold[kind] = (0, now + TELL_SECONDS)
        what = "record was" if count == 1 else "records were"
        return (
            f"{count} {what} refused ({refused.reason}): {_BECAME[refused.is_dead]}; "
            "see docs/runbooks/refused-records.md"
        )
