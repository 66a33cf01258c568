"""The same lines into a real OpenSearch node, beside Fluent Bit's best and the node's own limit.

In: how many lines and rounds. Out: a chapter. The limit is the rate at which the node takes the
very bodies that the shipper sends, built before, from the plainest client. Indices are deleted
before each run. It must never count a line as there that the node's API does not show.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forensics.centre.install import install_templates
from forensics.centre.node import Node, start_node
from tests.bench.chapter import Chapter, Target, show_number
from tests.bench.corpus import Corpus, write_corpus
from tests.bench.measured import Cost, cpu_seconds_of, measure, median, ratio
from tests.bench.node_counts import count_indexed, count_stored, delete_indices, find_markers
from tests.bench.null_sink import NullSink
from tests.bench.options import Options
from tests.bench.peers import NO_FLUENT_BIT, SHIPPER, Peer, fluent_bits

_QUIET_SECONDS: Final = 45.0
"""A peer that lost lines is done when nothing came for so long; retries may wait for a while."""
_CLIENT_TIMEOUT_SECONDS: Final = 120
_ASK_SECONDS: Final = 0.25
"""Between two questions: each costs the node as much as many documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One run into the node."""

    cost: Cost
    stored: int
    node_cpu_seconds: float
    missing_markers: int | None
    """None: the documents were not read in this round."""


def run(options: Options, folder: Path) -> Chapter:
    """All in turn, round by round."""
    bits = fluent_bits()
    peers = [SHIPPER, *(bits[name] for name in ("best", "same fields") if bits)]
    corpus = write_corpus(folder, options.lines, "mixed")
    bodies = capture_bodies(corpus, folder)
    found: dict[str, list[Delivery]] = {peer.name: [] for peer in peers}
    limits: list[float] = []
    with start_node(folder / "node", heap="1g") as node:
        asyncio.run(install_templates(node.url))
        for _ in range(options.rounds):
            send_prebuilt(node.url, bodies)  # Java warms up on it
        for number in range(options.rounds):
            for peer in peers:
                is_last = number == options.rounds - 1
                delivery = deliver(peer, corpus, node, folder, reads=is_last)
                found[peer.name].append(delivery)
                cost = delivery.cost
                sys.stderr.write(
                    f"  node {number + 1}/{options.rounds} {peer.name}: "
                    f"{cost.cpu_seconds:.2f} CPU s, {cost.wall_seconds:.1f} s\n"
                )
            limits.append(send_prebuilt(node.url, bodies))
    return _write(options, corpus, found, median(limits), skips_peer=not bits)


def capture_bodies(corpus: Corpus, folder: Path) -> Path:
    """A folder with the shipper's bodies of log documents, taken off a null sink."""
    bodies = folder / "bodies"
    bodies.mkdir()
    work = folder / "work"
    with NullSink(folder) as sink:
        arguments = SHIPPER.arguments(work, corpus.paths, sink.url)
        measure(arguments, folder / "out", lambda: sink.counts().documents >= corpus.lines)
    for number, request in enumerate(one for one in sink.requests() if one.documents):
        (bodies / f"{number:06d}").write_bytes(request.plain_body())
    sink.discard()
    shutil.rmtree(work)
    return bodies


