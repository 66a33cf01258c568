"""How one loop waits for several things: descriptors, other threads, signals.

In: descriptors to wait for, and rings from anywhere. Out: which of them are ready. It must never
miss a ring, be it before the wait, nor block who rings.
"""

from __future__ import annotations

import os
import select
import selectors
import weakref
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

_READ_BYTES: Final = 4096


class Wakeup:
    """A selector with a bell. `ring` may be called by any thread or signal handler."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._clapper = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._clapper, False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        # only once nobody can ring any more: the number may be another file's by then
        self._finalizer = weakref.finalize(
            self, _close, self._selector, (self._bell, self._clapper)
        )

    def ring(self) -> None:
        """End the wait, this one or the next."""
        with suppress(BlockingIOError):  # it rings already
            os.write(self._clapper, b"\0")

    def add(self, descriptor: int) -> None:
        """Wait for it, too."""
        self._selector.register(descriptor, selectors.EVENT_READ)

    def remove(self, descriptor: int) -> None:
        """Before it is closed."""
        self._selector.unregister(descriptor)

    def rest(self, timeout_seconds: float) -> bool:
        """Return at a ring or when the time is over, whatever is ready; whether it rang."""
        has_rung = bool(select.select([self._bell], [], [], max(0.0, timeout_seconds))[0])
        if has_rung:
            self._hush()
        return has_rung

    def wait(self, timeout_seconds: float) -> frozenset[int]:
        """Return when something is ready, at a ring, or when the time is over; what is ready."""
        ready = {key.fd for key, _ in self._selector.select(max(0.0, timeout_seconds))}
        if self._bell in ready:
            ready.discard(self._bell)
            self._hush()
        return frozenset(ready)

    def _hush(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._bell, _READ_BYTES)


def _close(selector: selectors.BaseSelector, descriptors: Iterable[int]) -> None:
    selector.close()
    for descriptor in descriptors:
        os.close(descriptor)
