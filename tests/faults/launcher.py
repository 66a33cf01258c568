"""`shipper` as it is, in a machine that is made worse: run by `shipper_process.py`.

In: options, `--`, and the shipper's own arguments. What is changed is the machine, never the
product: the largest file it may write, how long a socket waits, and the clock, whose step stands in
a file. It must be run before anything of `shipper` is imported.
"""

from __future__ import annotations

import argparse
import resource
import socket
import sys
import time
from pathlib import Path


def limit_files(size_bytes: int) -> None:
    """No file grows beyond this: a full disk, as a process can see it."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))


def shorten_waits(seconds: float) -> None:
    """No socket waits longer: an answer that never comes is given up in a test's time."""
    settimeout = socket.socket.settimeout

    def capped(self: socket.socket, value: float | None) -> None:
        settimeout(self, seconds if value is None or value > seconds else value)

    # not blocking for ever either: a socket's own default would
    socket.setdefaulttimeout(seconds)
    socket.socket.settimeout = capped  # type: ignore[method-assign,assignment]


def step_clock(path: Path) -> None:
    """Let the clock of day be off by the seconds in a file; the monotonic one is not."""
    now_ns, now = time.time_ns, time.time

    def offset() -> float:
        return float(path.read_text() or 0)

    time.time_ns = lambda: now_ns() + int(offset() * 1e9)
    time.time = lambda: now() + offset()


def main() -> int:
    """Make the machine worse, then be the shipper."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--file-limit", type=int)
    parser.add_argument("--socket-seconds", type=float)
    parser.add_argument("--clock", type=Path)
    parser.add_argument("arguments", nargs="+")
    options = parser.parse_args()
    if options.file_limit is not None:
        limit_files(options.file_limit)
    if options.socket_seconds is not None:
        shorten_waits(options.socket_seconds)
    if options.clock is not None:
        step_clock(options.clock)
    from shipper.cli import main as run_shipper

    return run_shipper(options.arguments)


if __name__ == "__main__":
    sys.exit(main())
