"""Ends the program when its terminal is gone.

In: a terminal's descriptor. Out: nothing; once the terminal hangs up, the process ends with 129, as
the SIGHUP that a shell's child gets would have ended it. Textual alone would spin on the dead
descriptor for ever, on a bastion host, unseen.
"""

from __future__ import annotations

import os
import select
import threading
from typing import Final

HANGUP_EXIT_CODE: Final = 128 + 1


def end_with_terminal(descriptor: int) -> None:
    """Watch in a thread of its own, which costs nothing while it waits."""
    thread = threading.Thread(target=_watch, args=(descriptor,), name="terminal-watch", daemon=True)
    thread.start()


def _watch(descriptor: int) -> None:
    poller = select.poll()
    poller.register(descriptor, 0)  # no event but those that are always told: hang-up and error
    (_, events), *_ = poller.poll()
    if events & (select.POLLHUP | select.POLLERR):
        os._exit(HANGUP_EXIT_CODE)  # the event loop waits for a writer that died with the terminal
