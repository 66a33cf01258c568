"""A state folder that goes back in time, or loses its end: no number is given twice unseen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipper.agent import Agent
from shipper.config import Config, OutputConfig, TailConfig
from shipper.errors import StateReusedError
from shipper.wire.record import Identity
from tests.faults.accounts import take_account
from tests.faults.bulk_server import BulkServer

IDENTITY = Identity(instance_id="i-0123456789abcdef0")


class Machine:
    """A folder of logs and a state folder; `ship` runs a shipper until everything is stored."""

    def __init__(self, folder: Path, server: BulkServer) -> None:
        self.folder = folder
        self.state = folder / "state"
        self._server = server

    def write(self, name: str, text: bytes) -> None:
        """A log file."""
        (self.folder / name).write_bytes(text)

    def ship(self) -> list[str]:
        """Run to the end, as often as a new stream begins; why one did."""
        config = Config(
            output=OutputConfig(urls=(self._server.url,)),
            state_directory=self.state,
            tails=(TailConfig(paths=(str(self.folder / "*.log"),)),),
        )
        reasons = []
        while True:
            agent = Agent(config, IDENTITY, drain_seconds=20)
            agent.stop("SIGTERM")
            try:
                assert 0 == agent.run()
            except StateReusedError as error:
                reasons.append(str(error))
            else:
                return reasons

    def births(self) -> list[dict[str, Any]]:
        """Birth documents at the centre."""
        return self._server.oracle.vitals("birth")

    def check(self, *names: str) -> None:
        """Every byte of these files is stored, once, under the newest stream."""
        oracle = self._server.oracle
        newest = oracle.vitals("birth")[-1]["afterimage.stream"]
        logs = [stored for stored in oracle.logs() if stored[1].startswith(newest)]
        rows = [r for r in oracle.vitals("source") if r["afterimage.stream"] == newest]
        account = take_account([self.folder / name for name in names], logs, rows)
        assert [] == account.faults


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine, and a centre that takes everything."""
    with BulkServer() as server:
        yield Machine(tmp_path, server)


def test_a_reverted_state_folder_begins_a_new_stream(machine: Machine) -> None:
    """An older copy of the folder would give the numbers of files that were shipped since."""
    machine.write("a.log", b"one\n" * 10)
    machine.ship()
    shutil.copytree(machine.state, machine.folder / "backup")
    machine.write("b.log", b"two\n" * 20)
    machine.ship()
    shutil.rmtree(machine.state)
    (machine.folder / "backup").rename(machine.state)
    (machine.folder / "b.log").unlink()
    machine.write("c.log", b"three\n" * 5)
    (why,) = machine.ship()
    assert "was used before" in why
    machine.check("a.log", "c.log")


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
def test_a_journal_that_was_cut_short_begins_a_new_stream(machine: Machine, keep: float) -> None:
    """Rows that were durable and are gone are noticed: by the checkpoint, or by the centre."""
    machine.write("x.log", b"one\n" * 10)
    machine.write("y.log", b"two\n" * 20)
    machine.ship()
    journal = machine.state / "sources"
    data = journal.read_bytes()
    journal.write_bytes(data[: int(len(data) * keep)])
    machine.ship()
    machine.check("x.log", "y.log")
    streams = {birth["afterimage.stream"] for birth in machine.births()}
    assert 2 == len(streams)


def test_an_ordinary_restart_keeps_its_stream(machine: Machine) -> None:
    """Rows that are published again are no sign of anything."""
    machine.write("a.log", b"one\n" * 10)
    for _ in range(3):
        assert [] == machine.ship()
    assert 1 == len({birth["afterimage.stream"] for birth in machine.births()})
    machine.check("a.log")
