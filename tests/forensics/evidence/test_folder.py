"""The evidence folder: put once or not at all, also between processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forensics.errors import NotFoundError, UnreachableError, UsageError
from forensics.evidence.folder import FolderEvidence

BAD_KEYS = [
    "", "/etc/passwd", "../up", "a/../b", "a//b", "a/", ".hidden", "a/.b", "a\\b", "a b", "a\nb",
    "a\x00b", "é", "a/..", "x" * 513, ".partial/x",
]  # fmt: skip

RACER = """
import sys, time
from pathlib import Path
from forensics.evidence.folder import FolderEvidence
evidence = FolderEvidence(Path(sys.argv[1]))
while time.time() < float(sys.argv[3]):
    pass
won = [n for n in range(int(sys.argv[4]))
       if evidence.put_new(f"cases/case-1/journal/{n:06d}.json", sys.argv[2].encode() * 5000)]
print(*won)
"""

WRITER = """
import sys
from pathlib import Path
from forensics.evidence.folder import FolderEvidence
evidence = FolderEvidence(Path(sys.argv[1]))
print("ready", flush=True)
for n in range(100_000):
    evidence.put_new(f"objects/{n:06d}", b"%06d" % n * 20_000)
"""


def test_what_is_put_comes_back(tmp_path: Path) -> None:
    """Any bytes, under any depth of key."""
    evidence = FolderEvidence(tmp_path / "evidence")
    data = bytes(range(256)) * 100
    assert evidence.put_new("cases/case-i-1/console/output.txt", data)
    assert data == evidence.get("cases/case-i-1/console/output.txt")


def test_the_second_put_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """Somebody else was first, and theirs stands."""
    evidence = FolderEvidence(tmp_path)
    assert evidence.put_new("claim", b"first")
    assert not evidence.put_new("claim", b"second")
    assert b"first" == evidence.get("claim")


def test_list_gives_keys_by_prefix_in_order(tmp_path: Path) -> None:
    """A prefix is one of characters, as in an object store; leftovers of killed writers are not."""
    evidence = FolderEvidence(tmp_path)
    for key in ("b/2", "b/10", "a", "bc", "b/d/1"):
        evidence.put_new(key, b"")
    (tmp_path / ".partial" / "999-abc").write_bytes(b"half")
    assert ["a", "b/10", "b/2", "b/d/1", "bc"] == evidence.list()
    assert ["b/10", "b/2", "b/d/1"] == evidence.list("b/")
    assert ["b/10", "b/2", "b/d/1", "bc"] == evidence.list("b")
    assert [] == evidence.list("cases/none/")


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Folders 0700, objects 0600, whatever the umask."""
    evidence = FolderEvidence(tmp_path / "deep" / "evidence")
    before = os.umask(0)
    try:
        evidence.put_new("cases/case-1/plan.json", b"{}")
    finally:
        os.umask(before)
    modes = {
        path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777
        for path in (tmp_path / "deep").rglob("*")
    }
    assert {0o700, 0o600} == set(modes.values())
    assert 0o600 == modes["deep/evidence/cases/case-1/plan.json"]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_can_not_leave_the_folder(tmp_path: Path, key: str) -> None:
    """Traversal, absolute paths and control characters are refused before any file is touched."""
    evidence = FolderEvidence(tmp_path / "evidence")
    with pytest.raises(UsageError):
        evidence.put_new(key, b"x")
    with pytest.raises(UsageError):
        evidence.get(key)
    assert [] == list(tmp_path.iterdir())


def test_an_object_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """A planted symbolic link does not make another file evidence."""
    secret = tmp_path / "secret"
    secret.write_text("not evidence")
    evidence = FolderEvidence(tmp_path / "evidence")
    evidence.put_new("a", b"")
    (tmp_path / "evidence" / "planted").symlink_to(secret)
    with pytest.raises(UnreachableError):
        evidence.get("planted")


def test_an_unknown_object_is_not_found(tmp_path: Path) -> None:
    """The error names the key."""
    with pytest.raises(NotFoundError, match="cases/none"):
        FolderEvidence(tmp_path).get("cases/none")


def test_a_folder_that_can_not_be_made_says_so(tmp_path: Path) -> None:
    """A file in the way is an error with a next step, not a traceback."""
    (tmp_path / "evidence").write_text("a file")
    with pytest.raises(UnreachableError, match="--evidence"):
        FolderEvidence(tmp_path / "evidence").put_new("a", b"")


@pytest.mark.slow
def test_racing_processes_win_each_key_exactly_once(tmp_path: Path) -> None:
    """Four processes put the same 100 keys at the same moment: one winner each, never a mixture."""
    start = str(time.time() + 1.5)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path / "evidence"), name, start, "100"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ABCD"
    ]
    won = {
        name: [int(n) for n in racer.communicate(timeout=60)[0].split()]
        for name, racer in zip("ABCD", racers, strict=True)
    }
    assert list(range(100)) == sorted(n for numbers in won.values() for n in numbers)
    evidence = FolderEvidence(tmp_path / "evidence")
    for name, numbers in won.items():
        for n in numbers:
            stored = evidence.get(f"cases/case-1/journal/{n:06d}.json")
            assert name.encode() * 5000 == stored


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_objects_alone(tmp_path: Path) -> None:
    """SIGKILL at twenty moments: every object that is listed is whole, and the next can be put."""
    for round_number in range(20):
        root = tmp_path / str(round_number)
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root)], stdout=subprocess.PIPE, text=True
        )
        with writer:
            assert writer.stdout is not None
            assert "ready\n" == writer.stdout.readline()
            deadline = time.monotonic() + 10
            while not list(root.glob("objects/*")) and time.monotonic() < deadline:
                pass
            time.sleep(0.0017 * round_number)  # the moment of the kill, not a synchronisation
            writer.send_signal(signal.SIGKILL)
        evidence = FolderEvidence(root)
        keys = evidence.list("objects/")
        assert keys
        for n, key in enumerate(keys):
            assert b"%06d" % n * 20_000 == evidence.get(key)
        assert evidence.put_new(f"objects/{len(keys):06d}", b"next")
