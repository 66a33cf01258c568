"""Customers of the demo's shop: requests at a steady rate to every machine whose service answers.

In: the machines. Out: traffic, and how many requests each of them answered. One thread, a bounded
rate, ended by `stop`.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from forensics.demo.machine import Machine

REQUESTS_PER_SECOND: Final = 100


class Load:
    """Requests until stopped. `answered` counts them by instance id, whatever the status."""

    def __init__(self, machines: Callable[[], Sequence[Machine]]) -> None:
        self._machines = machines
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-load", daemon=True)
        self.answered: Counter[str] = Counter()

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
                if machine.get(f"/order/{number}"):
                    self.answered[machine.instance_id] += 1
                if self._stopped.wait(1 / REQUESTS_PER_SECOND):
                    return
            if not machines and self._stopped.wait(0.1):
                return
