"""tests.bench: every bench runs at a tiny size, so that none rots between two releases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.chapter import Target
from tests.bench.corpus import MARKER, write_corpus
from tests.bench.measured import descendants
from tests.bench.run import BENCHES
from tests.faults.bulk_server import wait_until

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


@pytest.mark.slow
def test_a_bench_that_is_told_to_end_leaves_no_program_behind() -> None:
    """Not even one in the session of its own that the bench runs in."""
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.bench.run", "idle", "--seconds", "60"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    started: set[int] = set()

    def is_measuring() -> bool:
        started.update(descendants(process.pid))
        return len(started) >= 3

    try:
        wait_until(is_measuring)
        process.send_signal(signal.SIGTERM)
        assert 128 + signal.SIGTERM == process.wait(20)
        wait_until(lambda: not any(map(_is_running, started)))
    finally:
        for pid in filter(_is_running, started):
            os.kill(pid, signal.SIGKILL)
        process.kill()


def _is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


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