def send_prebuilt(url: str, bodies: Path) -> float:
    """Seconds that the node took for all of them."""
    delete_indices(url)
    done = subprocess.run(
        (sys.executable, "-I", str(Path(__file__).with_name("plain_client.py")), url, str(bodies)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=_CLIENT_TIMEOUT_SECONDS,
    )
    return float(done.stdout)


def deliver(peer: Peer, corpus: Corpus, node: Node, folder: Path, *, reads: bool) -> Delivery:
    """One run; `reads`: every document is read back afterwards."""
    url = node.url
    delete_indices(url)
    work = folder / "work"
    arguments = peer.arguments(work, corpus.paths, url)
    node_cpu_seconds = cpu_seconds_of(node.pid)
    cost = measure(arguments, folder / "out", indexed(url, corpus.lines))
    node_cpu_seconds = cpu_seconds_of(node.pid) - node_cpu_seconds
    shutil.rmtree(work)
    stored = count_stored(url)
    missing = corpus.marked - len(find_markers(url)) if reads else None
    return Delivery(
        cost=cost, stored=stored, node_cpu_seconds=node_cpu_seconds, missing_markers=missing
    )


def indexed(url: str, lines: int) -> Callable[[], bool]:
    """Whether so many documents were taken, or no more come."""
    last, changed_at, asked_at = 0, time.monotonic(), 0.0

    def is_done() -> bool:
        nonlocal last, changed_at, asked_at
        now = time.monotonic()
        if now - asked_at < _ASK_SECONDS:
            return False
        asked_at, count = now, count_indexed(url)
        if count != last:
            last, changed_at = count, now
        return count >= lines or now - changed_at > _QUIET_SECONDS

    return is_done


def _write(
    options: Options,
    corpus: Corpus,
    found: dict[str, list[Delivery]],
    limit_seconds: float,
    *,
    skips_peer: bool,
) -> Chapter:
    chapter = Chapter(
        title="Real node",
        method=(
            f"{options.lines:,} mixed lines into OpenSearch with a heap of 1 GiB,"
            f" {options.rounds} rounds in turn, medians. Wall: from the start of the program to"
            " the last document taken. The limit is the same bodies from the plainest client."
        ),
        header=(
            "shipper",
            "CPU s/M",
            "wall s",
            "lines/s",
            "of limit",
            "peak MiB",
            "node CPU s/M",
            "stored",
        ),
        rows=[_row(name, runs, corpus, limit_seconds) for name, runs in found.items()],
    )
    chapter.rows.append(
        ("pre-built bodies", "-", show_number(limit_seconds),
         show_number(corpus.lines / limit_seconds), "1.00", "-", "-", "-")
    )  # fmt: skip
    ours, same = found[SHIPPER.name], found.get("fluent-bit same fields", [])
    best = found.get("fluent-bit best", [])
    wrong = sum(abs(one.stored - corpus.lines) + (one.missing_markers or 0) for one in ours)
    wall = median(one.cost.wall_seconds for one in ours)
    chapter.targets += [
        Target(what="lines lost or repeated", value=wrong, limit=0, unit="lines"),
        Target(what="CPU / Fluent Bit best", limit=0.4, value=ratio(_cpu(ours), _cpu(best))),
        Target(what="CPU / Fluent Bit same fields", limit=0.4, value=ratio(_cpu(ours), _cpu(same))),
        Target(what="wall / Fluent Bit best", limit=0.75,
               value=wall / median(one.cost.wall_seconds for one in best)),
        Target(what="wall / Fluent Bit same fields", limit=0.75,
               value=wall / median(one.cost.wall_seconds for one in same)),
        Target(what="rate / what the node takes", limit=0.8, sense="at least",
               value=limit_seconds / wall),
        Target(what="peak RSS", limit=64, unit="MiB",
               value=median(one.cost.peak_rss_mib for one in ours)),
    ]  # fmt: skip
    chapter.notes += [
        "Fluent Bit best: message, path, read time, no ids: the fewest fields that it can send.",
        "Fluent Bit same fields: also the identity and the offset that the shipper's records have.",
    ]
    if skips_peer:
        chapter.skipped.append(NO_FLUENT_BIT)
    return chapter


def _cpu(runs: Sequence[Delivery]) -> float:
    return median(one.cost.cpu_seconds for one in runs)


def _row(
    name: str, runs: Sequence[Delivery], corpus: Corpus, limit_seconds: float
) -> tuple[str, ...]:
    wall = median(one.cost.wall_seconds for one in runs)
    stored = sorted({one.stored for one in runs})
    return (
        name,
        show_number(_cpu(runs) / corpus.lines * 1e6),
        show_number(wall),
        show_number(corpus.lines / wall),
        show_number(limit_seconds / wall),
        show_number(median(one.cost.peak_rss_mib for one in runs)),
        show_number(median(one.node_cpu_seconds for one in runs) / corpus.lines * 1e6),
        " / ".join(f"{count:,}" for count in stored),
    )
