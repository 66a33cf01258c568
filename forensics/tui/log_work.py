"""The work of a log view: one question at a time, replaced, cancelled and told when it fails.

In: coroutines that ask and then show. Out: them run on the event loop, as Textual workers; messages
when work begins, ends or fails. It must never let an exception end the program, nor run two jumps
at once.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

from textual.dom import DOMNode
from textual.message import Message
from textual.worker import Worker

from forensics.errors import ForensicsError
from forensics.safe_text import safe_text
from forensics.tui.cursor_view import CursorView

RETRY_SECONDS: Final = 3.0
"""After a failure nothing is asked for so long, unless a person asks."""


class LogWork(CursorView):
    """A `CursorView` that asks questions."""

    class Changed(Message):
        """Rows, numbers, filters, search or running work are others now."""

    class Failed(Message):
        """A question was not answered."""

        def __init__(self, error: ForensicsError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.working = ""
        """What is being done, for the status line; empty: nothing."""
        self._work: Worker[None] | None = None
        self._failed_at = -RETRY_SECONDS

    def run_work(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do this in place of what is being done now; a failure becomes `Failed`."""

        async def run() -> None:
            try:
                await work()
            except ForensicsError as error:
                self.fail(error)
            except Exception as error:  # noqa: BLE001 - worker boundary: no store may end the TUI
                self.fail(unexpected(what, error))
            finally:
                if self._work is worker:
                    self.working = ""
                    self.post_message(self.Changed())
                    self.call_next(self.read_missing)

        self.working = what
        worker = start_worker(self, run, "window")
        self._work = worker
        self.post_message(self.Changed())

    def run_beside(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Count in the background; a newer count takes its place."""

        async def run() -> None:
            try:
                await work()
            except ForensicsError as error:
                self.fail(error)
            except Exception as error:  # noqa: BLE001 - worker boundary, as above
                self.fail(unexpected(what, error))

        start_worker(self, run, what)

    def fail(self, error: ForensicsError) -> None:
        """Show it, and don't ask again at once."""
        self._failed_at = time.monotonic()
        self.post_message(self.Failed(error))

    def cancel_work(self) -> bool:
        """Stop what runs; False: nothing did."""
        if not self.working:
            return False
        self.workers.cancel_node(self)
        self.working = ""
        self.post_message(self.Changed())
        return True

    def rests_after_failure(self) -> bool:
        """Whether a question failed just now."""
        return time.monotonic() - self._failed_at < RETRY_SECONDS

    def forget_failure(self) -> None:
        """A person asked: try at once."""
        self._failed_at = -RETRY_SECONDS

    def read_missing(self) -> None:
        """Read what is on screen and not held; called when work has ended."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Tell the person something, once."""
        self.notify(safe_text(text, 500), markup=False)


def start_worker(
    owner: DOMNode, work: Callable[[], Coroutine[None, None, None]], group: str
) -> Worker[None]:
    """Run it on the event loop, in place of what the group runs.

    It takes the function, not its coroutine: a worker that never starts would never await that.
    """
    return owner.run_worker(work, group=group, exclusive=True, exit_on_error=False)


def unexpected(what: str, error: Exception) -> ForensicsError:
    """A fault of a library or of ours, told as every other error is."""
    return ForensicsError(
        f"{what.capitalize()} failed",
        why=f"{type(error).__name__}: {error}",
        next_step="press r to try again; @ lists what was asked. If it stays, please report it",
    )
