"""`make bench`: every bench in turn, each in a process of its own that can't outlive its time.

In: names (all by default) and sizes. Out: chapters on stdout, with `--write FILE` also as a page.
The exit code is 0 when every bench ran, whatever it found: a missed target is a finding, no
failure. It must never leave a measured program behind.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final

from tests.bench.chapter import Chapter, Target, render_markdown, render_text
from tests.bench.options import Options

BENCHES: Final = {
    "null-sink": 900,
    "node": 900,
    "latency": 180,
    "idle": 180,
    "reconnect": 300,
    "backlog": 1800,
    "collector": 300,
    "startup": 120,
    "wire": 120,
}
"""Every bench, with the seconds after which it is ended."""

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)

_PAGE: Final = """\
# Measured

Written by `make bench BENCH='--write docs/bench.md'`. Figures of one machine and one run: the
ratios tell something, the seconds little. How each shipper was configured stands in
`tests/bench/peers.py`.

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write a page")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    for one in fields(Options):
        flag = f"--{one.name.replace('_', '-')}"
        parser.add_argument(flag, type=type(one.default), default=one.default)
    asked = parser.parse_args(arguments)
    unknown = set(asked.names) - set(BENCHES)
    if unknown:
        parser.error(f"no bench is called {', '.join(sorted(unknown))}: {', '.join(BENCHES)}")
    options = Options(**{one.name: getattr(asked, one.name) for one in fields(Options)})
    if asked.inside:
        run_inside(asked.names[0], options, asked.inside)
        return 0
    for number in _ENDING:
        signal.signal(number, _end)
    chapters = [run_apart(name, options) for name in asked.names or BENCHES]
    if asked.write:
        done = [render_markdown(chapter) for chapter in chapters if chapter is not None]
        asked.write.write_text(_PAGE + "\n".join(done), encoding="utf-8")
    return int(None in chapters)


def _end(number: int, _frame: object) -> None:
    """End as by an error, so that the bench in its own session is ended too; once is enough."""
    for one in _ENDING:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


def run_apart(name: str, options: Options) -> Chapter | None:
    """One bench in a session of its own; None: it failed."""
    sizes = [
        text
        for key, value in asdict(options).items()
        for text in (f"--{key.replace('_', '-')}", str(value))
    ]
    with tempfile.TemporaryDirectory(prefix="afterimage-bench-") as place:
        result = Path(place) / "result.json"
        process = subprocess.Popen(
            (sys.executable, "-m", "tests.bench.run", name, "--inside", str(result), *sizes),
            start_new_session=True,
            env={**os.environ, "TMPDIR": place},
        )
        try:
            process.wait(BENCHES[name])
        except subprocess.TimeoutExpired:
            sys.stdout.write(f"== {name}: ended after {BENCHES[name]} s\n")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        if process.returncode or not result.exists():
            sys.stdout.write(f"== {name}: failed\n\n")
            return None
        chapter = load_chapter(result)
    sys.stdout.write(render_text(chapter) + "\n")
    sys.stdout.flush()
    return chapter


def run_inside(name: str, options: Options, result: Path) -> None:
    """One bench in this process; its chapter as JSON."""
    bench = importlib.import_module(f"tests.bench.bench_{name.replace('-', '_')}")
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        chapter: Chapter = bench.run(options, Path(place))
    result.write_text(json.dumps(asdict(chapter)), encoding="utf-8")


def load_chapter(path: Path) -> Chapter:
    """A chapter that `run_inside` saved."""
    value = json.loads(path.read_text(encoding="utf-8"))
    targets = [Target(**target) for target in value.pop("targets")]
    return Chapter(**value, targets=targets)


if __name__ == "__main__":
    sys.exit(main())
