"""A small real file system of its own, filled and made read-only under a shipper.

In: a folder and a scenario's name, in a mount namespace (see `test_small_disk.py`). Out: the
account on stdout, exit 0 where it is right. The mount ends with the process.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from shipper.status import load_status
from shipper.status_text import render_text
from tests.faults.bulk_server import BulkServer, wait_until
from tests.faults.forward_client import send_chunk
from tests.faults.oracle import Ledger, judge
from tests.faults.shipper_process import ShipperProcess

SIZE_KIB = 512
NEW_FILES = 40
SCENARIOS = ("full", "read_only", "logs_full", "spool_full", "held")
HELD_DISK_KIB = 64 << 10
HELD_FILES = 10
HELD_LINES = 2000
"""A file of about 2 MiB: three of them are a tenth of the disk."""
CHUNK_LINES = 40


class SmallDisk:
    """The mounted file system."""

    def __init__(self, folder: Path, *, size_kib: int) -> None:
        self.folder = folder
        self.size_kib = size_kib
        self._ballast = folder / "ballast"
        folder.mkdir()
        options = f"size={size_kib}k,mode=700"
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

    def used_bytes(self) -> int:
        """What is taken."""
        room = os.statvfs(self.folder)
        return (room.f_blocks - room.f_bfree) * room.f_frsize

    def set_read_only(self, *, read_only: bool) -> None:
        """As after an error of the disk."""
        option = "remount,bind," + ("ro" if read_only else "rw")
        subprocess.run(["mount", "-o", option, str(self.folder)], check=True)


class ChunkSender:
    """A Forward client that sends a chunk until it is acknowledged, then the next."""

    def __init__(self, address: Path) -> None:
        self.address = address
        self.texts: Counter[str] = Counter()
        """Every acknowledged line."""
        self.refused = 0
        self._number = 0

    def try_once(self) -> bool:
        """Send the present chunk; whether it was acknowledged."""
        texts = [f"chunk {self._number} line {line}" for line in range(CHUNK_LINES)]
        if not send_chunk(self.address, f"c{self._number}", texts):
            self.refused += 1
            return False
        self.texts.update(texts)
        self._number += 1
        return True

    def send(self) -> None:
        """Until it is acknowledged."""
        wait_until(self.try_once, timeout_seconds=60)


def run(folder: Path, scenario: str) -> None:
    """One scenario; AssertionError: a promise was broken."""
    size_kib = HELD_DISK_KIB if scenario == "held" else SIZE_KIB
    disk = SmallDisk(folder / "disk", size_kib=size_kib)
    if scenario == "spool_full":
        fill_spool(disk, folder)
    elif scenario == "held":
        hold_deleted(disk, folder)
    else:
        fill_or_forbid(disk, folder, scenario)


def fill_or_forbid(disk: SmallDisk, folder: Path, scenario: str) -> None:
    """State or logs on a disk that is full or read-only."""
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
            tell_full(shipper)
            disk.free()
        wait_until(lambda: len(server.oracle.logs()) == ledger.line_count, timeout_seconds=60)
        assert shipper.terminate() == 0
        account = judge(ledger, server.oracle.logs(), server.oracle.vitals("gap"))
    sys.stdout.write(f"{scenario}: {account}\n")
    assert not account.faults, account.faults


def tell_full(shipper: ShipperProcess) -> None:
    """`shipper status` says that the disk is full, once, though nothing can be written on it."""
    told = render_text(load_status(shipper.state))
    assert f"the disk of {shipper.state} is full: senders wait, new files wait; free " in told
    assert f"make room on the file system of {shipper.state}" in told
    assert "can't be read" not in told, told


def fill_spool(disk: SmallDisk, folder: Path) -> None:
    """A Forward client whose shipper has a full spool waits, and is answered once there is room."""
    own = folder / "own"
    own.mkdir()
    (disk.folder / "state").mkdir()
    (own / "state").symlink_to(disk.folder / "state")
    client = ChunkSender(folder / "f.sock")
    more = f'[[sources.forward]]\nlisten = "unix://{client.address}"\n'
    with (
        BulkServer() as server,
        ShipperProcess(
            own, patterns=[f"{folder}/*.log"], url=server.url, instance_id="i-1", more=more
        ) as shipper,
    ):
        shipper.start()
        wait_until(client.address.exists)
        client.send()
        server.go_away()  # what is acknowledged from here on is on this disk alone
        disk.fill()
        wait_until(lambda: not client.try_once(), timeout_seconds=60)
        for _ in range(2):
            assert not client.try_once(), "acknowledged, with no room for it"
            assert -9 == shipper.kill()
            shipper.start()
        assert b"No space left" in shipper.words.read_bytes()
        disk.free()
        client.send()
        client.send()
        server.come_back()
        wait_until(lambda: len(server.oracle.logs()) >= client.texts.total(), timeout_seconds=60)
        assert shipper.terminate() == 0, shipper.words.read_text()
        stored = Counter(str(fields["message"]) for *_, fields in server.oracle.logs())
        assert not server.oracle.altered
    sys.stdout.write(
        f"spool_full: {client.texts.total()} acknowledged lines, {client.refused} tries refused,"
        f" loss/repeats = {(client.texts - stored).total()}/{(stored - client.texts).total()}\n"
    )
    assert client.texts == stored


def hold_deleted(disk: SmallDisk, folder: Path) -> None:
    """Deleted files that no centre takes: the oldest go, which is declared, the newest are kept."""
    own, logs = folder / "own", disk.folder / "logs"
    own.mkdir()
    logs.mkdir()
    ledger = Ledger()
    limit_bytes = disk.size_kib * 1024 // 10
    with (
        BulkServer() as server,
        ShipperProcess(
            own,
            patterns=[f"{logs}/*.log"],
            url=server.url,
            instance_id="i-1",
            more="[limits]\nin_flight_mib = 4\n",
        ) as shipper,
    ):
        server.go_away()
        pid = shipper.start()
        wait_until(lambda: shipper.status_pid() == pid)
        for number in range(HELD_FILES):
            path = logs / f"{number}.log"
            # each of another size: whichever is let go of, what is held changes
            write(path, ledger, HELD_LINES + 8 * number, size_bytes=1000)
            wait_until(lambda path=path: path in open_files(pid))  # type: ignore[misc]
            before = held_bytes(shipper)
            path.unlink()
            wait_until(lambda before=before: held_bytes(shipper) != before)  # type: ignore[misc]
        wait_until(lambda: 0 < held_bytes(shipper) <= limit_bytes)
        wait_until(lambda: disk.used_bytes() <= limit_bytes)
        server.come_back()
        for life in ledger.lives:
            life.excuse(0)
        assert shipper.terminate() == 0, shipper.words.read_text()
        gaps = server.oracle.vitals("gap")
        account = judge(ledger, server.oracle.logs(), gaps)
    declared = [number for number, life in enumerate(ledger.lives) if life.path in paths_of(gaps)]
    sys.stdout.write(f"held: {account}; {len(declared)} of {HELD_FILES} files were let go of\n")
    assert not account.faults, account.faults
    assert account.raced
    assert declared == list(range(len(declared))), "the oldest were to go first"
    assert len(declared) <= HELD_FILES - 2, "there was room for the newest"


def open_files(pid: int) -> set[Path]:
    """What a process has open."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(link.readlink())
    return found


def held_bytes(shipper: ShipperProcess) -> int:
    """What deleted files occupy, as the shipper tells it."""
    status = json.loads((shipper.state / "status.json").read_bytes())
    return int(status["usage"]["held_bytes"])


def paths_of(gaps: list[dict[str, Any]]) -> set[str]:
    """Where something was declared missing."""
    return {str(gap["log.file.path"]) for gap in gaps}


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


def write(path: Path, ledger: Ledger, count: int, *, size_bytes: int = 40) -> None:
    """Lines, as far as the disk takes them: what it took is owed."""
    life = next((one for one in ledger.lives if one.path == str(path)), None) or ledger.begin(
        str(path)
    )
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for _ in range(count):
            line = ledger.make_line(life, b"INFO a line on a small disk " + b"x" * size_bytes)
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
