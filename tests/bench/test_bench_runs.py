"""tests.bench: every bench runs at a tiny size, so that none rots between two releases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.chapter import Target
from tests.bench.corpus import MARKER, write_corpus
from tests.bench.run import BENCHES

_TINY = (
    *("--lines", "600", "--rounds", "1", "--seconds", "4"),
    *("--shippers", "8", "--backlog-gib", "0.002"),
)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.opensearch] if name == "node" else [])
        for name in BENCHES
    ],
)
def test_each_bench_runs_and_the_shipper_loses_nothing(name: str, tmp_path: Path) -> None:
    """A bench ends with 0 and a page, and no line of the shipper's is lost or repeated in it."""
    page = tmp_path / "bench.md"
    done = subprocess.run(
        (sys.executable, "-m", "tests.bench.run", name, *_TINY, "--write", str(page)),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert (0, True) == (done.returncode, page.exists()), done.stdout + done.stderr
    wrong = [line for line in done.stdout.splitlines() if " lines " in line and "missed" in line]
    assert [] == wrong


def test_a_corpus_is_the_same_each_time_and_exactly_as_long_as_asked(tmp_path: Path) -> None:
    """Two runs compare the same bytes, and what is lost can be counted."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    first, second = (write_corpus(folder, 1234, "mixed") for folder in folders)
    contents = [
        b"".join(Path(path).read_bytes() for path in corpus.paths) for corpus in (first, second)
    ]
    assert contents[0] == contents[1]
    assert 1234 == contents[0].count(b"\n") == first.lines
    assert first.marked == len(set(MARKER.findall(contents[0])))


def test_a_target_that_was_not_measured_is_not_met() -> None:
    """A peer that is not there makes no promise kept."""
    target = Target(what="CPU / peer", value=float("nan"), limit=0.5)
    assert "not measured" == target.verdict
