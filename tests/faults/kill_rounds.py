"""Killing a shipper again and again while its files are written and rotated.

In: a centre's URL, a number of kills, a seed. Out: the files, when the last shipper has drained.
"""

from __future__ import annotations

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.bulk_server import wait_until
from tests.faults.rotating_writer import RotatingWriter
from tests.faults.shipper_process import ShipperProcess

_SHIPPERS = 2

_DRAINING_SHARE = 0.4
"""How many are killed while they drain, when half lines are sent too."""


def run_kills(folder: Path, url: str, *, kills: int, seed: int) -> list[Path]:
    """SIGKILL two shippers side by side, `kills` times together; the files that were written."""
    with ThreadPoolExecutor(_SHIPPERS) as pool:
        runs = [
            pool.submit(
                kill_one_shipper,
                folder / f"shipper-{number}",
                url,
                kills=-(-kills // _SHIPPERS),
                seed=seed + number,
            )
            for number in range(_SHIPPERS)
        ]
        return [path for run in runs for path in run.result()]


def kill_one_shipper(folder: Path, url: str, *, kills: int, seed: int) -> list[Path]:
    """SIGKILL a shipper `kills` times at random moments; the files that were written.

    A process that had ended before its kill came does not count.
    """
    plan = random.Random(seed)
    logs = folder / "logs"
    logs.mkdir(parents=True)
    with ShipperProcess(
        folder, patterns=[f"{logs}/*.log"], url=url, instance_id=f"i-{seed:017x}"
    ) as shipper:
        with RotatingWriter(logs, seed=seed) as writer:
            _kill_again_and_again(shipper, kills, plan)
        _start_and_wait(shipper, names=())
        assert shipper.terminate() == 0, shipper.words.read_text()
        return writer.files


def _kill_again_and_again(shipper: ShipperProcess, kills: int, plan: random.Random) -> None:
    start_seconds = _start_and_wait(shipper, names=("app.log", "other.log"))
    killed = 0
    while killed < kills:
        if plan.random() < _DRAINING_SHARE:
            shipper.send_signal(signal.SIGTERM)
            time.sleep(plan.uniform(0.0, 0.2))
        code = shipper.kill()
        # 0: it had drained; -15: it was told to stop before it could hear it
        assert code in {-9, 0, -15}, shipper.words.read_text()
        killed += code == -9
        shipper.start()
        # some die before their first line, some after many
        time.sleep(plan.uniform(0.5 * start_seconds, start_seconds + 0.2))
    shipper.kill()


def _start_and_wait(shipper: ShipperProcess, *, names: tuple[str, ...]) -> float:
    """Start it and wait until it follows files of these names; how long that took."""
    began = time.monotonic()
    before = shipper.status_pid()
    shipper.start()
    wait_until(lambda: shipper.status_pid() not in {before, 0})
    journal = shipper.state / "sources"
    wait_until(lambda: all(name in journal.read_text() for name in names))
    return time.monotonic() - began
