"""shipper.goodbye: the last words claim no more than is so."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipper.errors import StateError
from shipper.goodbye import build_goodbye
from shipper.state_folder import StateFolder
from shipper.wire.state import SourceRow
from tests.faults.bulk_server import BulkServer, wait_until
from tests.shipper.test_agent import RunningAgent


def test_where_everything_was_read_everything_is_stored() -> None:
    """The only case in which it may be said."""
    assert ("info", "everything that was written is stored", 0) == build_goodbye(
        unreadable={}, left_behind={}
    )


def test_what_can_not_be_read_is_named() -> None:
    """The centre has its gap: the machine may go."""
    goodbye = build_goodbye(
        unreadable={
            "journald": "there is no journal: no folder\n  → start it",
            "/a": "no right",
        },
        left_behind={},
    )
    expected = (
        "everything that could be read is stored; not read: journald (there is no journal: no"
        " folder; start it), /a (no right)"
    )
    assert ("warning", expected, 0) == goodbye


def test_what_was_left_behind_is_an_exit_code() -> None:
    """Bytes that are on the machine alone: whoever ends it has to know."""
    goodbye = build_goodbye(
        unreadable={"forward:a": "full", "/b": "no right"},
        left_behind={"forward:a": "2 events could not be kept: full"},
    )
    expected = (
        "everything that was read is stored; not read: forward:a (2 events could not be kept:"
        " full), /b (no right)"
    )
    assert ("warning", expected, 3) == goodbye


def test_a_long_list_is_cut() -> None:
    """A line that a person reads."""
    text = build_goodbye(unreadable={f"/{n}": "no" for n in range(12)}, left_behind={}).text
    assert text.endswith("/9 (no) and 2 more")


def test_files_that_a_full_disk_kept_from_being_followed_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are not stored, whatever the lanes say."""
    append = StateFolder.append

    def refuse_rows(folder: StateFolder, entries: list[object]) -> None:
        if any(isinstance(entry, SourceRow) for entry in entries):
            raise StateError("the state folder can't be used", why="No space left on device")
        append(folder, entries)  # type: ignore[arg-type]  # whatever the agent gives

    monkeypatch.setattr(StateFolder, "append", refuse_rows)
    with BulkServer() as server, RunningAgent(tmp_path, server.url) as running:
        wait_until(lambda: bool(server.oracle.vitals("birth")))
        (tmp_path / "new.log").write_bytes(b"one\n")
        assert 3 == running.stop()
    words = capsys.readouterr().err
    assert "not read: new files (" in words
    assert "everything that was written" not in words
