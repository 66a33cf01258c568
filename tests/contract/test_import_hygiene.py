"""What a start costs: each front door imports only its own, shown in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.forensics.cli.stored import DEAD, DEAD_LINES, StoreFile, content_of

HEAVY = {"textual", "rich", "boto3", "botocore", "opensearchpy", "aiohttp", "jinja2", "moto"}


def _modules_after(code: str) -> set[str]:
    """Top-level packages that a fresh interpreter holds after running `code`."""
    program = (
        "import sys\n"
        "sys.stdout.write('')\n"
        f"{code}\n"
        "sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return set(answer.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["instances", "--help"],
        ["quarantine", "--help"],
        ["report", "--help"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    """Reading help needs neither Textual, boto3, opensearchpy nor jinja2."""
    modules = _modules_after(f"from forensics.cli.main import main\nassert main({words!r}) == 0")

    assert set() == modules & HEAVY
    assert "click" in modules


@pytest.mark.parametrize(
    "package",
    ["forensics", "forensics.errors", "forensics.config", "forensics.cli.main", "forensics.tui"],
)
def test_a_package_costs_no_more_than_it_says(package: str) -> None:
    """Importing a package's name is no decision to use what is in it."""
    assert set() == _modules_after(f"import {package}") & HEAVY


def test_logs_from_sqlite_need_neither_boto3_nor_textual(tmp_path: Path) -> None:
    """Looking at a file of logs works where neither account nor interface is wanted."""
    file = StoreFile(tmp_path / "logs.sqlite")
    file.add_instance(DEAD, content_of(DEAD_LINES))
    file.close()
    words = ["logs", DEAD, "--store", str(file.path)]

    modules = _modules_after(f"from forensics.cli.main import main\nassert main({words!r}) == 0")

    assert set() == modules & HEAVY
