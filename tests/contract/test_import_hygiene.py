"""What a start costs: each front door imports only its own, shown in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.forensics.cli.stored import DEAD, DEAD_LINES, StoreFile, content_of

ROOT = Path(__file__).parents[2]
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


def test_the_gate_between_the_packages_names_every_module_of_the_shipper() -> None:
    """A new module of the shipper is not the centre's business, unless it is in shipper.wire."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    name = "forensics takes only shipper.wire of the shipper"
    (gate,) = [contract for contract in contracts if contract["name"] == name]

    there = {path.stem for path in (ROOT / "shipper").glob("*.py")} - {"__init__"}
    there |= {path.parent.name for path in (ROOT / "shipper").glob("*/__init__.py")} - {"wire"}
    assert sorted(f"shipper.{module}" for module in there) == gate["forbidden_modules"]
