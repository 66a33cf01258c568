"""How long the two commands take to say `--help`, against Python's own start in the same run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.bench.chapter import Chapter, show_number
from tests.bench.options import Options

PROGRAMS: Final = {
    "python -c pass": ("-c", "pass"),
    "shipper --help": ("-m", "shipper", "--help"),
    "forensics --help": ("-m", "forensics.cli.main", "--help"),
}


def start_milliseconds(arguments: tuple[str, ...]) -> float:
    """Wall time of one start, to its end."""
    begun = time.perf_counter()
    subprocess.run((sys.executable, *arguments), stdout=subprocess.DEVNULL, check=True, timeout=60)
    return (time.perf_counter() - begun) * 1000


def run(options: Options, folder: Path) -> Chapter:
    """Measure in turn."""
    took: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(options.rounds * 3):
        for name, arguments in PROGRAMS.items():
            took[name].append(start_milliseconds(arguments))
    floor = statistics.median(took["python -c pass"])
    return Chapter(
        title="Start-up",
        method="Wall time of `--help`, against Python's own start in the same run.",
        header=("program", "median ms", "to Python"),
        rows=[
            (name, show_number(median := statistics.median(times)), show_number(median / floor))
            for name, times in took.items()
        ],
    )
