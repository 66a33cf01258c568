"""A demo instance: an id of the account, a folder as its disk, an application and a shipper.

In: identity, the store's URL, a fault, and whether the application logs to files or to the
shipper's socket. Out: real processes whose files, and whose words, can be counted. The order of a
shutdown is the baked unit's: the application ends first, then the shipper drains.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from forensics.demo.processes import kill_process, read_first_line, start_process, stop_process
from shipper.wire.record import Identity

REQUEST_TIMEOUT_SECONDS: Final = 5
_SOCKET_PATH_BYTES: Final = 100
"""A unix socket's path has to fit into 104 bytes, on some systems 108."""


@dataclass(slots=True)
class Machine:
    """One instance that runs, or has run, on this machine."""

    identity: Identity
    disk: Path
    store_url: str
    fault: str = "none"
    forwards: bool = False
    """Whether the application logs to the shipper's socket, and not to `app.log`."""
    _runtime: Path | None = field(default=None, init=False)
    """The socket's folder where the disk's path is too long for one."""
    _service: subprocess.Popen[str] | None = field(default=None, init=False)
    _shipper: subprocess.Popen[str] | None = field(default=None, init=False)
    _port: int = field(default=0, init=False)

    @property
    def instance_id(self) -> str:
        """EC2's id."""
        return self.identity.instance_id

    @property
    def logs(self) -> Path:
        """The folder that the application writes its log files to."""
        return self.disk / "var" / "log"

    @property
    def socket(self) -> Path:
        """The shipper's socket for applications."""
        return (self._runtime or self.disk) / "forward.sock"

    @property
    def said(self) -> Path:
        """What the application says it logged to the socket, a JSON text a line: for counting."""
        return self.disk / "said.jsonl"

    def start(self) -> None:
        """Boot: the shipper before the application, as the baked unit orders it."""
        self.logs.mkdir(parents=True)
        if len(os.fsencode(self.socket)) > _SOCKET_PATH_BYTES:
            self._runtime = Path(tempfile.mkdtemp(prefix="afterimage-"))
        config = self.disk / "shipper.toml"
        config.write_text(self._config(), encoding="utf-8")
        self._shipper = start_process(
            (sys.executable, "-m", "shipper", "run", "-c", str(config)),
            self.disk / "shipper.stderr",
        )
        log = self.disk / "service.stderr"
        forward = ("--forward", f"unix://{self.socket}", "--said", str(self.said))
        self._service = start_process(
            (
                *(sys.executable, "-m", "forensics.demo.service"),
                *("--logs", str(self.logs), "--fault", self.fault),
                *(forward if self.forwards else ()),
            ),
            log,
        )
        self._port = int(read_first_line(self._service, log, f"the service of {self.instance_id}"))

    def get(self, path: str) -> int:
        """The HTTP status of a GET to the application; 0: it does not answer."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=REQUEST_TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", path, headers={"User-Agent": "demo-load"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    @property
    def service_is_running(self) -> bool:
        """Whether the application's process lives."""
        return self._service is not None and self._service.poll() is None

    @property
    def is_running(self) -> bool:
        """Whether the machine is up: its shipper's process lives."""
        return self._shipper is not None and self._shipper.poll() is None

    def pending_bytes(self) -> int:
        """What the application wrote and the shipper has not had acknowledged yet."""
        written = sum(path.stat().st_size for path in self.logs.iterdir())
        try:
            text = (self.disk / "state" / "status.json").read_text(encoding="utf-8")
            acked = int(json.loads(text)["counters"]["acked_bytes"])
        except (OSError, ValueError, KeyError):
            acked = 0
        return written - acked

    def shut_down(self) -> None:
        """An orderly end: SIGTERM to the application, then to the shipper, which drains."""
        for process in (self._service, self._shipper):
            if process is not None:
                stop_process(process)

    def kill(self) -> None:
        """End everything at once and reap it; for cleaning up."""
        for process in (self._service, self._shipper):
            if process is not None:
                kill_process(process)
        if self._runtime is not None:
            shutil.rmtree(self._runtime, ignore_errors=True)

    def _config(self) -> str:
        """The shipper's configuration; JSON strings are TOML strings."""
        who = {
            "instance_id": self.identity.instance_id,
            "image_id": self.identity.image_id,
            "instance_type": self.identity.instance_type,
            "region": self.identity.region,
            "availability_zone": self.identity.availability_zone,
            "account_id": self.identity.account_id,
            "host_name": self.identity.host_name,
            "group": self.identity.group,
        }
        lines = [
            "[identity]",
            *(f"{key} = {json.dumps(value)}" for key, value in who.items() if value),
            "[state]",
            f"directory = {json.dumps(str(self.disk / 'state'))}",
            "[[sources.tail]]",
            f"paths = [{json.dumps(str(self.logs / '*.log'))}]",
            'multiline = "python"',
            "multiline_seconds = 1",
            "[[sources.forward]]",
            f"listen = {json.dumps(f'unix://{self.socket}')}",
            "[output.opensearch]",
            f"urls = [{json.dumps(self.store_url)}]",
        ]
        return "\n".join(lines) + "\n"
