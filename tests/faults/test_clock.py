"""The clock that plans step (`scenario.py`) is the shipper's own: a real process lives by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.accounts import take_account
from tests.faults.bulk_server import BulkServer, wait_until
from tests.faults.shipper_process import ShipperProcess

DAY_SECONDS = 86_400.0
STEPS = (0.0, 400 * DAY_SECONDS, -DAY_SECONDS, 3 * DAY_SECONDS, -400 * DAY_SECONDS, 0.0)
"""Where the clock stands before each line."""


@pytest.mark.slow
def test_a_clock_that_jumps_reaches_the_shipper_and_costs_nothing(tmp_path: Path) -> None:
    """Each line has the stepped day as its reading time, all are stored once, none is held up."""
    path = tmp_path / "app.log"
    path.touch()
    with (
        BulkServer() as server,
        ShipperProcess(
            tmp_path,
            patterns=[str(path)],
            url=server.url,
            instance_id="i-1",
            has_own_clock=True,
        ) as shipper,
    ):
        shipper.start()
        for number, seconds in enumerate(STEPS):
            shipper.set_clock(seconds)
            with path.open("ab") as file:
                file.write(b"line %d\n" % number)
            wait_until(lambda wanted=number + 1: len(server.oracle.logs()) == wanted)  # type: ignore[misc]
        assert 0 == shipper.terminate(), shipper.words.read_text()
        account = take_account([path], server.oracle.logs(), server.oracle.vitals("source"))
        assert [] == account.faults + server.oracle.altered
        read_at = {
            fields["message"]: datetime.fromisoformat(str(fields["event.created"]))
            for _, _, fields in server.oracle.logs()
        }
    now = datetime.now(UTC)
    for number, seconds in enumerate(STEPS):
        off = read_at[f"line {number}"] - (now + timedelta(seconds=seconds))
        assert abs(off) < timedelta(minutes=10), f"step {number}: {off}"
