"""A small real file system of its own, filled and made read-only under a shipper.

In: a folder and a scenario's name, in a mount namespace (see `test_small_disk.py`). Out: the
account on stdout, exit 0 where it is right. The mount ends with the process.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

from tests.faults.bulk_server import BulkServer, wait_until
from tests.faults.oracle import Ledger, judge
from tests.faults.shipper_process import ShipperProcess

SIZE_KIB = 512
NEW_FILES = 40
SCENARIOS = ("full", "read_only", "logs_full")


class SmallDisk:
    """The mounted file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir()
        options = f"size={SIZE_KIB}k,mode=700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)

    def fill(self) -> None:
        """Take the last byte."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Give it back."""
        self._ballast.unlink()

    def set_read_only(self, *, read_only: bool) -> None:
        """As after an error of the disk."""
        option = "remount,bind," + ("ro" if read_only else "rw")
        subprocess.run(["mount", "-o", option, str(self.folder)], check=True)


def run(folder: Path, scenario: str) -> None:
    """One scenario; AssertionError: a promise was broken."""
    disk = SmallDisk(folder / "disk")
    own = folder / "own"
    logs = (disk.folder if scenario == "logs_full" else folder) / "logs"
    own.mkdir()
    logs.mkdir()
    if scenario != "logs_full":
        (disk.folder / "state").mkdir()
        (own / "state").symlink_to(disk.folder / "state")
    ledger = Ledger()
    with (
        BulkServer() as server,
        ShipperProcess(
            own, patterns=[f"{logs}/*.log"], url=server.url, instance_id="i-1"
        ) as shipper,
    ):
        write(logs / "known.log", ledger, 20)
        shipper.start()
        wait_until(lambda: len(server.oracle.logs()) == 20)
        if scenario == "read_only":
            stay_away(disk, shipper)
        elif scenario == "full":
            disk.fill()
        write(logs / "known.log", ledger, 20_000 if scenario == "logs_full" else 20)
        if scenario == "full":
            for number in range(NEW_FILES):  # more rows than a page of the journal has room for
                write(logs / f"new-{number}.log", ledger, 1)
            wait_until(lambda: len(server.oracle.logs()) >= 40)
            wait_until(lambda: b"No space left" in shipper.words.read_bytes())
            assert len(server.oracle.logs()) < 40 + NEW_FILES, "a row that is on no disk was used"
            disk.free()
        wait_until(lambda: len(server.oracle.logs()) == ledger.line_count, timeout_seconds=60)
        assert shipper.terminate() == 0
        account = judge(ledger, server.oracle.logs(), server.oracle.vitals("gap"))
    sys.stdout.write(f"{scenario}: {account}\n")
    assert not account.faults, account.faults


def stay_away(disk: SmallDisk, shipper: ShipperProcess) -> None:
    """A start on read-only state is refused in words; the next one, on a good disk, goes on."""
    assert shipper.terminate() == 0
    disk.set_read_only(read_only=True)
    shipper.start()
    code = shipper.wait()
    disk.set_read_only(read_only=False)
    assert code not in {0, -9}, code
    assert b"Read-only file system" in shipper.words.read_bytes()
    shipper.start()


def write(path: Path, ledger: Ledger, count: int) -> None:
    """Lines, as far as the disk takes them: what it took is owed."""
    life = next((one for one in ledger.lives if one.path == str(path)), None) or ledger.begin(
        str(path)
    )
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for _ in range(count):
            line = ledger.make_line(life, b"INFO a line on a small disk " + b"x" * 40)
            try:
                taken = os.write(file, line)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return
            ledger.note(life, line[:taken])
    finally:
        os.close(file)


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2])
