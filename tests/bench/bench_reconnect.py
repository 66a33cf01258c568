"""A thousand simulated shippers lose their centre, and it comes back.

In: how many. Out: a chapter: requests a second before, while away and after, and when everything
was stored. The centre goes as a crashed one does (connections reset, then refused) and serves a
limited number of requests at once when it is back, the rest get 429. It must never claim that the
simulated shippers are whole ones: `fleet` says what of them is real.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.bench.chapter import Chapter, Target, show_number
from tests.bench.fleet import DELIVERY_SECONDS, SECONDS_PER_LINE
from tests.bench.measured import median, ratio
from tests.bench.null_sink import NullSink, find_ids
from tests.bench.options import Options

PROCESSES: Final = 4
SLOTS: Final = 32
SERVICE_MILLISECONDS: Final = 5
_DUE: Final = re.compile(rb"due=(\d+)")
_REPOSITORY: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What was seen."""

    written: int
    stored: int
    """Distinct ids: a store keeps one of each."""
    requests: list[tuple[float, int]]
    """When each was answered, and with what."""
    tries: list[float]
    """When a shipper learned of an answer or that there is none."""
    began: float
    gone: float
    back: float
    caught_up: float
    """When the last line was stored that was written before the return."""
    done: float


def run(options: Options, folder: Path) -> Chapter:
    """One storm."""
    away_seconds = float(options.seconds)
    storm = make_storm(options.shippers, away_seconds, folder)
    settled = storm.began + away_seconds / 6  # all start at once, which is no steady load
    steady = rates([at for at, _ in storm.requests], settled, storm.gone)
    away = rates(storm.tries, storm.gone, storm.back)
    after = rates([at for at, _ in storm.requests], storm.back, storm.done)
    refused = sum(status != 200 for at, status in storm.requests if at > storm.back)
    steady_rate = median(steady)
    chapter = Chapter(
        title="Reconnect storm",
        method=(
            f"{options.shippers:,} simulated shippers in {PROCESSES} processes, each a line every"
            f" {SECONDS_PER_LINE:.0f} s; their centre is gone for {away_seconds:.0f} s and then"
            f" serves {SLOTS} requests at once, refusing the rest. Real are lane, senders, gate,"
            " pacing and connections; files, state and vitals are not."
        ),
        header=("requests a second", "median", "most"),
        rows=[
            (when, show_number(median(found)), show_number(max(found, default=0)))
            for when, found in (
                ("before", steady),
                ("tries while it is away", away),
                ("after its return", after),
            )
        ],
        targets=[
            Target(what="lines lost", limit=0, unit="lines", value=storm.written - storm.stored),
            Target(what="most requests a second after / before", limit=2.0,
                   value=ratio(max(after, default=0), steady_rate)),
            Target(what="tries a second while away / requests before", limit=1.0,
                   value=ratio(median(away), steady_rate)),
            Target(what="everything stored after its return", limit=1.5 * away_seconds, unit="s",
                   value=storm.caught_up - storm.back),
        ],
        notes=[f"{refused:,} requests after the return were refused for lack of room."],
    )  # fmt: skip
    chapter.notes.append("by second after the return: " + " ".join(map(str, after[:30])))
    return chapter


def make_storm(shippers: int, away_seconds: float, folder: Path) -> Storm:
    """Steady for half as long, away, back for half as long again, until everything is stored."""
    seconds = 3 * away_seconds
    sink = NullSink(folder, slots=SLOTS, service_milliseconds=SERVICE_MILLISECONDS)
    url, port = sink.url, sink.port
    began = time.monotonic()
    with fleet(url, shippers, seconds) as processes:
        time.sleep(away_seconds / 2)
        sink.close()
        gone = time.monotonic()
        time.sleep(away_seconds)
        back = time.monotonic()
        with NullSink(
            folder, port=port, slots=SLOTS, service_milliseconds=SERVICE_MILLISECONDS
        ) as sink:
            timeout = seconds + DELIVERY_SECONDS + 30
            found = [json.loads(process.communicate(timeout=timeout)[0]) for process in processes]
    requests = list(sink.requests())
    ids: set[bytes] = set()
    caught_up = back
    for request in requests:
        body = request.plain_body() if request.status == 200 else b""
        ids.update(find_ids(body))
        if any(int(due) < back * 1000 for due in _DUE.findall(body)):
            caught_up = max(caught_up, request.answered)
    sink.discard()
    return Storm(
        written=sum(one["written"] for one in found),
        stored=len(ids),
        requests=[(request.answered, request.status) for request in requests],
        tries=[at for one in found for at in one["tries"]],
        began=began,
        gone=gone,
        back=back,
        caught_up=caught_up,
        done=max(one["done_at"] for one in found),
    )


@contextmanager
def fleet(url: str, shippers: int, seconds: float) -> Iterator[Sequence[subprocess.Popen[str]]]:
    """The processes; none outlives the block."""
    shares = [shippers * number // PROCESSES for number in range(PROCESSES + 1)]
    processes = [
        subprocess.Popen(
            (sys.executable, "-m", "tests.bench.fleet", url, str(first), str(end - first),
             str(seconds)),
            stdout=subprocess.PIPE,
            text=True,
            cwd=_REPOSITORY,
        )
        for first, end in pairwise(shares)
        if end > first
    ]  # fmt: skip
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=30)


def rates(times: Iterable[float], start: float, end: float) -> list[int]:
    """How many in each whole second."""
    counts = Counter(int(at - start) for at in times if start <= at < end)
    return [counts[second] for second in range(int(end - start))]
