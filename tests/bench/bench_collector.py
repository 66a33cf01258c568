"""Stores the same rows through the collector and through plain SQLite; prints the ratio.

The peer is the least that could be done: `sqlite3.executemany` of (id, document) into a table with
a primary key, the same batches, the same `synchronous=FULL` WAL. What the collector takes beyond it
is HTTP, JSON, its indexes for reading in time order and by source, and the words.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import resource
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.bench.chapter import Chapter, show_number
from tests.bench.options import Options

DOCUMENTS = 60_000
BATCH = 3_000
CONCURRENCY = 2

COLLECTOR = """
import asyncio, sys
from pathlib import Path
from forensics.collect.server import run_collector
ready = lambda url: print(url, flush=True)
asyncio.run(run_collector("127.0.0.1:0", Path(sys.argv[1]), ready=ready))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One run."""

    wall_seconds: float
    cpu_seconds: float
    file_bytes: int


def build_rows(count: int) -> list[tuple[str, str]]:
    """(id, document) of about 300 bytes, as the shipper sends them."""
    rng = random.Random(7)
    rows = []
    offset = 0
    for number in range(count):
        message = (
            f"2026-01-03T14:{number // 60 % 60:02d}:{number % 60:02d}Z INFO orders[{number % 7}]: "
            f"order {number:08d} priced in {rng.randint(1, 900)} ms"
        )
        document = {
            "@timestamp": f"2026-01-03T14:{number // 60 % 60:02d}:{number % 60:02d}.000000000Z",
            "event.created": "2026-01-03T15:00:00.000000000Z",
            "message": message,
            "log.offset": offset,
            "log.length": len(message) + 1,
            "log.file.path": "/var/log/orders.log",
            "afterimage.stream": "0123456789abcdef",
            "cloud.instance.id": "i-0123456789abcdef0",
        }
        rows.append(
            (
                f"0123456789abcdef-1-{offset}-{len(message) + 1}-{number:08x}",
                json.dumps(document, separators=(",", ":")),
            )
        )
        offset += len(message) + 1
    return rows


def batches(rows: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """The rows as requests and transactions have them."""
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]


def run_plain(rows: list[tuple[str, str]], path: Path) -> Speed:
    """The peer."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.monotonic()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE documents (id TEXT PRIMARY KEY, body TEXT)")
        for batch in batches(rows):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO documents VALUES (?, ?)", batch)
            connection.execute("COMMIT")
        wall = time.monotonic() - started
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Speed(wall_seconds=wall, cpu_seconds=cpu, file_bytes=path.stat().st_size)


def run_collector(rows: list[tuple[str, str]], path: Path) -> Speed:
    """The collector in a process of its own; CPU is its own, the client's is left out."""
    bodies = [
        "".join(
            f'{{"create":{{"_index":"afterimage-logs-2026.01.03","_id":"{row_id}"}}}}\n{document}\n'
            for row_id, document in batch
        ).encode()
        for batch in batches(rows)
    ]
    process = subprocess.Popen(
        (sys.executable, "-c", COLLECTOR, str(path)), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        started = time.monotonic()
        asyncio.run(_post_all(url, bodies))
        wall = time.monotonic() - started
        process.send_signal(signal.SIGTERM)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    finally:
        process.stdout.close()
        if process.returncode is None:
            process.kill()
            process.wait(10)
    cpu = usage.ru_utime + usage.ru_stime
    return Speed(wall_seconds=wall, cpu_seconds=cpu, file_bytes=path.stat().st_size)


async def _post_all(url: str, bodies: list[bytes]) -> None:
    waiting = iter(bodies)

    async def post(session: aiohttp.ClientSession) -> None:
        for body in waiting:
            async with session.post(
                f"{url}/_bulk?filter_path=errors,items.*.error", data=io.BytesIO(body)
            ) as response:
                answer = await response.json()
                assert answer == {"errors": False}, answer

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(post(session) for _ in range(CONCURRENCY)))


def run(options: Options, folder: Path) -> Chapter:
    """Both, alternately; the ratio of their medians."""
    count = min(options.lines, DOCUMENTS)
    rows = build_rows(count)
    size = sum(len(document) for _, document in rows) / count
    found: dict[str, list[Speed]] = {"collector": [], "plain sqlite3": []}
    for number in range(options.rounds):
        found["plain sqlite3"].append(run_plain(rows, folder / f"plain-{number}.sqlite"))
        found["collector"].append(run_collector(rows, folder / f"collected-{number}.sqlite"))
    walls, cpus = (
        {name: statistics.median(map(take, speeds)) for name, speeds in found.items()}
        for take in (lambda speed: speed.wall_seconds, lambda speed: speed.cpu_seconds)
    )
    return Chapter(
        title="Collector",
        method=f"{count:,} documents of {size:.0f} bytes, {options.rounds} rounds, medians, beside"
        " the least that could be done: `executemany` into a table with a primary key.",
        header=("store", "documents/s", "time, ratio", "µs CPU each", "CPU, ratio", "bytes each"),
        rows=[
            (
                name,
                show_number(count / walls[name]),
                show_number(walls[name] / walls["plain sqlite3"]),
                show_number(cpus[name] / count * 1e6),
                show_number(cpus[name] / cpus["plain sqlite3"]),
                show_number(speeds[-1].file_bytes / count),
            )
            for name, speeds in found.items()
        ],
    )
