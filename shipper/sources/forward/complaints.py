"""What is said of clients that send nonsense: one line a minute of each kind, however many come.

In: what was refused, and when. Out: lines for people, with how many more there were. Pure. It must
never say more the more there is to say, nor remember more kinds than a few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PERIOD_SECONDS: Final = 60.0

_KINDS_LIMIT: Final = 32
_OTHER: Final = "other refusals"


@dataclass(slots=True)
class _Kind:
    """Refusals that begin alike."""

    told_at: float
    last: str
    untold: int = 0


class Complaints:
    """One listener's; used by one thread."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def note(self, refusals: Sequence[str], now: float) -> list[str]:
        """Take refusals; what is to be said at once: the first of each kind."""
        lines = []
        for why in refusals:
            name = why.partition(":")[0]
            if name not in self._kinds and len(self._kinds) >= _KINDS_LIMIT:
                name = _OTHER
            kind = self._kinds.get(name)
            if kind is None:
                self._kinds[name] = _Kind(now, why)
                lines.append(why)
            else:
                kind.last = why
                kind.untold += 1
        return lines

    def tell_due(self, now: float) -> list[str]:
        """What is to be said of those that came since; a kind that came no more is forgotten."""
        lines = []
        for name, kind in list(self._kinds.items()):
            if now - kind.told_at < PERIOD_SECONDS:
                continue
            if not kind.untold:
                del self._kinds[name]
                continue
            lines.append(f"{kind.untold} more in the last minute: {kind.last}")
            kind.told_at, kind.untold = now, 0
        return lines
