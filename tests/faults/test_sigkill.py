"""SIGKILL at any moment: nothing lost, nothing twice, nothing altered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.accounts import take_account
from tests.faults.bulk_server import BulkServer, Faults
from tests.faults.kill_rounds import run_kills

KILLS = 200
SEED = 20260103

HOSTILE_CENTRE = Faults(
    too_many=0.05,
    unavailable=0.05,
    item_too_many=0.002,
    reset_before=0.03,
    reset_after=0.1,
    garbage=0.03,
    short=0.03,
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_hundred_kills_and_a_failing_centre_lose_repeat_and_alter_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every byte of every file, rotated ones too, is stored exactly once."""
    with BulkServer(faults=HOSTILE_CENTRE, seed=SEED) as server:
        files = run_kills(tmp_path, server.url, kills=KILLS, seed=SEED)
        account = take_account(files, server.oracle.logs(), server.oracle.vitals("source"))
    with capsys.disabled():
        print(f"\n{KILLS} kills, {len(files)} files, oracle: {account}")  # noqa: T201 - the evidence
    assert [] == account.faults
    assert [] == server.oracle.altered
    assert account.written_bytes == account.stored_bytes
