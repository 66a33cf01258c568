"""On a real terminal: colour, the guard in front of raw bytes, the question before a quarantine."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.forensics.cli.stored import DEAD, EVIL_PATH, HOSTILE
from tests.forensics.moto_account import ENVIRONMENT, MotoAccount

pytestmark = pytest.mark.slow

TIMEOUT_SECONDS = 60


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, *words: str, **environment: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "AFTERIMAGE_")) and name != "NO_COLOR"
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "forensics.cli.main", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**clean, "TERM": "xterm", "AWS_CONFIG_FILE": os.devnull, **environment},
            start_new_session=True,
        )
        os.close(slave)
        self.seen = b""

    def wait_for(self, words: bytes) -> None:
        """Read until these words are on the screen."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen
            assert self._read(), self.seen

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._master, f"{text}\n".encode())

    def press(self, keys: str) -> None:
        """Press keys, one by one."""
        for key in keys:
            os.write(self._master, key.encode())

    def finish(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline and self._read():
            pass
        os.close(self._master)
        return self._process.wait(TIMEOUT_SECONDS)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 1)
        if not ready:
            return True
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # the other side is closed
            return False
        self.seen += data
        return bool(data)


@pytest.mark.parametrize(
    ("words", "environment", "colored"),
    [
        ((), {}, True),
        (("--no-color",), {}, False),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
    ],
)
def test_errors_are_red_only_where_colour_is_wanted(
    store: Path,
    words: tuple[str, ...],
    environment: dict[str, str],
    colored: bool,  # noqa: FBT001 - a parameter of the case
) -> None:
    """On a terminal, unless a flag, NO_COLOR or the terminal itself says no."""
    terminal = Terminal(
        "logs", DEAD, "--level", "error", "--store", str(store), *words, **environment
    )

    assert 0 == terminal.finish()
    assert colored == (b"\x1b[31m" in terminal.seen)
    assert b"ERROR worker failed" in terminal.seen


def test_hostile_bytes_reach_a_terminal_only_by_force(store: Path) -> None:
    """Without --force: exit 2, and how to write them to a file."""
    words = ("raw", HOSTILE, EVIL_PATH, "--store", str(store))
    guarded = Terminal(*words)

    assert 2 == guarded.finish()
    assert b"-o FILE" in guarded.seen
    assert b"\x1b" not in guarded.seen


def test_logs_of_hostile_lines_send_no_escape_of_theirs(store: Path) -> None:
    """What the pseudo-terminal gets holds no control but those of our own colours."""
    terminal = Terminal("logs", HOSTILE, "--store", str(store), "--no-color")

    assert 0 == terminal.finish()
    assert not set(terminal.seen.replace(b"\r\n", b"")) & (set(range(0x20)) | {0x7F})


@pytest.mark.slow
def test_an_id_alone_opens_the_interface_on_that_instance(store: Path) -> None:
    """`forensics ID` on a terminal shows that instance; q leaves, with exit code 0."""
    terminal = Terminal(DEAD, "--store", str(store))

    terminal.wait_for(b"Memory ran out")
    assert DEAD.encode() in terminal.seen
    terminal.press("qq")

    assert 0 == terminal.finish()


@pytest.mark.slow
@pytest.mark.parametrize(("flags", "is_colored"), [((), True), (("--no-color",), False)])
def test_the_interface_hears_no_color_too(
    store: Path,
    flags: tuple[str, ...],
    is_colored: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """`--no-color` leaves greys alone, as NO_COLOR does."""
    terminal = Terminal(DEAD, "--store", str(store), *flags, COLORTERM="truecolor")
    terminal.wait_for(b"Memory ran out")
    terminal.press("qq")
    assert 0 == terminal.finish()

    shades = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", terminal.seen)
    assert is_colored == any(len(set(shade)) > 1 for shade in shades)


@pytest.mark.slow
def test_a_quarantine_asks_for_the_id_and_takes_no_other(moto: MotoAccount, tmp_path: Path) -> None:
    """The plan is on the screen before the question; a wrong answer does nothing."""
    instance = moto.build_group(size=3).instance_ids[0]
    environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": moto.url}
    evidence = tmp_path / "evidence"
    terminal = Terminal(
        *("quarantine", instance, "--evidence", str(evidence), "--accept-outage"), **environment
    )

    terminal.wait_for(b"Type the id to go on")
    assert b"(reversible)" in terminal.seen
    terminal.type("yes")

    assert 8 == terminal.finish()
    assert b"nothing was done" in terminal.seen
    assert instance in moto.members()
    assert not evidence.exists()
