"""tests.faults.soak: a short one, and what it says of a wrong account."""

from __future__ import annotations

import pytest

from tests.faults import soak
from tests.faults.oracle import Account
from tests.faults.scenario import Outcome


@pytest.mark.slow
def test_a_soak_of_some_seconds_ends_with_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    """It stops when its time is over, and every number is said."""
    assert 0 == soak.main(["--hours", "0.0005", "--seed", "2", "--machines", "2"])
    said = capsys.readouterr().out
    assert "plans" in said
    assert "lost                               0" in said


def test_a_wrong_account_ends_the_soak(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, and the plan to run again."""
    wrong = Outcome(account=Account(lines=1, lost=["a line"]), kills=0, words="")
    monkeypatch.setattr(soak, "run_plan", lambda *_, **__: wrong)
    assert 1 == soak.main(["--hours", "1", "--seed", "2", "--machines", "1"])
    said = capsys.readouterr().out
    assert "plan = [Step(" in said
    assert "lost                               1" in said
