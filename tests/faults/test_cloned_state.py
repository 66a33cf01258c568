"""Two machines from one image: a state folder that was copied never speaks for its first owner.

Real processes, both alive at once and killed in between, on one centre.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipper.wire.record import parse_record_id
from shipper.wire.state import format_stream, parse_stream
from tests.faults.bulk_server import BulkServer, wait_until
from tests.faults.oracle import Ledger, Life, judge
from tests.faults.shipper_process import ShipperProcess

pytestmark = pytest.mark.slow

IMAGE_LINES = 200
OWN_LINES = 100
FIRST_ID, SECOND_ID = "i-0000000000000000a", "i-0000000000000000b"


class Machine:
    """A shipper that follows the image's log and one of its own."""

    def __init__(self, folder: Path, image: Path, server: BulkServer, instance_id: str) -> None:
        folder.mkdir(exist_ok=True)
        self.log = folder / "own.log"
        self.instance_id = instance_id
        self.shipper = ShipperProcess(
            folder,
            patterns=[f"{image}/*.log", str(self.log)],
            url=server.url,
            instance_id=instance_id,
        )


class Image:
    """A machine that shipped half of its log, was killed, and became an image."""

    def __init__(self, folder: Path, server: BulkServer) -> None:
        self.ledger = Ledger()
        self._folder = folder
        self._logs = folder / "image"
        self._logs.mkdir()
        self._server = server
        self._life = self.ledger.begin(str(self._logs / "app.log"))
        self.first = Machine(folder / "first", self._logs, server, FIRST_ID)
        write(self._logs / "app.log", self.ledger, self._life, IMAGE_LINES)

    def ship_half_and_die(self) -> None:
        """What the image has: rows, a checkpoint, and lines that no centre has acknowledged."""
        with self.first.shipper as shipper:
            shipper.start()
            wait_until(lambda: len(self._server.oracle.logs()) == IMAGE_LINES)
            self._server.go_away()
            write(self._logs / "app.log", self.ledger, self._life, IMAGE_LINES)
            assert -9 == shipper.kill()
        self._server.come_back()

    def clone(self, instance_id: str) -> Machine:
        """Another machine, with a copy of the state folder."""
        shutil.copytree(self.first.shipper.state, self._folder / "second" / "state")
        return Machine(self._folder / "second", self._logs, self._server, instance_id)


def write(path: Path, ledger: Ledger, life: Life, count: int) -> None:
    """Lines that are owed."""
    data = b"".join(ledger.make_line(life, b"INFO line %d" % number) for number in range(count))
    with path.open("ab") as file:
        file.write(data)
    ledger.note(life, data)


def live_and_die(machine: Machine, ledger: Ledger, server: BulkServer) -> None:
    """It writes, is killed, and comes back while there is more to ship."""
    life = ledger.begin(str(machine.log))
    machine.shipper.start()
    write(machine.log, ledger, life, OWN_LINES)
    wait_until(
        lambda: machine.instance_id in {birth_id(one) for one in server.oracle.vitals("birth")}
    )
    assert -9 == machine.shipper.kill()
    write(machine.log, ledger, life, OWN_LINES)
    machine.shipper.start()


def birth_id(birth: dict[str, Any]) -> str:
    """Whose birth it was."""
    return str(birth["cloud.instance.id"])


def streams_of(server: BulkServer, instance_id: str) -> set[str]:
    """The streams under which records of an instance are stored."""
    return {
        parse_record_id(document_id).stream
        for _, document_id, fields in server.oracle.logs()
        if fields["cloud.instance.id"] == instance_id
    }


@pytest.fixture
def server() -> Iterator[BulkServer]:
    """A centre for both."""
    with BulkServer() as server:
        yield server


def test_two_machines_of_one_image_ship_under_streams_of_their_own(
    tmp_path: Path, server: BulkServer
) -> None:
    """Alive at once and killed: the first keeps its stream, the second begins one and says why."""
    image = Image(tmp_path, server)
    image.ship_half_and_die()
    second = image.clone(SECOND_ID)
    with image.first.shipper, second.shipper:
        for machine in (image.first, second):
            live_and_die(machine, image.ledger, server)
        wanted = image.ledger.line_count + 2 * IMAGE_LINES
        wait_until(lambda: len(server.oracle.logs()) == wanted)
        for machine in (image.first, second):
            assert 0 == machine.shipper.terminate(), machine.shipper.words.read_text()
    (first_stream,), (second_stream,) = (streams_of(server, one) for one in (FIRST_ID, SECOND_ID))
    assert first_stream != second_stream
    account = judge(image.ledger, server.oracle.logs(), server.oracle.vitals("gap"))
    assert [] == account.faults + server.oracle.altered
    assert 2 * IMAGE_LINES == account.declared, "each machine has the image's lines, once"
    births = [one for one in server.oracle.vitals("birth") if birth_id(one) == SECOND_ID]
    assert {second_stream} == {one["afterimage.stream"] for one in births}
    assert f"the state folder is from {FIRST_ID}" in births[0]["afterimage.reason"]


def test_a_folder_of_another_machine_id_begins_a_stream(tmp_path: Path, server: BulkServer) -> None:
    """A copied virtual machine may keep its instance's name; what is installed differs."""
    image = Image(tmp_path, server)
    image.ship_half_and_die()
    path = image.first.shipper.state / "stream"
    before = parse_stream(path.read_bytes())
    path.write_bytes(format_stream(dataclasses.replace(before, machine_id="0" * 32)))
    with image.first.shipper as shipper:
        shipper.start()
        wait_until(lambda: len(server.oracle.logs()) == image.ledger.line_count + IMAGE_LINES)
        assert 0 == shipper.terminate()
    account = judge(image.ledger, server.oracle.logs(), server.oracle.vitals("gap"))
    assert [] == account.faults
    assert IMAGE_LINES == account.declared, "what the first stream had shipped, and no more"
    assert 2 == len(streams_of(server, FIRST_ID))
    last = server.oracle.vitals("birth")[-1]
    assert before.stream != last["afterimage.stream"]
    assert f"(machine {'0' * 32})" in last["afterimage.reason"]
