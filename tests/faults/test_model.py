"""Steps drawn by Hypothesis on real files, a real shipper and a failing centre: no line is owed.

A failing plan is shrunk within a time limit; what a plan did is remembered, since a process that is
killed does not do the same twice.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.everything import ALL
from tests.faults.scenario import (
    CENTRE_STEPS,
    NAMES,
    SHIPPER_STEPS,
    Outcome,
    Step,
    roll_plan,
    run_plan,
)

SEED = 20260103
PARTS = 6 if ALL else 2
EXAMPLES = 25 if ALL else 8
SHRINK_SECONDS = 90.0

STEPS = st.builds(
    Step,
    st.sampled_from(("write", "write", "half", "rotate", "rotate", *SHIPPER_STEPS, *CENTRE_STEPS)),
    st.sampled_from(NAMES),
    st.integers(0, 99),
)


class Runs:
    """Plans that were carried out, each once."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[Step, ...], Outcome] = {}
        self._failed_at = 0.0

    def run(self, plan: tuple[Step, ...]) -> list[str]:
        """What was wrong; nothing, where there is no time left to shrink."""
        known = self.outcomes.get(plan)
        if known is not None:
            return known.faults
        if self._failed_at and time.monotonic() > self._failed_at + SHRINK_SECONDS:
            return []
        with tempfile.TemporaryDirectory(prefix="afterimage-model-") as folder:
            outcome = self.outcomes[plan] = run_plan(Path(folder), plan, seed=SEED)
        if outcome.faults and not self._failed_at:
            self._failed_at = time.monotonic()
        return outcome.faults

    @property
    def kills(self) -> int:
        """Over all plans."""
        return sum(outcome.kills for outcome in self.outcomes.values())

    def __str__(self) -> str:
        accounts = [outcome.account for outcome in self.outcomes.values()]
        lost, repeated, altered = (
            sum(len(getattr(account, kind)) for account in accounts)
            for kind in ("lost", "repeated", "altered")
        )
        return (
            f"{self.kills} kills, {len(accounts)} plans,"
            f" {sum(one.lines for one in accounts)} lines,"
            f" loss/repeats/altered = {lost}/{repeated}/{altered}"
        )


@pytest.fixture
def runs(
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> Iterator[Runs]:
    """An empty record, printed and counted at the end."""
    runs = Runs()
    yield runs
    record_property("kills", runs.kills)
    with capsys.disabled():
        sys.stdout.write(f"\nmodel, {request.node.name}, seed {SEED}: {runs}\n")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.everything) for part in range(1, PARTS))]
)
def test_no_plan_of_writes_rotations_kills_and_faults_loses_a_line(part: int, runs: Runs) -> None:
    """Whatever is done to files, shipper and centre: lost, repeated and altered are 0/0/0."""

    @seed(SEED + part)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(plan=st.lists(STEPS, min_size=5, max_size=30))
    def carry_out(plan: list[Step]) -> None:
        assert [] == runs.run(tuple(plan))

    carry_out()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [3, 15, 21, 33, 59, 78])
def test_plans_that_once_failed_do_not_fail_again(number: int, runs: Runs) -> None:
    """A clock that flaps, a copy beside its file, an inode used again over a missed rotation."""
    assert [] == runs.run(tuple(roll_plan(number, 25)))
