"""Customers of the demo's shop: requests at a steady rate to every machine whose service answers.

In: the machines. Out: traffic, and how many requests failed at each. One thread, a bounded rate,
ended by `stop`.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from forensics.demo.machine import Machine

REQUESTS_PER_SECOND: Final = 60


class Load:
    """Requests until stopped. `failed` counts those that were not answered with 200."""

    def __init__(self, machines: Callable[[], Sequence[Machine]]) -> None:
        self._machines = machines
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-load", daemon=True)
        self.failed: Counter[str] = Counter()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until the last request is answered; safe to call before `start`."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        for number in itertools.count(1):
            machines = [machine for machine in self._machines() if machine.service_is_running]
            for machine in machines:
                if machine.get(f"/order/{number}") != 200:  # noqa: PLR2004 - HTTP's OK
                    self.failed[machine.instance_id] += 1
                if self._stopped.wait(1 / REQUESTS_PER_SECOND):
                    return
            if not machines and self._stopped.wait(0.1):
                return
