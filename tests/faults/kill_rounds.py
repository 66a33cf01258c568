"""Killing a shipper again and again while its files are written and rotated.

In: a centre's URL, a number of kills, a seed. Out: the files, when the last shipper has drained.
"""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from tests.faults.rotating_writer import RotatingWriter
from tests.faults.shipper_process import ShipperProcess

INSTANCE_ID = "i-0c0ffee0c0ffee000"

_DRAINING_SHARE = 0.4
"""How many are killed while they drain, when half lines are sent too."""


def run_kills(folder: Path, url: str, *, kills: int, seed: int) -> list[Path]:
    """SIGKILL the shipper `kills` times at random moments; the files that were written.

    A process that had drained before its kill came does not count.
    """
    plan = random.Random(seed)
    logs = folder / "logs"
    logs.mkdir()
    shipper = ShipperProcess(folder, patterns=[f"{logs}/*.log"], url=url, instance_id=INSTANCE_ID)
    killed = 0
    with RotatingWriter(logs, seed=seed) as writer:
        while killed < kills:
            shipper.start()
            # a start takes about 0.2 s: some die before their first line, some after many
            time.sleep(plan.uniform(0.05, 0.45))
            if plan.random() < _DRAINING_SHARE:
                shipper.send_signal(signal.SIGTERM)
                time.sleep(plan.uniform(0.0, 0.3))
            code = shipper.kill()
            assert code in {-9, 0}, shipper.words.read_text()
            killed += code == -9
    shipper.start()
    time.sleep(0.5)
    assert shipper.terminate() == 0, shipper.words.read_text()
    return writer.files
