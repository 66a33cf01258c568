"""The frame of every command: errors, exit codes, ids as commands, time words, pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import forensics.cli.session
from forensics.cli.group import is_instance_id
from forensics.cli.moments import parse_moment
from forensics.cli.output import render_table, write_json
from forensics.errors import ForensicsError, UsageError
from shipper.wire.times import parse_time
from tests.forensics.cli.conftest import Run

NOW = parse_time("2026-01-03T14:05:12Z")


def test_an_id_without_a_terminal_says_what_to_use_instead(run: Run) -> None:
    """`forensics i-…` is the terminal interface; in a pipe it names `show`."""
    with_id = run("i-0123456789abcdef0")
    alone = run()

    assert (2, 2) == (with_id.code, alone.code)
    assert "forensics show i-0123456789abcdef0" in with_id.err
    assert "forensics instances" in alone.err


def test_a_mistyped_command_is_never_taken_for_an_id(run: Run) -> None:
    """The error names the command that was meant."""
    answer = run("instnces")

    assert 2 == answer.code
    assert "Did you mean instances" in answer.err


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("i-0abc", True),
        ("web-1.example", True),
        ("host7", True),
        ("shwo", False),
        ("show1", False),
        ("frobnicate", False),
        ("--stroe", False),
    ],
)
def test_what_counts_as_an_instances_id(word: str, expected: bool) -> None:  # noqa: FBT001
    """EC2's form, or a host's name; nothing near to a command, no plain word, no option."""
    commands = ["show", "instances", "logs", "raw"]

    assert expected == is_instance_id(word, commands)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("instances", "--no-such-option"), 2),
        (("logs",), 2),
        (("logs", "i-1"), 2),
        (("logs", "i-1", "--limit", "0", "--store", "x"), 2),
        (("show", "i-1", "--store", "/no/such/file.sqlite"), 7),
        (("show", "i-1", "--store", "http://127.0.0.1:9"), 3),
        (("show", "i-1", "--store", "ftp://x"), 2),
        (("instances", "--store", ""), 2),
        (("--version",), 0),
        (("--help",), 0),
    ],
    ids=str,
)
def test_exit_codes_are_the_documented_ones(run: Run, words: tuple[str, ...], code: int) -> None:
    """2 usage, 3 unreachable, 7 not found; an error is on stderr with a next step."""
    answer = run(*words)

    assert code == answer.code, answer.err
    if code:
        assert answer.err.startswith("error: ")
        assert "→ " in answer.err
        assert b"" == answer.raw


def test_with_json_an_error_is_a_document_too(run: Run) -> None:
    """What, why, next step and exit code, on stdout; stderr still tells a person."""
    answer = run("logs", "i-1", "--json")

    error = answer.json["error"]
    assert "afterimage.error/1" == answer.json["schema"]
    assert ["what", "why", "next_step", "exit_code"] == list(error)
    assert 2 == error["exit_code"] == answer.code
    assert "error: " in answer.err


def test_what_is_none_of_our_errors_is_called_a_bug_with_a_file(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No traceback on the screen; the file that the message names has it."""

    def explode(*_: object) -> None:
        raise RuntimeError("boom \x1b[31m")

    monkeypatch.setattr(forensics.cli.session, "opened", explode)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    answer = run("instances")

    assert 1 == answer.code
    assert "this is a bug in forensics: RuntimeError: boom ␛[31m" in answer.err
    assert "Traceback" not in answer.err
    saved = next(tmp_path.glob("afterimage-bug-*.txt"))
    assert str(saved) in answer.err
    assert "RuntimeError: boom" in saved.read_text()


def test_debug_prints_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever works on it."""

    def explode(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(forensics.cli.session, "opened", explode)
    monkeypatch.setenv("AFTERIMAGE_DEBUG", "1")

    assert "Traceback" in run("instances").err


def test_an_interrupt_is_exit_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is no failure of ours, and no traceback."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(forensics.cli.session, "opened", interrupt)

    answer = run("instances")
    assert 130 == answer.code
    assert "interrupted\n" == answer.err


def test_hostile_words_in_an_error_are_harmless(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's or a log's words reach stderr through safe_text."""

    def refuse(*_: object) -> None:
        raise ForensicsError("a\x1b[2J", why="b\nc", next_step="d\x07\ne")

    monkeypatch.setattr(forensics.cli.session, "opened", refuse)

    assert "error: a␛[2J: b␊c\n  → d␇\n  → e\n" == run("instances").err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-03T14:05:12Z", "2026-01-03T14:05:12.000000000Z"),
        ("2026-01-03T15:05:12.5+01:00", "2026-01-03T14:05:12.500000000Z"),
        ("2026-01-03", "2026-01-03T00:00:00.000000000Z"),
        ("2026-01-03 14:05", "2026-01-03T14:05:00.000000000Z"),
        ("14:05", "2026-01-03T14:05:00.000000000Z"),
        ("14:06", "2026-01-02T14:06:00.000000000Z"),
        ("9:00:30", "2026-01-03T09:00:30.000000000Z"),
        ("2h ago", "2026-01-03T12:05:12.000000000Z"),
        ("90 minutes ago", "2026-01-03T12:35:12.000000000Z"),
        ("-30m", "2026-01-03T13:35:12.000000000Z"),
        ("-1d", "2026-01-02T14:05:12.000000000Z"),
    ],
)
def test_times_as_people_write_them(text: str, expected: str) -> None:
    """ISO 8601, a day, a clock time of the last 24 hours, so long ago; all UTC."""
    assert expected == parse_moment(text, now_nanos=NOW, option="--since")


@pytest.mark.parametrize("text", ["", "soon", "25:00", "-2y", "1969-12-31", "2026-02-30"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With the option's name and what would be understood."""
    with pytest.raises(UsageError, match="--until"):
        parse_moment(text, now_nanos=NOW, option="--until")


def test_a_table_keeps_its_columns_whatever_is_in_them() -> None:
    """Cells are made safe before they are measured."""
    lines = render_table(("A", "B"), [("x\x1b", "1"), ("longer", "2")])

    assert ["A       B", "x␛      1", "longer  2"] == lines


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """No character of a log can act on the terminal that a document is printed on."""
    write_json("s/1", {"text": "ä\u202e\x7f\x9b\x1b"})

    assert all(" " <= sign <= "~" or sign == "\n" for sign in capsys.readouterr().out)


@pytest.mark.slow
def test_a_reader_that_has_had_enough_is_no_error(store: Path) -> None:
    """`forensics logs … | head -1` ends quietly."""
    words = (sys.executable, "-m", "forensics.cli.main", "logs", "i-0bad0000000000003", "--all")
    process = subprocess.Popen(
        [*words, "--jsonl", "--store", str(store)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (0, b"") == (process.wait(30), err)
