"""A shipper that SIGKILLs itself at its n-th step on disk or network; a process of its own.

In: orders on stdin, one JSON object a line: the configuration, at which call to die and how. Out:
one JSON line for each. A parent that has imported the shipper forks for each order, so that a run
costs milliseconds. The calls are wrapped in `os` and `socket`, before the shipper is imported:
nothing of the product knows.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

OS_CALLS: Final = (
    "open",
    "write",
    "pwrite",
    "writev",
    "pwritev",
    "fsync",
    "fdatasync",
    "ftruncate",
    "rename",
    "replace",
    "unlink",
    "remove",
    "link",
    "mkdir",
)
SOCKET_CALLS: Final = ("connect", "send", "sendall", "sendmsg", "recv", "recv_into")
TEARABLE: Final = frozenset(("write", "pwrite", "send", "sendall"))
"""Half of it is done before the kill."""
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class CrashPoint:
    """Counts the wrapped calls of this process, and ends it at one."""

    def __init__(self) -> None:
        self.is_armed = False
        self.at = 0
        self.is_torn = False
        self.names: list[str] = []
        self._lock = threading.Lock()

    def count(self, name: str) -> bool:
        """One more call; whether the process is to die in the middle of it. May not return."""
        if not self.is_armed:
            return False
        with self._lock:
            self.names.append(name)
            if len(self.names) != self.at:
                return False
            if self.is_torn and name in TEARABLE:
                return True
            self.die()
        return False

    @staticmethod
    def die() -> None:
        """As the kernel does it when memory is short."""
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


POINT: Final = CrashPoint()


def wrap_calls() -> None:
    """Put the counting in front of every call."""
    for name in OS_CALLS:
        setattr(os, name, _wrap(name, getattr(os, name), data_at=1))
    for name in SOCKET_CALLS:
        setattr(socket.socket, name, _wrap(name, getattr(socket.socket, name), data_at=1))


def _wrap(name: str, call: Callable[..., Any], *, data_at: int) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if name == "open" and not arguments[1] & _WRITING:
            return call(*arguments, **named)
        if POINT.count(name):
            half = list(arguments)
            half[data_at] = half[data_at][: len(half[data_at]) // 2]
            call(*half, **named)
            POINT.die()
        return call(*arguments, **named)

    return wrapped


def run_child(order: dict[str, Any]) -> int:
    """Be the shipper until it has drained, or died at its point."""
    import shipper.state_folder

    # small, so that a few files are enough for the journal to be written anew
    shipper.state_folder.COMPACTED_ABOVE_BYTES = 64  # type: ignore[misc]
    words = os.open(order["words"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(words, 2)
    threading.Thread(target=_stop_when_ready, daemon=True).start()
    POINT.at, POINT.is_torn, POINT.is_armed = order["at"], order["torn"], True
    from shipper.cli import main

    code = main(["run", "-c", order["config"]])
    POINT.is_armed = False
    Path(order["calls"]).write_text(json.dumps(POINT.names))
    return code


def _stop_when_ready() -> None:
    """Have it drain as soon as it hears that it should."""
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Carry out orders until stdin ends."""
    wrap_calls()
    import shipper.agent
    import shipper.cli
    import shipper.config_reader  # noqa: F401 - imported once, for all children

    for line in sys.stdin:
        order = cast("dict[str, Any]", json.loads(line))
        child = os.fork()
        if not child:
            try:
                os._exit(run_child(order))
            finally:
                os._exit(99)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps(os.waitstatus_to_exitcode(status)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
