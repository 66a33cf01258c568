"""What a shipper takes that has nothing to do: memory and CPU with a hundred watched files.

In: for how many seconds to watch. Out: a chapter. All shippers idle side by side, since one that
idles takes nothing of the others. It must never measure the start or the first shipping.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench.chapter import Chapter, Target, show_number
from tests.bench.measured import Program, wait_until
from tests.bench.null_sink import NullSink
from tests.bench.options import Options
from tests.bench.peers import (
    NO_FLUENT_BIT,
    NO_SIGV4,
    SHIPPER,
    Peer,
    fluent_bits,
    rsyslog,
    shipper_with_sigv4,
)

FILES: Final = 100
_SETTLE_SECONDS: Final = 6.0
"""Longer than any shipper's flush, and than the shipper's heartbeat after work."""


def run(options: Options, folder: Path) -> Chapter:
    """Start all, let them settle, watch."""
    bits, syslog, signing = fluent_bits(), rsyslog(), shipper_with_sigv4()
    peers = [
        SHIPPER,
        *([signing] if signing else []),
        *(bits[name] for name in ("best",) if bits),
        *([syslog] if syslog else []),
    ]
    found = watch(peers, options.seconds, folder)
    chapter = Chapter(
        title="Idle",
        method=(
            f"{FILES} watched files to which nobody writes, for {options.seconds} s, all shippers"
            " side by side: most resident memory and the share of one CPU."
        ),
        header=("shipper", "RSS MiB", "CPU %"),
        rows=[(name, show_number(rss), show_number(cpu)) for name, (rss, cpu) in found.items()],
    )
    nothing = (float("nan"), float("nan"))
    ours, signed = found[SHIPPER.name], found.get("shipper sigv4", nothing)
    chapter.targets += [
        Target(what="RSS, idle", value=ours[0], limit=30, unit="MiB"),
        Target(what="RSS, idle, with SigV4", value=signed[0], limit=45, unit="MiB"),
        Target(what="CPU, idle", value=ours[1], limit=0.2, unit="%"),
    ]
    if signing is None:
        chapter.skipped.append(NO_SIGV4)
    if not bits:
        chapter.skipped.append(NO_FLUENT_BIT)
    return chapter


def watch(peers: Sequence[Peer], seconds: int, folder: Path) -> dict[str, tuple[float, float]]:
    """MiB and percent of each, while nothing happens."""
    with contextlib.ExitStack() as stack:
        programs = {peer.name: _start(peer, folder, stack) for peer in peers}
        time.sleep(_SETTLE_SECONDS)
        began = time.monotonic()
        cpu = {name: program.cpu_seconds_so_far() for name, program in programs.items()}
        rss = dict.fromkeys(programs, 0.0)
        while time.monotonic() - began < seconds:
            time.sleep(1)
            for name, program in programs.items():
                rss[name] = max(rss[name], program.rss_mib())
        passed = time.monotonic() - began
        return {
            name: (rss[name], (program.cpu_seconds_so_far() - cpu[name]) / passed * 100)
            for name, program in programs.items()
        }


def _start(peer: Peer, folder: Path, stack: contextlib.ExitStack) -> Program:
    """A shipper that has shipped the one line of each file."""
    place = folder / peer.name.replace(" ", "-")
    logs = place / "logs"
    logs.mkdir(parents=True)
    for number in range(FILES):
        line = f"2026-01-03T14:05:12.{number:06d}Z INFO started\n"
        (logs / f"app-{number:03d}.log").write_text(line, encoding="utf-8")
    sink = stack.enter_context(NullSink(place, keeps_bodies=False))
    arguments = peer.arguments(place / "work", [str(logs / "*.log")], sink.url)
    program = stack.enter_context(Program(arguments, place / "out"))
    wait_until(lambda: sink.counts().documents >= FILES, "the first lines", program)
    return program
