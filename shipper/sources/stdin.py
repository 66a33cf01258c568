"""Standard input into a spool: bytes as they come, durable at most a moment later.

In: a descriptor. Out: the same bytes in a spool's segments, in their order. It must never alter a
byte, not even to end a last line that has no line feed, and reads on only while there is room.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from typing import Final

from shipper.errors import StateError
from shipper.narration import narrate
from shipper.sources.spool import Spool, SpoolFullError

_READ_BYTES: Final = 64 << 10
_COMMIT_BYTES: Final = 256 << 10
_COMMIT_SECONDS: Final = 0.05
_TICK_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 0.1


class StdinReader:
    """`[sources.stdin]`; the spool has to be opened with `keeps_torn`."""

    def __init__(
        self, spool: Spool, *, fd: int = 0, on_append: Callable[[], None] = lambda: None
    ) -> None:
        """`on_append` is called by the reader's thread when new bytes are durable."""
        self.error = ""
        """Why nothing can be taken at present; empty: all is well."""
        self.bytes_received = 0
        self.is_ended = False
        """Whether the input has ended, and all of it is durable and sealed."""
        self._spool = spool
        self._fd = fd
        self._on_append = on_append
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._is_at_end = False
        self._stop = threading.Event()
        self._stop_at = 0.0
        self._thread = threading.Thread(target=self._run, name="stdin", daemon=True)

    def start(self) -> None:
        """Read in a thread of its own."""
        self._thread.start()

    def stop(self, deadline_seconds: float) -> None:
        """Take what is there already, and end; returns within about the deadline."""
        self._stop_at = time.monotonic() + deadline_seconds
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(deadline_seconds + _TICK_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self._is_at_end:
                if self._gather(_TICK_SECONDS):
                    self._commit_when_possible()
                self._spool.tend()
            while not self._is_at_end and time.monotonic() < self._stop_at and self._gather(0):
                self._commit_when_possible()
            self._commit_when_possible()
            self._spool.seal()
            self.is_ended = self._is_at_end and not self._pending
            self._on_append()  # that it has ended is something to look at, too
        except Exception as error:  # noqa: BLE001 - a worker's boundary: the agent reads `error`
            self.error = f"reading standard input failed: {error!r}"
            narrate("error", self.error)

    def _gather(self, wait_seconds: float) -> bool:
        """Read for a moment; whether anything came."""
        began = time.monotonic()
        while self._pending_bytes < _COMMIT_BYTES:
            ready, _, _ = select.select([self._fd], [], [], wait_seconds)
            if not ready:
                break
            try:
                data = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                break
            except OSError as error:  # a terminal that went away
                narrate("warning", f"standard input can't be read any more: {error}")
                data = b""
            if not data:
                self._is_at_end = True
                break
            self._pending.append(data)
            self._pending_bytes += len(data)
            self.bytes_received += len(data)
            wait_seconds = max(0.0, began + _COMMIT_SECONDS - time.monotonic())
            if not wait_seconds:
                break
        return self._pending_bytes > 0

    def _commit_when_possible(self) -> None:
        """Append what was read; while there is no room nothing is read, and its writer waits."""
        while self._pending:
            try:
                self._spool.append(self._pending)
            except SpoolFullError:
                self._note("the spool is full: standard input is not read until more is shipped")
            except StateError as error:
                self._note(str(error))
            else:
                self.error = ""
                self._pending, self._pending_bytes = [], 0
                self._on_append()
                return
            if self._stop.is_set() and time.monotonic() >= self._stop_at:
                narrate("warning", f"{self._pending_bytes} bytes of standard input are not kept")
                return
            self._stop.wait(_RETRY_SECONDS)
            if self._stop.is_set():
                time.sleep(_RETRY_SECONDS)

    def _note(self, why: str) -> None:
        if self.error != why:
            self.error = why
            narrate("warning", why)
