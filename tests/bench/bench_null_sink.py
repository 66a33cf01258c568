"""CPU and memory for a corpus to a sink that stores nothing, beside Fluent Bit and rsyslog.

In: how many lines and rounds. Out: a chapter. All run in turn, round by round, on the same file;
medians are compared. After each run what came is compared with the file: a shipper that is quick
because it loses something is no peer.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.bench.chapter import Chapter, Target, show_number
from tests.bench.corpus import Corpus, Kind, write_corpus
from tests.bench.measured import Cost, measure, median
from tests.bench.null_sink import Account, NullSink, take_account
from tests.bench.options import Options
from tests.bench.peers import (
    COMPRESSING_SHIPPER,
    NO_FLUENT_BIT,
    NO_RSYSLOG,
    SHIPPER,
    Peer,
    fluent_bits,
    rsyslog,
)

_QUIET_SECONDS: Final = 5.0
"""A peer that lost lines is done when nothing came for so long."""

Rounds = dict[str, list[tuple[Cost, Account]]]


def run(options: Options, folder: Path) -> Chapter:
    """Every peer over both corpora."""
    bits, syslog = fluent_bits(), rsyslog()
    chapter = Chapter(
        title="Null sink",
        method=(
            f"{options.lines:,} lines, {options.rounds} rounds in turn, medians. CPU: seconds per"
            " million lines. Everything is compared with the file afterwards."
        ),
        header=("corpus, shipper", "CPU s/M", "to shipper", "peak MiB", "wall s", "wire MiB",
                "lost", "repeated"),
    )  # fmt: skip
    if not bits:
        chapter.skipped.append(NO_FLUENT_BIT)
    if syslog is None:
        chapter.skipped.append(NO_RSYSLOG)
    mixed = [SHIPPER, COMPRESSING_SHIPPER, *bits.values(), *([syslog] if syslog else [])]
    few = [peer for peer in mixed if peer.name in {"shipper", "fluent-bit ids", "rsyslog"}]
    runs: tuple[tuple[Kind, list[Peer]], ...] = (("mixed", mixed), ("plain", few), ("jumbled", few))
    for kind, peers in runs:
        corpus = write_corpus(folder, options.lines, kind)
        sys.stderr.write(f"  {kind}: {options.lines:,} lines\n")
        found = ship_in_turn(peers, corpus, options.rounds, folder)
        chapter.rows += _rows(kind, found, options.lines)
        chapter.targets += _targets(kind, found)
        corpus.unlink()
    chapter.notes += [f"{peer.name}: {peer.meaning}" for peer in mixed]
    return chapter


def ship_in_turn(peers: Sequence[Peer], corpus: Corpus, rounds: int, folder: Path) -> Rounds:
    """A B C A B C."""
    found: Rounds = {peer.name: [] for peer in peers}
    for number in range(rounds):
        for peer in peers:
            cost, account = ship_once(peer, corpus, folder)
            found[peer.name].append((cost, account))
            sys.stderr.write(
                f"  {number + 1}/{rounds} {peer.name}: "
                f"{cost.cpu_seconds:.2f} CPU s, {cost.wall_seconds:.1f} s\n"
            )
    return found


def ship_once(peer: Peer, corpus: Corpus, folder: Path) -> tuple[Cost, Account]:
    """One run, and what came of it."""
    work = folder / "work"
    log = folder / f"{peer.name.replace(' ', '-')}.out"
    with NullSink(folder) as sink:
        arguments = peer.arguments(work, corpus.paths, sink.url)
        cost = measure(arguments, log, came(sink, corpus.lines))
    try:
        return cost, take_account(sink, corpus)
    finally:
        sink.discard()
        shutil.rmtree(work)


class came:  # noqa: N801 - reads as the question that it is
    """Whether so many documents came, or no more come."""

    def __init__(self, sink: NullSink, lines: int) -> None:
        self._sink = sink
        self._lines = lines
        self._last = 0
        self._changed_at = time.monotonic()

    def __call__(self) -> bool:
        """Ask the sink."""
        now, count = time.monotonic(), self._sink.counts().documents
        if count != self._last:
            self._last, self._changed_at = count, now
        is_quiet = count > 0 and now - self._changed_at > _QUIET_SECONDS
        return count >= self._lines or is_quiet


def cpu_per_million(found: Rounds, name: str, lines: int) -> float:
    """The median over a peer's rounds."""
    return median(cost.cpu_seconds for cost, _ in found.get(name, ())) / lines * 1e6


def peak_mib(found: Rounds, name: str) -> float:
    """The median over a peer's rounds."""
    return median(cost.peak_rss_mib for cost, _ in found.get(name, ()))


def _rows(kind: str, found: Rounds, lines: int) -> list[Sequence[str]]:
    ours = cpu_per_million(found, "shipper", lines)
    return [
        (
            f"{kind}, {name}",
            show_number(cpu := cpu_per_million(found, name, lines)),
            show_number(cpu / ours),
            show_number(peak_mib(found, name)),
            show_number(median(cost.wall_seconds for cost, _ in rounds)),
            show_number(median(account.wire_mib for _, account in rounds)),
            f"{max(max(account.lost, account.missing_markers) for _, account in rounds):,}",
            f"{max(account.repeated for _, account in rounds):,}",
        )
        for name, rounds in found.items()
    ]


def _targets(kind: str, found: Rounds) -> list[Target]:
    def ratio(ours: str, theirs: str) -> float:
        return cpu_per_million(found, ours, 1) / cpu_per_million(found, theirs, 1)

    ours = [account for _, account in found["shipper"]]
    wrong = sum(account.lost + account.repeated + account.missing_markers for account in ours)
    return [
        Target(what=f"{kind}: CPU / Fluent Bit, filesystem storage and ids", limit=0.5,
               value=ratio("shipper", "fluent-bit ids")),
        *([Target(what=f"{kind}: CPU / Fluent Bit, both compressing", limit=0.5,
                  value=ratio("shipper gzip", "fluent-bit ids gzip"))]
          if kind == "mixed" else []),
        Target(what=f"{kind}: CPU / rsyslog, disk queue and ids", limit=0.2,
               value=ratio("shipper", "rsyslog")),
        Target(what=f"{kind}: peak RSS", limit=64, unit="MiB", value=peak_mib(found, "shipper")),
        Target(what=f"{kind}: lines lost or repeated", limit=0, unit="lines", value=wrong),
    ]  # fmt: skip
