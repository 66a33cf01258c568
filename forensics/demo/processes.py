"""Child processes of the demo: started in a session of their own, and never left behind.

In: an argument list and a log file. Out: a running process that SIGTERM, then SIGKILL, ends with
all its children; on Linux the kernel ends it too should the demo itself be killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from forensics.errors import ForensicsError, TimedOutError

_PR_SET_PDEATHSIG: Final = 1
STOP_TIMEOUT_SECONDS: Final = 70


def start_process(
    arguments: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a program; what it says on stderr goes to `log`, its stdout is a pipe."""
    with log.open("ab") as errors:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            env=None if environment is None else {**os.environ, **environment},
            preexec_fn=_end_with_parent(),  # noqa: PLW1509 - one system call, no lock is touched
        )


def read_first_line(process: subprocess.Popen[str], log: Path, name: str) -> str:
    """The first line that a process prints, which says that it is ready.

    Raises:
        ForensicsError: it ended instead; the error quotes the end of its log.
    """
    assert process.stdout is not None  # noqa: S101 - start_process makes it a pipe
    line = process.stdout.readline().strip()
    if not line:
        stop_process(process)
        tail = log.read_text(encoding="utf-8", errors="replace")[-600:]
        raise ForensicsError(f"{name} did not start", why=tail.strip(), next_step=f"read {log}")
    return line


def stop_process(
    process: subprocess.Popen[str], *, timeout_seconds: float = STOP_TIMEOUT_SECONDS
) -> int:
    """SIGTERM, wait, then SIGKILL its whole session; the exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            kill_process(process)
            raise TimedOutError(
                f"process {process.pid} did not end within {timeout_seconds:.0f} s of SIGTERM",
                why="it was killed",
                next_step="read its log in the demo's folder",
            ) from None
    if process.stdout is not None:
        process.stdout.close()
    return process.returncode


def kill_process(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the process and its session, and reap it; nothing is left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


def _end_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return lambda: library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
