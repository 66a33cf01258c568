"""A real shipper process with a configuration of its own, to be killed.

In: folders and the centre's URL. Out: a process; its words go to a file beside the state folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

REPOSITORY = Path(__file__).resolve().parents[2]
_EXIT_TIMEOUT_SECONDS = 90.0


class ShipperProcess:
    """Runs `shipper run` as often as asked, always on the same state folder."""

    def __init__(
        self,
        folder: Path,
        *,
        patterns: list[str],
        url: str,
        instance_id: str,
        more: str = "",
        socket_seconds: float | None = None,
        has_own_clock: bool = False,
    ) -> None:
        """`more`: further tables of the configuration."""
        self.folder = folder
        self.state = folder / "state"
        self.words = folder / "shipper.stderr"
        self._config = folder / "shipper.toml"
        self._clock = folder / "clock" if has_own_clock else None
        self._socket_seconds = socket_seconds
        listed = ", ".join(f'"{pattern}"' for pattern in patterns)
        self._config.write_text(
            f'[identity]\ninstance_id = "{instance_id}"\n'
            f'[state]\ndirectory = "{self.state}"\n'
            f"[[sources.tail]]\npaths = [{listed}]\n"
            f'[output.opensearch]\nurls = ["{url}"]\n{more}',
            encoding="utf-8",
        )
        self.set_clock(0.0)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """None is left running, whatever happened."""
        if self._process is not None:
            self.kill()

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, file_limit_bytes: int | None = None) -> int:
        """Start it; its pid. With a limit no file grows beyond: a full disk, as it can see it."""
        options: list[str] = []
        if file_limit_bytes is not None:
            options += ["--file-limit", str(file_limit_bytes)]
        if self._socket_seconds is not None:
            options += ["--socket-seconds", str(self._socket_seconds)]
        if self._clock is not None:
            options += ["--clock", str(self._clock)]
        program = ["-m", "tests.faults.launcher", *options, "--"] if options else ["-m", "shipper"]
        with self.words.open("ab") as words:
            self._process = subprocess.Popen(
                [sys.executable, *program, "run", "-c", str(self._config)],
                cwd=REPOSITORY,
                stderr=words,
                stdin=subprocess.DEVNULL,
            )
        return self._process.pid

    def set_clock(self, seconds: float) -> None:
        """Step its clock: so far from the machine's."""
        if self._clock is not None:
            new = self._clock.with_suffix(".new")
            new.write_text(str(seconds))
            new.replace(self._clock)

    def status_pid(self) -> int:
        """The process that wrote `status.json`; 0: none yet."""
        try:
            pid: int = json.loads((self.state / "status.json").read_bytes())["pid"]
        except FileNotFoundError:
            return 0
        return pid

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, and do not wait."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)

    def kill(self) -> int:
        """SIGKILL it; its exit code, -9 if it lived."""
        return self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM it, and wait for its drain; its exit code."""
        return self._end(signal.SIGTERM)

    def terminate_or_kill(self, timeout_seconds: float) -> int:
        """SIGTERM, and SIGKILL where that takes too long, as a service manager does."""
        if self._process is None:
            raise AssertionError("it was not started")
        self.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return self.kill()
        self._process = None
        return code

    def wait(self) -> int:
        """Wait for it to end by itself; its exit code."""
        if self._process is None:
            raise AssertionError("it was not started")
        code = self._process.wait(_EXIT_TIMEOUT_SECONDS)
        self._process = None
        return code

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            raise AssertionError("it was not started")
        self.send_signal(number)
        code = self._process.wait(_EXIT_TIMEOUT_SECONDS)
        self._process = None
        return code
