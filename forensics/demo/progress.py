"""What the demo says while it runs: a line an event on stderr, with the seconds since its start."""

from __future__ import annotations

import sys
import time

from forensics.safe_text import safe_text


class Progress:
    """Lines for a person; stdout stays free for data."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def say(self, text: str, *, simulated: bool = False) -> None:
        """One line; `simulated` marks what the demo did in AWS's place."""
        mark = " [simulated in AWS's place]" if simulated else ""
        elapsed = time.monotonic() - self._started
        sys.stderr.write(f"{elapsed:6.1f} s  {safe_text(text)}{mark}\n")
        sys.stderr.flush()
