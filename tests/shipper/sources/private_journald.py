"""A systemd-journald of one's own: its sockets, its memory and its disk in one folder.

In: a folder. Out: a real journald that takes messages, in a mount namespace where /var/log and
/etc/systemd are in that folder and /run is memory of its own; and readers inside it, who find its
journal where the machine's would be. Needs root. It must never touch the machine's own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from tests.shipper.sources.journal_files import render_value

JOURNALD: Final = Path("/lib/systemd/systemd-journald")
CAN_RUN: Final = (
    JOURNALD.exists()
    and os.geteuid() == 0
    and all(shutil.which(tool) for tool in ("unshare", "nsenter", "journalctl"))
)
_ROOT: Final = Path(__file__).resolve().parents[3]
_PROBE: Final = Path(__file__).with_name("journal_probe.py")
_WAIT_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.02
# rm -r of what was flushed is refused by journald anywhere but in memory
_MOUNT_MEMORY: Final = "mount -t tmpfs -o size=64m,mode=755 tmpfs /run"
_HOLD: Final = f"""
mount --make-rprivate /
{_MOUNT_MEMORY}
mount --bind "$1/log" /var/log
mount --bind "$1/etc" /etc/systemd
echo mounted
exec cat
"""
_CONFIGURATION: Final = """
[Journal]
Storage=persistent
SystemMaxFileSize=512K
RuntimeMaxFileSize=512K
RateLimitBurst=0
SyncIntervalSec=1s
ReadKMsg=no
Audit=no
"""


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Return once it is so; AssertionError: it never was."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(_POLL_SECONDS)


class PrivateJournald:
    """One journald at a time, started and killed as often as asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("log/journal", "etc"):
            (folder / name).mkdir(parents=True)
        (folder / "etc" / "journald.conf").write_text(_CONFIGURATION)
        # keeps the namespace while journald is dead; ends with its standard input
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "bash", "-ec", _HOLD, "bash", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert b"mounted\n" == self._holder.stdout.readline()
        self._run = Path("/proc", str(self._holder.pid), "root", "run")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes messages."""
        socket_path = self._run / "systemd/journal/socket"
        socket_path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [*self._enter(), JOURNALD], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(socket_path.exists, "journald's socket")

    def close(self) -> None:
        """End all of it."""
        self.kill()
        self._holder.communicate(timeout=_WAIT_SECONDS)

    @property
    def pid(self) -> int:
        """Of the one that runs."""
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(_WAIT_SECONDS)

    def reboot(self) -> None:
        """It ends well, memory is gone, it starts again."""
        self._process.terminate()
        self._process.wait(_WAIT_SECONDS)
        subprocess.run([*self._enter(), *_MOUNT_MEMORY.split()], check=True, timeout=_WAIT_SECONDS)
        self.start()

    def send(self, *messages: str) -> None:
        """Have it take messages; it may not have written them when this returns."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.connect(str(self._run / "systemd/journal/socket"))
            for message in messages:
                client.send(render_value("MESSAGE", message.encode()))

    def flush(self) -> None:
        """Move what is in memory to disk, as at boot once /var is there."""
        os.kill(self.pid, signal.SIGUSR1)
        wait_until((self._run / "systemd/journal/flushed").exists, "the flush")

    def rotate(self) -> None:
        """Begin a new file."""
        before = len(self.files)
        os.kill(self.pid, signal.SIGUSR2)
        wait_until(lambda: len(self.files) > before, "the rotation")

    @property
    def files(self) -> list[Path]:
        """Journal files on its disk, the oldest archived one first."""
        found = [*self._folder.glob("log/journal/*/*.journal*")]
        return sorted(found, key=lambda path: (path.name == "system.journal", path.name))

    def journalctl(self, *arguments: str) -> str:
        """Systemd's own reader and janitor, in the same namespace."""
        command = [*self._enter(), "journalctl", *arguments]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_WAIT_SECONDS
        )
        return done.stdout

    def probe(self) -> Probe:
        """A reader of the machine's journal, where this is the machine's."""
        return Probe([*self._enter(), sys.executable, str(_PROBE)])

    def _enter(self) -> list[str]:
        return ["nsenter", "--mount", "--target", str(self._holder.pid)]


class Probe:
    """A `JournalReader` in another process, asked line by line."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        self.messages: list[str] = []
        """What the test sent and this has read, in order."""
        self.numbers: list[int] = []
        """Sequence numbers of all that was read."""
        self.missing: list[int] = []
        """Those that were declared."""
        self.gaps: list[dict[str, Any]] = []
        self.sequence_ids: list[str] = []
        """Of each batch that changed it."""
        self.cursor = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=_WAIT_SECONDS)

    def open(self, after: str = "") -> None:
        """Begin behind a cursor."""
        self._ask({"open": after})

    def read(self, *, process: bool = True) -> int:
        """Read all there is; how many entries. `process`: look for new files before."""
        answer = self._ask({"read": 1 << 20, "process": process})
        before = len(self.messages)
        for batch in answer["batches"]:
            self.cursor = batch["cursor"]
            self.gaps += batch["gaps"]
            for gap in batch["gaps"]:
                self.missing += range(gap["start"], gap["end"])
            if [batch["sequence_id"]] != self.sequence_ids[-1:]:
                self.sequence_ids.append(batch["sequence_id"])
            for line in batch["lines"]:
                entry = json.loads(line)
                self.numbers.append(int(entry["__SEQNUM"]))
                if entry["MESSAGE"].startswith("test "):  # journald has words of its own
                    self.messages.append(entry["MESSAGE"])
        return len(self.messages) - before

    def wait_for(self, message: str) -> None:
        """Read until it came."""
        wait_until(lambda: self.read() >= 0 and message in self.messages, message)

    def is_awake(self, seconds: float) -> bool:
        """Whether the descriptor tells within that time that there is something."""
        return bool(self._ask({"wait": seconds})["awake"])

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
