"""`make soak`: plans by seed against the real shipper, hour after hour.

In: hours, a seed, how many machines at once. Out: a line a minute, a table at the end, exit 1 at
the first wrong account; its plan is printed so that it can be run again.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.scenario import Outcome, Step, roll_plan, run_plan

_REPORT_SECONDS = 60.0
_LONGEST = 60
_WIDTH = 24


@dataclass
class Totals:
    """Everything that the soak has seen."""

    began: float = field(default_factory=time.monotonic)
    plans: int = 0
    kills: int = 0
    lines: int = 0
    raced: int = 0
    lost: int = 0
    repeated: int = 0
    altered: int = 0
    steps: Counter[str] = field(default_factory=Counter)

    def add(self, plan: list[Step], outcome: Outcome) -> None:
        """One more plan."""
        account = outcome.account
        self.plans += 1
        self.kills += outcome.kills
        self.lines += account.lines
        self.raced += account.raced
        self.lost += len(account.lost)
        self.repeated += len(account.repeated)
        self.altered += len(account.altered)
        self.steps.update(step.kind for step in plan)

    def __str__(self) -> str:
        minutes = (time.monotonic() - self.began) / 60
        return (
            f"{minutes:6.1f} min  {self.plans} plans, {self.kills} kills, {self.lines} lines,"
            f" {self.raced} went with their file,"
            f" loss/repeats/altered = {self.lost}/{self.repeated}/{self.altered}"
        )


def run_soak(seconds: float, seed: int, machines: int) -> int:
    """Until the time is over or an account is wrong; the exit code."""
    totals = Totals()
    deadline = totals.began + seconds
    report_at = totals.began + _REPORT_SECONDS
    seeds = roll_seeds(seed)
    failed = False
    with ThreadPoolExecutor(machines) as pool:
        running: set[Future[bool]] = set()
        while running or (time.monotonic() < deadline and not failed):
            while len(running) < machines and time.monotonic() < deadline and not failed:
                running.add(pool.submit(run_one, next(seeds), totals))
            done, running = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            failed |= any(not one.result() for one in done)
            if time.monotonic() >= report_at:
                report_at += _REPORT_SECONDS
                say(str(totals))
    say(f"seed {seed}")
    for name in ("plans", "kills", "lines", "raced", "lost", "repeated", "altered"):
        say(f"{name:{_WIDTH}}{getattr(totals, name):>12}")
    for name, count in sorted(totals.steps.items()):
        say(f"{'step ' + name:{_WIDTH}}{count:>12}")
    return int(failed)


def roll_seeds(seed: int) -> Iterator[int]:
    """Seeds of plans."""
    dice = random.Random(seed)
    while True:
        yield dice.randrange(1 << 32)


def run_one(seed: int, totals: Totals) -> bool:
    """One plan; whether its account is right."""
    plan = roll_plan(seed, random.Random(seed).randint(5, _LONGEST))
    with tempfile.TemporaryDirectory(prefix="afterimage-soak-") as folder:
        try:
            outcome = run_plan(Path(folder), plan, seed=seed)
        except AssertionError as error:  # it did not drain, or ended as it must not
            say(f"seed {seed}: {error}\nplan = {plan}")
            return False
    totals.add(plan, outcome)
    if outcome.faults:
        say(f"seed {seed}: {outcome}\n{outcome.faults}\nplan = {plan}\n{outcome.words[-3000:]}")
    return not outcome.faults


def say(text: str) -> None:
    """To stdout, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--machines", type=int, default=4)
    options = parser.parse_args(arguments)
    return run_soak(options.hours * 3600, options.seed, options.machines)


if __name__ == "__main__":
    sys.exit(main())
