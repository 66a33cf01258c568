"""A Forward server in a process of its own that kills itself at a named step of its n-th commit.

`python -m tests.shipper.sources.forward.dying_server SOCKET SPOOL STEP N`
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from shipper import durable
from shipper.listen_address import parse_listen
from shipper.sources import chunk_journal, spool
from shipper.sources.forward import connection
from shipper.sources.forward.server import ForwardServer

STEPS: Final = (
    "before the chunk is named",
    "before the name is durable",
    "before the lines are written",
    "within the lines",
    "before the lines are durable",
    "before the acknowledgement",
    "after the acknowledgement",
)


def die() -> None:
    """As a power cut would have it: nothing is flushed, nothing is told."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(action: Callable[..., Any], count: int, half: Callable[..., Any] = die) -> Any:
    """Do `half` and die in place of the `count`-th call."""
    calls = 0

    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            if half is not die:
                half(*arguments)
            die()
        return action(*arguments)

    return counted


def write_half(file: int, data: bytes, offset: int) -> None:
    """What a kill within a write leaves."""
    os.pwrite(file, data[: len(data) * 2 // 3], offset)


def send_and_die(send: Callable[..., Any], count: int, *, is_sent: bool) -> Any:
    """Die with the `count`-th answer, before or after it went out."""
    answers = 0

    def counted(self: connection.Connection) -> None:
        nonlocal answers
        answers += self.is_owed
        if answers == count and not is_sent:
            die()
        send(self)
        if answers == count:
            die()

    return counted


def arm(step: str, count: int) -> None:
    """Place the death."""
    write, send = durable.write_all, connection.Connection.send
    owner, name, mutant = {
        STEPS[0]: (chunk_journal, "_format_entry", before(chunk_journal._format_entry, count)),
        STEPS[1]: (chunk_journal, "sync_data", before(os.fdatasync, count)),
        STEPS[2]: (spool, "write_all", before(write, count)),
        STEPS[3]: (spool, "write_all", before(write, count, write_half)),
        STEPS[4]: (spool, "sync_data", before(os.fdatasync, count)),
        STEPS[5]: (connection.Connection, "send", send_and_die(send, count, is_sent=False)),
        STEPS[6]: (connection.Connection, "send", send_and_die(send, count, is_sent=True)),
    }[step]
    setattr(owner, name, mutant)


def main() -> None:
    """Serve until death or the end of standard input."""
    listen, directory, step, count = sys.argv[1:]
    opened = spool.Spool(Path(directory), budget=spool.SpoolBudget(1 << 30), segment_bytes=5000)
    if step:
        arm(step, int(count))
    server = ForwardServer(parse_listen(listen), opened)
    server.start()
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    select.select([sys.stdin], [], [], 60)
    server.stop(5)


if __name__ == "__main__":
    main()
