"""A program measured as a whole: CPU seconds and peak memory of it and of all its descendants.

In: a command line and a question that says when it is done. Out: a `Cost`. CPU is the kernel's own
account (wait4) of the program and of what it reaped, plus what was left to us; memory is the sum
over all its processes, sampled, and never less than the high-water mark of any. It must never count
what the bench itself or the sink takes. Linux: /proc is what it reads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

TIMEOUT_SECONDS: Final = 180.0
_END_SECONDS: Final = 60.0
_SAMPLE_SECONDS: Final = 0.05
_PR_SET_CHILD_SUBREAPER: Final = 36
_REPOSITORY: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run of one program took."""

    cpu_seconds: float
    """User and system, of the whole tree, start and end included."""
    wall_seconds: float
    """Until it was done; the start-up is inside, the shutdown is not."""
    peak_rss_mib: float


class Program:
    """A running program and its descendants. A context manager: leaving it kills what is left."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        # what a program leaves behind becomes our child, and so can be accounted for
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self.log = log
        self.name = arguments[0]
        self.started_at = time.monotonic()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=_REPOSITORY
            )
        self.pid = self._process.pid
        self.cpu_seconds = 0.0
        """Of what has ended; whole once `end` returned."""
        self.peak_rss_mib = 0.0
        self._seen: set[int] = {self.pid}

    def sample(self) -> None:
        """Look at the whole tree's memory."""
        pids = [self.pid, *descendants(self.pid)]
        self._seen.update(pids)
        found = [_memory_kib(pid) for pid in pids]
        now = max(sum(rss for rss, _ in found), *(high for _, high in found)) / 1024
        self.peak_rss_mib = max(self.peak_rss_mib, now)

    def cpu_seconds_so_far(self) -> float:
        """Of all that run now, to the nanosecond."""
        return sum(map(cpu_seconds_of, (self.pid, *descendants(self.pid))))

    def rss_mib(self) -> float:
        """Resident memory of all that run now."""
        return sum(_memory_kib(pid)[0] for pid in (self.pid, *descendants(self.pid))) / 1024

    def is_running(self) -> bool:
        """Whether the program itself lives."""
        if self._process.returncode is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                self.cpu_seconds += usage.ru_utime + usage.ru_stime
        return self._process.returncode is None

    def end(self) -> None:
        """SIGTERM, and wait; TimeoutError: it had to be killed."""
        self.sample()
        deadline = time.monotonic() + _END_SECONDS
        if self.is_running():
            self._process.send_signal(signal.SIGTERM)
        while self.is_running():
            self.sample()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} did not end on SIGTERM; it says: {self.said()}")
            time.sleep(_SAMPLE_SECONDS)
        self._reap_orphans()

    def said(self) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-800:]

    def _reap_orphans(self) -> None:
        for pid in self._seen - {self.pid}:
            with contextlib.suppress(ChildProcessError, ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                usage = os.wait4(pid, 0)[2]
                self.cpu_seconds += usage.ru_utime + usage.ru_stime

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_running():
            self._process.kill()
            self._process.wait(_END_SECONDS)
        self._reap_orphans()


def measure(
    arguments: Sequence[str],
    log: Path,
    is_done: Callable[[], bool],
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Cost:
    """Run a program until it is done, then SIGTERM; what it took.

    Raises:
        TimeoutError: it was not done in time, or ended; the message quotes its log.
    """
    with Program(arguments, log) as program:
        wait_until(is_done, "the end", program, timeout_seconds=timeout_seconds)
        wall = time.monotonic() - program.started_at
        program.end()
        return Cost(
            cpu_seconds=program.cpu_seconds,
            wall_seconds=wall,
            peak_rss_mib=program.peak_rss_mib,
        )


def wait_until(
    is_done: Callable[[], bool],
    what: str,
    program: Program,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Wait, looking at the program's memory meanwhile.

    Raises:
        TimeoutError: it took too long, or the program ended; the message quotes its log.
    """
    began = time.monotonic()
    while not is_done():
        program.sample()
        passed = time.monotonic() - began
        if passed > timeout_seconds or not program.is_running():
            raise TimeoutError(
                f"{program.name}: {what} did not come in {passed:.0f} s; it says: {program.said()}"
            )
        time.sleep(_SAMPLE_SECONDS)


def descendants(pid: int) -> Iterator[int]:
    """Every process below one, as far as /proc still knows it."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                for child in map(int, (task / "children").read_text().split()):
                    yield child
                    yield from descendants(child)


def cpu_seconds_of(pid: int) -> float:
    """Time on a CPU of one running process, all threads."""
    total = 0
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def _memory_kib(pid: int) -> tuple[int, int]:
    """Resident now, and at most so far; zeros: it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return tuple(int(status.split(key)[1].split()[0]) for key in ("VmRSS:", "VmHWM:"))  # type: ignore[return-value]  # two keys, two numbers
    except (OSError, IndexError):  # ended, or a zombie, which has no memory
        return 0, 0


def median(values: Iterable[float]) -> float:
    """The middle of several rounds; not a number: none was run."""
    found = list(values)
    return statistics.median(found) if found else float("nan")


def ratio(value: float, to: float) -> float:
    """Not a number where there is nothing to compare with."""
    return value / to if to else float("nan")
