"""SIGKILL at any moment: nothing lost, nothing twice, nothing altered."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.everything import ALL
from tests.faults.accounts import Account, take_account
from tests.faults.bulk_server import BulkServer, Faults
from tests.faults.centre_reader import read_all
from tests.faults.kill_rounds import run_kills
from tests.faults.shipper_process import REPOSITORY

KILLS = 200 if ALL else 80
"""Of each store; `make test ALL=1` has the time for more."""
SEED = 20260103

HOSTILE_CENTRE = Faults(
    too_many=0.05,
    unavailable=0.05,
    item_too_many=0.002,
    reset_before=0.03,
    reset_after=0.1,
    garbage=0.03,
    short=0.03,
)
_COLLECTOR = """
import asyncio, sys
from pathlib import Path
from forensics.collect.server import run_collector
def ready(url):
    print(url, flush=True)
asyncio.run(run_collector("127.0.0.1:0", Path(sys.argv[1]), ready=ready))
"""


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real collector process: its URL and its store."""
    store = tmp_path / "store.db"
    process = subprocess.Popen(
        [sys.executable, "-c", _COLLECTOR, str(store)], cwd=REPOSITORY, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().strip(), store
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def account_of(location: str, files: list[Path]) -> Account:
    """The files against what a real store gives out."""
    logs = asyncio.run(read_all(location, "logs"))
    vitals = asyncio.run(read_all(location, "vitals"))
    return take_account(
        files,
        [(document.index, document.id, document.fields) for document in logs],
        [vital.fields for vital in vitals if vital.text("event.action") == "source"],
    )


Judge = Callable[[str, int, Account], None]


@pytest.fixture
def judge(
    capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> Judge:
    """Print and count the evidence, and hold it to the promise."""

    def judge(name: str, kills: int, account: Account) -> None:
        record_property("kills", kills)
        print_and_check(name, kills, account, capsys)

    return judge


def print_and_check(
    name: str, kills: int, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing may be wrong, and something was written."""
    with capsys.disabled():
        sys.stdout.write(f"\n{kills} kills, {name}: {account}\n")
    assert [] == account.faults
    assert account.written_bytes == account.stored_bytes > 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kills_under_a_failing_centre_lose_repeat_and_alter_nothing(
    tmp_path: Path, judge: Judge
) -> None:
    """429, 503, resets, lost answers and garbage on top: every byte is stored exactly once."""
    kills = KILLS // 2
    with BulkServer(faults=HOSTILE_CENTRE, seed=SEED) as server:
        files = run_kills(tmp_path, server.url, kills=kills, seed=SEED)
        account = take_account(files, server.oracle.logs(), server.oracle.vitals("source"))
        assert [] == server.oracle.altered
    judge("failing oracle", kills, account)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_many_kills_with_a_collector_lose_repeat_and_alter_nothing(
    tmp_path: Path, collector: tuple[str, Path], judge: Judge
) -> None:
    """Every byte of every file, rotated ones too, is in the SQLite store exactly once."""
    url, store = collector
    files = run_kills(tmp_path, url, kills=KILLS, seed=SEED + 1)
    judge("SQLite", KILLS, account_of(str(store), files))


@pytest.mark.slow
@pytest.mark.opensearch
@pytest.mark.timeout(300)
def test_many_kills_with_opensearch_lose_repeat_and_alter_nothing(
    tmp_path: Path, opensearch_store_url: str, judge: Judge
) -> None:
    """Every byte of every file, rotated ones too, is on the real node exactly once."""
    files = run_kills(tmp_path, opensearch_store_url, kills=KILLS, seed=SEED + 2)
    refresh = urllib.request.Request(f"{opensearch_store_url}/afterimage-*/_refresh", method="POST")  # noqa: S310 - our node
    urllib.request.urlopen(refresh, timeout=30).close()  # noqa: S310 - our node
    judge("OpenSearch", KILLS, account_of(opensearch_store_url, files))
