"""From a line's write to the centre's answer about it, at a steady thousand lines a second.

In: for how many seconds. Out: a chapter. One writer, one file, a `write` for each line, which
carries its own monotonic time; the sink notes when it had answered the request that a line was in.
The clock is one for all processes of a machine (Linux). It must never measure the start.
"""

from __future__ import annotations

import math
import re
import shutil
import time
from pathlib import Path
from typing import Final

from tests.bench.chapter import Chapter, Target, show_number
from tests.bench.measured import Program, wait_until
from tests.bench.null_sink import NullSink
from tests.bench.options import Options
from tests.bench.peers import NO_FLUENT_BIT, NO_RSYSLOG, SHIPPER, Peer, fluent_bits, rsyslog

LINES_PER_SECOND: Final = 1000
LIMIT_MILLISECONDS: Final = 250
_WARM_UP_LINES: Final = 500
_DELIVERY_SECONDS: Final = 30.0
_WRITTEN: Final = re.compile(rb"written=(\d+)")


def run(options: Options, folder: Path) -> Chapter:
    """Each shipper alone, one after the other."""
    bits, syslog = fluent_bits(), rsyslog()
    chapter = Chapter(
        title="Latency",
        method=(
            f"{LINES_PER_SECOND:,} lines a second from one writer for {options.seconds} s: from a"
            " line's write to the sink's answer, in milliseconds."
        ),
        header=("shipper", "p50 ms", "p99 ms", "max ms", "requests/s", "CPU %"),
    )
    if not bits:
        chapter.skipped.append(NO_FLUENT_BIT)
    if syslog is None:
        chapter.skipped.append(NO_RSYSLOG)
    for peer in (
        SHIPPER,
        *(bits[name] for name in ("ids",) if bits),
        *([syslog] if syslog else []),
    ):
        found, requests, cpu_seconds = measure_latency(peer, options.seconds, folder)
        chapter.rows.append(
            (
                peer.name,
                show_number(percentile(found, 50)),
                show_number(percentile(found, 99)),
                show_number(percentile(found, 100)),
                show_number(requests / options.seconds),
                show_number(cpu_seconds / options.seconds * 100),
            )
        )
        if peer is SHIPPER:
            chapter.targets.append(
                Target(
                    what="p99 from write to acknowledgement",
                    value=percentile(found, 99),
                    limit=LIMIT_MILLISECONDS,
                    unit="ms",
                )
            )
    return chapter


def measure_latency(peer: Peer, seconds: int, folder: Path) -> tuple[list[float], int, float]:
    """Milliseconds of each line, ascending; requests; CPU seconds while lines were written."""
    log, work = folder / "app.log", folder / "work"
    log.write_bytes(b"")
    lines = seconds * LINES_PER_SECOND
    with NullSink(folder) as sink:
        arguments = peer.arguments(work, [str(log)], sink.url)
        with Program(arguments, folder / "out") as program:
            _write(log, _WARM_UP_LINES)
            wait_until(lambda: sink.counts().documents >= _WARM_UP_LINES, "warm-up", program)
            requests, cpu_seconds = sink.counts().requests, program.cpu_seconds_so_far()
            began = time.monotonic()
            _write(log, lines)
            cpu_seconds = program.cpu_seconds_so_far() - cpu_seconds
            wait_until(
                lambda: sink.counts().documents >= _WARM_UP_LINES + lines,
                "every line",
                program,
                timeout_seconds=_DELIVERY_SECONDS,
            )
            requests = sink.counts().requests - requests
            program.end()
    found = sorted(
        request.answered * 1e3 - int(written) / 1e6
        for request in sink.requests()
        for written in _WRITTEN.findall(request.plain_body())
        if int(written) >= began * 1e9
    )
    sink.discard()
    log.unlink()
    shutil.rmtree(work)
    return found, requests, cpu_seconds


def _write(log: Path, lines: int) -> None:
    """At the pace; what the scheduler held up is written at once, with the time of its write."""
    began = time.monotonic()
    with log.open("ab", buffering=0) as file:
        for number in range(lines):
            due = began + number / LINES_PER_SECOND
            if (early := due - time.monotonic()) > 0:
                time.sleep(early)
            file.write(
                b"2026-01-03T14:05:12.123456Z INFO orders[1042]: order %08d priced written=%d\n"
                % (number, time.monotonic_ns())
            )


def percentile(ascending: list[float], percent: int) -> float:
    """The value that so many percent are not above."""
    if not ascending:
        return math.nan
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)]
