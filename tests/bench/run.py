"""`make bench`: every benchmark in turn, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run all `bench_*.py` beside this file; the worst exit code."""
    worst = 0
    for program in sorted(Path(__file__).parent.glob("bench_*.py")):
        sys.stdout.write(f"\n== {program.stem.removeprefix('bench_')}\n")
        sys.stdout.flush()
        module = f"tests.bench.{program.stem}"
        done = subprocess.run((sys.executable, "-m", module), check=False)
        worst = max(worst, done.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
