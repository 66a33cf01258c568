"""A program measured as a whole: its CPU seconds and peak memory, by the kernel's account."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run of one program took."""

    cpu_seconds: float
    """User and system, of the process and the children it reaped (wait4)."""
    wall_seconds: float
    """Until the sink had every document; the start-up is inside, the shutdown is not."""
    peak_rss_mib: float
    documents: int
    body_mib: float


class Sink:
    """The null sink in a process of its own."""

    def __init__(self) -> None:
        program = Path(__file__).with_name("sink.py")
        self._process = subprocess.Popen(
            (sys.executable, str(program)), stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def counts(self) -> tuple[int, int]:
        """(documents, bytes of bodies) that came so far."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/_counts")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer["documents"], answer["body_bytes"]

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


def measure(arguments: Sequence[str], sink: Sink, documents: int, log: Path) -> Cost:
    """Run a shipper until the sink has `documents` more, then SIGTERM; what it took.

    Raises:
        TimeoutError: they did not all come; the message quotes the program's log.
    """
    before, bytes_before = sink.counts()
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=output)
    try:
        while (came := sink.counts())[0] - before < documents:
            if time.monotonic() - started > TIMEOUT_SECONDS or process.poll() is not None:
                raise TimeoutError(
                    f"{arguments[0]}: {came[0] - before} of {documents} documents came; it says: "
                    + log.read_text(errors="replace")[-800:]
                )
            time.sleep(0.05)
        wall = time.monotonic() - started
        process.send_signal(signal.SIGTERM)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    finally:
        if process.returncode is None:
            process.kill()
            process.wait(10)
    after, bytes_after = sink.counts()
    return Cost(
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        wall_seconds=wall,
        peak_rss_mib=usage.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20),
        documents=after - before,
        body_mib=(bytes_after - bytes_before) / (1 << 20),
    )
