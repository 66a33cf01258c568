"""How long the two commands take to say `--help`, against Python's own start in the same run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Final

ROUNDS: Final = 11
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


def main() -> None:
    """Measure in turn and print."""
    took: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(ROUNDS):
        for name, arguments in PROGRAMS.items():
            took[name].append(start_milliseconds(arguments))
    floor = statistics.median(took["python -c pass"])
    sys.stdout.write("                       ms: min  median     max   / python\n")
    for name, times in took.items():
        median = statistics.median(times)
        sys.stdout.write(
            f"{name:20} {min(times):9.0f} {median:7.0f} {max(times):7.0f} {median / floor:8.1f}\n"
        )


if __name__ == "__main__":
    main()
