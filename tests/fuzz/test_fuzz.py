"""Every target over its corpus; under ALL=1 each for some seconds more, under atheris."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.shipper_process import REPOSITORY
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SECONDS = 20
INPUTS = [(path.parent.name, path) for path in sorted(CORPUS.glob("*/*"))]


@pytest.mark.parametrize(
    ("name", "path"), INPUTS, ids=[f"{name}-{path.name}" for name, path in INPUTS]
)
def test_an_input_of_the_corpus_keeps_every_promise(name: str, path: Path) -> None:
    """Seeds, and what once broke a target."""
    TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_parts_of_its_corpus(name: str) -> None:
    """Each input cut short, and with a byte turned, at every place."""
    for path in sorted((CORPUS / name).iterdir()):
        data = path.read_bytes()
        step = max(1, len(data) // 64)
        for at in range(0, len(data), step):
            TARGETS[name](data[:at])
            TARGETS[name](data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])


def test_every_target_has_a_corpus() -> None:
    """A folder of its own, and none is left of a target that is gone."""
    assert sorted(TARGETS) == sorted(path.name for path in CORPUS.iterdir())


@pytest.mark.everything
@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 6 + 60)
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_stands_fuzzing(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Coverage-guided, some seconds: no input breaks a promise."""
    pytest.importorskip("atheris")
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fuzz.run",
            name,
            "--seconds",
            str(SECONDS),
            "--keep",
            str(tmp_path),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=SECONDS * 6 + 30,
        check=False,
    )
    crashes = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert (0, {}) == (run.returncode, crashes), run.stdout[-3000:] + run.stderr[-3000:]
    runs = re.search(r"stat::number_of_executed_units: (\d+)", run.stderr)
    with capsys.disabled():
        sys.stdout.write(
            f"\nfuzz {name}: {runs[1] if runs else '?'} inputs in {SECONDS} s, 0 crashes\n"
        )
