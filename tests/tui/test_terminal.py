"""On a real pseudo-terminal: what bytes leave the program, and how soon and how big it is."""

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

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 60.0
PROGRAM = """
import resource, sys
from pathlib import Path
from forensics.tui.app import AfterimageApp
from forensics.tui.hangup import end_with_terminal
from tests.tui.hostile import hostile_documents
from tests.tui.virtual_store import FakeSession, ListStore, VirtualStore, instance

source = VirtualStore(10_000_000) if sys.argv[1] == "huge" else ListStore(hostile_documents())
row = instance(last_word="\\x1b]0;PWNED\\x07 \\x9b31m \\u202e[/red]")
app = AfterimageApp(FakeSession(rows=[row], source=source), row.instance_id)
end_with_terminal(0)
app.run(mouse=sys.argv[2:] != ["no-mouse"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = Path("/proc/self/status")
if status.exists():  # Linux hands ru_maxrss on from the parent; this one is the program's own
    peak = next(l.split()[1] for l in status.read_text().splitlines() if l.startswith("VmHWM"))
sys.stdout.write(f"PEAK_KIB={peak}\\n")
"""


class Terminal:
    """A program on a pseudo-terminal of 100 by 30, and all that it wrote."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.started = time.monotonic()
        self.written = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, close_fds=True,
            env={**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip
        os.close(slave)

    def wait_for(self, pattern: bytes) -> float:
        """Read until the bytes were written; how many seconds after the start that was."""
        while re.search(pattern, self.written) is None:
            left = self.started + DEADLINE_SECONDS - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"never written: {pattern!r}\n{self.written[-3000:]!r}")
            try:
                self.written += os.read(self.master, 65_536)
            except OSError as error:
                raise AssertionError(f"ended without {pattern!r}: {self.written!r}") from error
        return time.monotonic() - self.started

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.master, keys)

    def hang_up(self) -> None:
        """The connection is lost."""
        if self.master >= 0:
            os.close(self.master)
        self.master = -1

    def close(self) -> None:
        """End the program if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        self.hang_up()


@pytest.mark.slow
def test_no_escape_byte_of_a_log_reaches_the_terminal() -> None:
    """Titles, colours, clipboard, C1 and bidi of hostile lines arrive as pictures only."""
    terminal = Terminal("hostile")
    try:
        terminal.wait_for(rb"timeline")
        terminal.wait_for(b"28 of 28|100%")
        terminal.press(b"g")
        terminal.wait_for("␛\\]0;PWNED".encode())
        terminal.press(b"\r")
        for _ in range(55):
            terminal.press(b"j")
        terminal.wait_for(b"U[+]202E")
        for keys in (b"3", b"4", b"1", b"f", b"\x1b", b"@", b"q", b"q"):
            terminal.press(keys)
        terminal.wait_for(b"need a look")
        terminal.press(b"q")
        terminal.wait_for(rb"PEAK_KIB=\d+")
    finally:
        terminal.close()
    # What Textual itself writes: CSI sequences, and the pointer's shape as an OSC.
    text = re.sub(r"\x1b\]22;[a-z]*\x07", "", terminal.written.decode())
    assert 0 == text.count("\x1b]0;")
    assert 0 == text.count("\x1b]52;")
    assert [] == re.findall(".{30}\x07", text)
    assert 0 == text.count("\x00")
    assert 0 == sum("\x80" <= character <= "\x9f" for character in text)
    assert 0 == sum(text.count(one) for one in "\u202a\u202b\u202d\u202e\u2066\u2067\u200b\u200d")
    own = re.sub(
        r"\x1b(?:\[[0-9;?<>=$]*[a-zA-Z]|\[\?[0-9;]*\$p|\]22;[a-z]*\x1b\\|[78=>])", "", text
    )
    assert 0 == own.count("\x1b"), re.findall(r"\x1b.{0,12}", own)[:5]


@pytest.mark.slow
def test_the_mouse_can_be_left_to_the_terminal() -> None:
    """With it off, the program never asks for mouse reports."""
    for arguments, expected in ((("huge",), True), (("huge", "no-mouse"), False)):
        terminal = Terminal(*arguments)
        try:
            terminal.wait_for(rb"timeline")
            terminal.press(b"qq")
            terminal.wait_for(rb"PEAK_KIB=\d+")
        finally:
            terminal.close()
        assert expected == (b"\x1b[?1003h" in terminal.written)


@pytest.mark.slow
def test_no_color_leaves_states_and_levels_readable() -> None:
    """NO_COLOR: only greys, and the letters say what the colours said."""
    terminal = Terminal("huge", NO_COLOR="1", COLORTERM="truecolor")
    try:
        terminal.wait_for(b"10,000,000 of")
        terminal.press(b"E")
        terminal.wait_for(b"~99%")
        terminal.press(b"qq")
        terminal.wait_for(rb"PEAK_KIB=\d+")
    finally:
        terminal.close()
    assert b"Q quarantined" in terminal.written
    assert re.search(rb"mE\x1b\[0m", terminal.written)
    colours = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", terminal.written)
    assert [] == [colour for colour in colours if len(set(colour)) > 1]


@pytest.mark.slow
def test_ten_million_events_start_soon_and_stay_small() -> None:
    """The first frame within 3 s on a busy machine, and never more than 120 MiB."""
    terminal = Terminal("huge")
    try:
        first_frame_seconds = terminal.wait_for(b"Afterimage")
        terminal.wait_for(b"10,000,000 of")
        for keys in (b"g", b"G", b"E", b"\x1b[5~" * 20, b"g", b"\x1b[6~" * 20):
            terminal.press(keys)
        terminal.press(b"G")
        terminal.press(b"q")
        terminal.wait_for(b"need a look")
        terminal.press(b"q")
        terminal.wait_for(rb"PEAK_KIB=\d+")
    finally:
        terminal.close()
    peak = re.search(rb"PEAK_KIB=(\d+)", terminal.written)
    assert peak is not None
    peak_mib = int(peak[1]) / 1024
    print(f"first frame {first_frame_seconds * 1000:.0f} ms, peak {peak_mib:.0f} MiB")  # noqa: T201 - the figures
    assert first_frame_seconds < 3.0
    assert peak_mib < 120


@pytest.mark.slow
def test_a_terminal_that_is_gone_ends_the_program() -> None:
    """A lost connection leaves nothing that spins on: exit 129, as SIGHUP would have it."""
    terminal = Terminal("hostile")
    try:
        terminal.wait_for(b"Afterimage")
        terminal.hang_up()
        assert 129 == terminal.process.wait(timeout=30)
    finally:
        terminal.close()
