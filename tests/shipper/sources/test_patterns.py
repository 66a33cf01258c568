"""shipper.sources.patterns: which files a pattern names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipper.sources.patterns import Scanner


def scan(*patterns: str, excluded: Path | None = None) -> list[str]:
    """The paths that are found, sorted."""
    stats = [] if excluded is None else [excluded.stat()]
    errors: list[str] = []
    scanner = Scanner(
        patterns,
        excluded=frozenset((stat.st_dev, stat.st_ino) for stat in stats),
        on_error=lambda path, _: errors.append(path),
    )
    found = sorted({path for path, _ in scanner.scan()})
    assert [] == errors
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Some folders and files."""
    for name in ("a.log", "b.txt", ".hidden.log", "d/c.log", "d/e/f.log", ".h/g.log", "d/[x].log"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "d")
    (tmp_path / "l.log").symlink_to(tmp_path / "b.txt")
    os.mkfifo(tmp_path / "pipe.log")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.log", ["a.log"]),
        ("*.log", ["a.log", "l.log"]),
        (".*.log", [".hidden.log"]),
        ("?.log", ["a.log", "l.log"]),
        ("d/*.log", ["d/[x].log", "d/c.log"]),
        ("d/[[]x].log", ["d/[x].log"]),
        ("*/c.log", ["d/c.log", "link/c.log"]),
        ("**/*.log", ["a.log", "d/[x].log", "d/c.log", "d/e/f.log", "l.log"]),
        ("**", ["a.log", "b.txt", "d/[x].log", "d/c.log", "d/e/f.log", "l.log"]),
        ("d/**/f.log", ["d/e/f.log"]),
        ("none/*.log", []),
        ("a.log/*.log", []),
    ],
)
def test_a_pattern_names_regular_files(tree: Path, pattern: str, expected: list[str]) -> None:
    """As a shell would, with `**` for any depth; no pipe, no hidden file, no loop of links."""
    assert [str(tree / name) for name in expected] == scan(str(tree / pattern))


def test_the_shippers_own_state_is_never_named(tree: Path) -> None:
    """By no pattern, not even by its full name."""
    found = scan(str(tree / "**"), str(tree / "d" / "c.log"), excluded=tree / "d")
    assert [str(tree / name) for name in ("a.log", "b.txt", "l.log")] == found
