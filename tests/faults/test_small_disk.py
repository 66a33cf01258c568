"""A small real file system that is full or read-only: nothing is lost, and it goes on alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.shipper_process import REPOSITORY
from tests.faults.small_disk import SCENARIOS

pytestmark = pytest.mark.slow

_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]

_LONG = "held"


@pytest.fixture(scope="module")
def namespace() -> list[str]:
    """The command that gives a process mounts of its own, without root."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (util-linux)")
    tried = subprocess.run([*_NAMESPACE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this machine gives no user namespaces: {tried.stderr.strip()}")
    return _NAMESPACE


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(name, marks=[pytest.mark.everything] if name == _LONG else [])
        for name in SCENARIOS
    ],
)
def test_a_small_disk_costs_no_line(
    short_path: Path, namespace: list[str], scenario: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """State on a full or read-only disk: known files are shipped, new ones once it has room."""
    ran = subprocess.run(
        [*namespace, sys.executable, "-m", "tests.faults.small_disk", str(short_path), scenario],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    with capsys.disabled():
        sys.stdout.write(f"\nsmall disk, {ran.stdout}")
