"""A backlog of gigabytes, worked off: is memory bounded, and the rate the same to the end?

In: how large. Out: a chapter. The sink keeps no bodies, only when each request came and what it
held: documents are counted, and counted bytes must be those of the file. It must never fill a
disk: it skips itself where less than twice the backlog is free.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

from tests.bench.chapter import Chapter, Target, show_number
from tests.bench.corpus import Corpus, repeat_corpus, write_corpus
from tests.bench.measured import Cost, measure
from tests.bench.null_sink import NullSink, Request
from tests.bench.options import Options
from tests.bench.peers import SHIPPER

TENTHS: Final = 10
_BLOCK_LINES: Final = 200_000
_SECONDS_PER_GIB: Final = 240.0


def run(options: Options, folder: Path) -> Chapter:
    """Write it, ship it, look at each tenth."""
    chapter = Chapter(
        title="Backlog",
        method=(
            f"{options.backlog_gib:g} GiB of mixed lines are there when the shipper starts; lines"
            " a second in each tenth of them, and the peak memory over all."
        ),
    )
    needed_bytes = int(options.backlog_gib * 2**30)
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < 2 * needed_bytes:
        chapter.skipped.append(
            f"the backlog: {free_bytes / 2**30:.1f} GiB are free, twice its size is needed"
        )
        return chapter
    block = write_corpus(folder, _BLOCK_LINES, "mixed")
    corpus = repeat_corpus(block, folder, needed_bytes)
    block.unlink()
    with NullSink(folder, keeps_bodies=False) as sink:
        cost = measure(
            SHIPPER.arguments(folder / "work", corpus.paths, sink.url),
            folder / "out",
            lambda: sink.counts().documents >= corpus.lines,
            timeout_seconds=max(60.0, options.backlog_gib * _SECONDS_PER_GIB),
        )
    requests = [request for request in sink.requests() if request.documents]
    _write(chapter, corpus, cost, requests)
    return chapter


def _write(chapter: Chapter, corpus: Corpus, cost: Cost, requests: list[Request]) -> None:
    tenths = rate_by_tenth(requests)
    came = sum(request.documents for request in requests)
    chapter.header = ("tenth", "lines/s")
    chapter.rows += [
        (str(number), show_number(rate)) for number, rate in enumerate(tenths, start=1)
    ]
    chapter.targets += [
        Target(what="documents beyond or short of the lines", limit=0, unit="lines",
               value=abs(came - corpus.lines)),
        Target(what="rate of the last tenth / the first", limit=0.8, sense="at least",
               value=tenths[-1] / tenths[0]),
        Target(what="peak RSS", limit=64, unit="MiB", value=cost.peak_rss_mib),
    ]  # fmt: skip
    largest = max(request.plain_bytes for request in requests)
    chapter.notes.append(
        f"{corpus.lines:,} lines, {corpus.size_bytes / 2**30:.2f} GiB in {cost.wall_seconds:.0f} s,"
        f" {cost.cpu_seconds / corpus.lines * 1e6:.2f} CPU s per million lines;"
        f" {len(requests):,} requests, the largest {largest / 2**20:.1f} MiB."
    )
    sys.stderr.write(f"  backlog: {cost.wall_seconds:.0f} s\n")


def rate_by_tenth(requests: list[Request]) -> list[float]:
    """Documents a second in each tenth of the requests; the start-up is not in the first."""
    found = []
    for number in range(TENTHS):
        first, end = (len(requests) * place // TENTHS for place in (number, number + 1))
        part = requests[max(first, 1) : end]
        before = requests[max(first, 1) - 1].answered
        seconds = part[-1].answered - before if part else 0.0
        documents = sum(request.documents for request in part)
        found.append(documents / seconds if seconds > 0 else float("nan"))
    return found
