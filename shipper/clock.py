"""The machine's clock, which every time in the shipper comes from.

In: nothing. Out: nanoseconds since 1970, and seconds that never go back. It must never be asked by
pure code, which is given its times.
"""

from __future__ import annotations

import time


class SystemClock:
    """The machine's clock."""

    def now_nanos(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
