"""The shipper's own words: levels for the journal, nothing that a terminal obeys."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shipper.narration import narrate, printable

PROGRAM = "from shipper.narration import narrate; narrate('warning', 'one\\ntwo')"


def test_a_person_gets_the_level_as_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    """On a terminal the line says who speaks and how bad it is."""
    narrate("info", "ships")
    narrate("error", "stopped\n  → start it")
    assert "shipper: ships\nshipper: error: stopped\n  → start it\n" == capfd.readouterr().err


def run_with_stderr(file: Path, journal_stream: str) -> str:
    """What a process writes whose stderr is that file."""
    with file.open("w") as stderr:
        status = os.fstat(stderr.fileno())
        stream = journal_stream or f"{status.st_dev}:{status.st_ino}"
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            stderr=stderr,
            env=os.environ | {"JOURNAL_STREAM": stream},
            timeout=30,
            check=True,
        )
    return file.read_text()


def test_the_journal_gets_the_level_as_a_prefix(tmp_path: Path) -> None:
    """Where stderr is the journal every line has its priority in front."""
    assert "<4>one\n<4>two\n" == run_with_stderr(tmp_path / "stderr", "")


def test_a_redirected_stderr_is_not_the_journal(tmp_path: Path) -> None:
    """JOURNAL_STREAM is inherited: only the very same file counts."""
    assert "shipper: warning: one\ntwo\n" == run_with_stderr(tmp_path / "stderr", "1:1")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – ü → 語", "plain – ü → 語"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\x00b\rc\td", r"a\x00b\rc\td"),
        ("a\u202eb\u2028c\x9bd", r"a\u202eb\u2028c\x9bd"),
        ("surrogate \udcff", r"surrogate \udcff"),
    ],
)
def test_nothing_that_a_terminal_obeys_passes(text: str, shown: str) -> None:
    """Control characters, direction marks and stray bytes become visible."""
    assert shown == printable(text)


def test_a_stderr_that_takes_nothing_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk is full, say: shipping goes on without the words."""

    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    full = Full()
    monkeypatch.setattr("sys.stderr", full)
    narrate("warning", "it goes on")
    assert "shipper: warning: it goes on\n" == full.getvalue()
