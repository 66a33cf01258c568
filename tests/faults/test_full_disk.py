"""A disk that takes nothing more: what is known is shipped, and nothing under a row not on disk."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tests.faults.accounts import take_account
from tests.faults.bulk_server import BulkServer, wait_until
from tests.faults.shipper_process import ShipperProcess

pytestmark = pytest.mark.slow

FILES = 40


def test_a_start_on_a_full_disk_ships_known_files_and_recovers(tmp_path: Path) -> None:
    """Known sources go on without a vital of the run; the rest follows once there is space."""
    # many, so that the journal is larger than anything else the shipper writes
    known = [tmp_path / f"known-{number}.log" for number in range(FILES)]
    new = tmp_path / "new.log"
    for path in known:
        path.write_bytes(b"before\n")
    with (
        BulkServer() as server,
        ShipperProcess(
            tmp_path, patterns=[f"{tmp_path}/*.log"], url=server.url, instance_id="i-1"
        ) as shipper,
    ):
        shipper.start()
        wait_until(lambda: len(server.oracle.vitals("source")) == FILES)
        assert 0 == shipper.terminate()
        journal = shipper.state / "sources"
        full = journal.read_bytes()
        for path in known:
            path.write_bytes(b"before\nlast words\n")
        new.write_bytes(b"a new file\n")
        births = len(server.oracle.vitals("birth"))

        pid = shipper.start(file_limit_bytes=len(full))
        wait_until(lambda: len(server.oracle.logs()) == 2 * FILES)
        wait_until(lambda: b"File too large" in shipper.words.read_bytes())
        assert full == journal.read_bytes()
        assert births == len(server.oracle.vitals("birth"))
        assert {"before", "last words"} == {
            fields["message"] for *_, fields in server.oracle.logs()
        }

        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        wait_until(lambda: len(server.oracle.logs()) == 2 * FILES + 1)
        wait_until(lambda: len(server.oracle.vitals("birth")) == births + 1)
        assert 0 == shipper.terminate()
        assert [1, 2] == [vital["afterimage.run"] for vital in server.oracle.vitals("birth")]
        account = take_account([*known, new], server.oracle.logs(), server.oracle.vitals("source"))
        assert [] == account.faults
    assert 1 == shipper.words.read_bytes().count(b"File too large")
