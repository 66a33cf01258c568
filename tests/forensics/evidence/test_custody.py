"""The custody log: who did what, verified on reading, appended by many."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from forensics.errors import IntegrityError, UsageError
from forensics.evidence.custody import CustodyLog, local_actor
from forensics.evidence.folder import FolderEvidence

ARN = "arn:aws:sts::123456789012:assumed-role/responder/ada"

APPENDER = """
import sys
from pathlib import Path
from forensics.evidence.custody import CustodyLog
from forensics.evidence.folder import FolderEvidence
log = CustodyLog(FolderEvidence(Path(sys.argv[1])), "case-1", sys.argv[2])
for n in range(25):
    log.record("looked", {"n": n})
"""


def clock() -> int:
    """2026-01-03T14:05:12Z, always."""
    return 1_767_449_112_000_000_000


def test_an_entry_says_who_when_what_and_what_for(tmp_path: Path) -> None:
    """Every part of an entry comes back; the time is the clock's."""
    log = CustodyLog(FolderEvidence(tmp_path), "case-1", ARN, clock=clock)
    log.record("captured", {"sha256": "ab"}, subject="cases/case-1/console", purpose="quarantine")
    (entry,) = CustodyLog(FolderEvidence(tmp_path), "case-1").read()
    assert (1, "2026-01-03T14:05:12.000000000Z", ARN) == (entry.n, entry.at, entry.who)
    assert ("captured", "cases/case-1/console") == (entry.action, entry.subject)
    assert ("quarantine", {"sha256": "ab"}) == (entry.purpose, entry.detail)


def test_without_an_arn_the_operating_system_names_who(tmp_path: Path) -> None:
    """`user@host`, and a text detail is a note."""
    entry = CustodyLog(FolderEvidence(tmp_path), "case-1").record("looked", "opened the case")
    assert (local_actor(), {"note": "opened the case"}) == (entry.who, entry.detail)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("alter", "entry 2 is broken"),
        ("delete", "entry 2 is broken"),
        ("swap", "entry 2 is broken"),
    ],
)
def test_reading_names_the_first_broken_entry(tmp_path: Path, damage: str, message: str) -> None:
    """An altered, deleted or exchanged object is an IntegrityError that says which."""
    log = CustodyLog(FolderEvidence(tmp_path), "case-1", ARN)
    for n in range(4):
        log.record("looked", {"n": n})
    folder = tmp_path / "cases" / "case-1" / "custody"
    second, third = folder / "000002.json", folder / "000003.json"
    if damage == "alter":
        second.write_bytes(second.read_bytes().replace(b"looked", b"loomed"))
    elif damage == "delete":
        second.unlink()
    else:
        content = second.read_bytes()
        second.write_bytes(third.read_bytes())
        third.write_bytes(content)
    with pytest.raises(IntegrityError, match=message):
        CustodyLog(FolderEvidence(tmp_path), "case-1").read()


def test_a_cut_tail_is_found_against_the_count_that_a_report_remembers(tmp_path: Path) -> None:
    """The head's number and digest, kept elsewhere, make the end provable."""
    log = CustodyLog(FolderEvidence(tmp_path), "case-1", ARN)
    for n in range(3):
        last = log.record("looked", {"n": n})
    (tmp_path / "cases" / "case-1" / "custody" / "000003.json").unlink()
    fresh = CustodyLog(FolderEvidence(tmp_path), "case-1")
    assert 2 == len(fresh.read())
    with pytest.raises(IntegrityError, match="entry 3 is broken"):
        fresh.read(count=last.n, head=last.digest)


@pytest.mark.parametrize("case_id", ["", "../x", "a/b", ".x", "a\nb", "x" * 129])
def test_a_case_id_can_not_leave_the_cases(tmp_path: Path, case_id: str) -> None:
    """A case id is a name, not a path."""
    with pytest.raises(UsageError):
        CustodyLog(FolderEvidence(tmp_path), case_id)


def test_a_reader_sees_what_another_appended_meanwhile(tmp_path: Path) -> None:
    """A log that was read goes on where it stood."""
    reader = CustodyLog(FolderEvidence(tmp_path), "case-1", ARN)
    writer = CustodyLog(FolderEvidence(tmp_path), "case-1", ARN)
    assert [] == list(reader.read())
    writer.record("looked", {})
    reader.record("copied", {})
    writer.record("extracted", {})
    assert ["looked", "copied", "extracted"] == [entry.action for entry in reader.read()]


@pytest.mark.slow
def test_racing_appenders_make_one_chain(tmp_path: Path) -> None:
    """Three processes append 25 entries each: 75 in one verified chain, each writer's in order."""
    appenders = [
        subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path), name]) for name in "ABC"
    ]
    assert [0, 0, 0] == [appender.wait(timeout=60) for appender in appenders]
    entries = CustodyLog(FolderEvidence(tmp_path), "case-1").read()
    assert 75 == len(entries)
    for name in "ABC":
        assert list(range(25)) == [entry.detail["n"] for entry in entries if entry.who == name]
