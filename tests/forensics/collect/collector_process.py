"""A collector as a process of its own, to be killed and started again by tests."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_WAIT_SECONDS: Final = 30.0

_PROGRAM: Final = """
import asyncio, resource, sys
from pathlib import Path
from forensics.collect.body import Limits
from forensics.collect.server import run_collector
from forensics.errors import ForensicsError

listen, path, file_limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
if file_limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
try:
    asyncio.run(run_collector(
        listen, path, ready=lambda url: print(url, flush=True), limits=Limits(disk_floor_bytes=0)
    ))
except ForensicsError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


class CollectorProcess:
    """One run of the collector; `url` once it answers."""

    def __init__(self, path: Path, *, listen: str, file_limit_bytes: int) -> None:
        arguments: Sequence[str] = (listen, str(path), str(file_limit_bytes))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self._wait_url()

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self.process.kill()
        self.process.wait(_WAIT_SECONDS)

    def terminate(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_WAIT_SECONDS)

    def close(self) -> str:
        """End it, whatever it does; what it said on stderr."""
        if self.process.poll() is None:
            self.kill()
        _, errors = self.process.communicate(timeout=_WAIT_SECONDS)
        return errors

    def _wait_url(self) -> str:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], _WAIT_SECONDS)
        line = self.process.stdout.readline().strip() if ready else ""
        if not line:
            raise AssertionError(f"the collector did not start: {self.close()}")
        return line


@contextmanager
def collector_process(
    path: Path, *, listen: str = "127.0.0.1:0", file_limit_bytes: int = 0
) -> Iterator[CollectorProcess]:
    """A collector over `path` for the block; `file_limit_bytes`: no file may grow beyond."""
    process = CollectorProcess(path, listen=listen, file_limit_bytes=file_limit_bytes)
    try:
        yield process
    finally:
        process.close()
