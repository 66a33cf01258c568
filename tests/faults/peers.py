"""The shippers that go through the same scenarios: Afterimage's, rsyslog, Fluent Bit in two ways.

In: a folder, a log pattern, a port. Out: a process that can be started, killed and stopped, always
on the same state. Each configuration is printed whole in docs/faults.md: who finds a safer one can
say so.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.shipper_process import ShipperProcess

RSYSLOG: Final = """\
global(workDirectory="{state}")
module(load="imfile")
module(load="omelasticsearch")
template(name="document" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timegenerated" dateFormat="rfc3339" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
input(type="imfile" File="{pattern}" Tag="app" ruleset="ship" persistStateInterval="100")
ruleset(name="again" queue.type="LinkedList") {{ call ship }}
ruleset(name="ship") {{
  action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" template="document"
    searchIndex="logs" searchType="" bulkmode="on" maxbytes="1m"
    retryfailures="on" retryruleset="again"
    queue.type="LinkedList" queue.filename="ship" queue.maxDiskSpace="1g" queue.size="10000"
    queue.saveOnShutdown="on" queue.syncQueueFiles="on" queue.checkpointInterval="1"
    queue.timeoutShutdown="20000" action.resumeRetryCount="-1" action.resumeInterval="1"
    errorFile="{state}/refused.json")
}}
"""

FLUENT_BIT_DEFAULT: Final = """\
[SERVICE]
    log_level warn
[INPUT]
    name tail
    path {pattern}
    read_from_head on
    db {state}/tail.db
[OUTPUT]
    name opensearch
    match *
    host 127.0.0.1
    port {port}
    index logs
    suppress_type_name on
"""

FLUENT_BIT_SAFEST: Final = """\
[SERVICE]
    log_level warn
    flush 1
    grace 30
    storage.path {state}/chunks
    storage.sync full
    storage.checksum on
    storage.backlog.flush_on_shutdown on
    scheduler.base 1
    scheduler.cap 5
[INPUT]
    name tail
    path {pattern}
    read_from_head on
    db {state}/tail.db
    db.sync full
    rotate_wait 600
    refresh_interval 1
    storage.type filesystem
[OUTPUT]
    name opensearch
    match *
    host 127.0.0.1
    port {port}
    index logs
    suppress_type_name on
    generate_id on
    trace_error on
    retry_limit no_limits
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program as somebody might run it."""

    name: str
    program: str
    version_arguments: tuple[str, ...]
    configuration: str
    arguments: Callable[[Path, Path], tuple[str, ...]]
    """From the configuration's path and the state folder."""

    def find(self) -> str | None:
        """Where the program is; None: not on this machine."""
        return shutil.which(self.program) or shutil.which(self.program, path="/usr/sbin:/sbin")

    def version(self) -> str:
        """What it says of itself; empty: it is not here."""
        program = self.find()
        if program is None:
            return ""
        said = subprocess.run(
            [program, *self.version_arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        ).stdout
        found = re.search(r"\d+\.[\d.]*\d", said)
        return found[0] if found else "unknown"


PEERS: Final = (
    Peer(
        name="rsyslog",
        program="rsyslogd",
        version_arguments=("-v",),
        configuration=RSYSLOG,
        arguments=lambda config, state: ("-n", "-f", str(config), "-i", str(state / "pid")),
    ),
    Peer(
        name="Fluent Bit, defaults",
        program="fluent-bit",
        version_arguments=("--version",),
        configuration=FLUENT_BIT_DEFAULT,
        arguments=lambda config, _: ("-c", str(config)),
    ),
    Peer(
        name="Fluent Bit, safest",
        program="fluent-bit",
        version_arguments=("--version",),
        configuration=FLUENT_BIT_SAFEST,
        arguments=lambda config, _: ("-c", str(config)),
    ),
)


class Runner:
    """A shipper of any kind, as the scenarios need it."""

    def __init__(self, peer: Peer | None, folder: Path, pattern: str, port: int) -> None:
        """`peer` None: ours."""
        self._peer = peer
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.ours: ShipperProcess | None = None
        if peer is None:
            self.ours = ShipperProcess(
                folder, patterns=[pattern], url=f"http://127.0.0.1:{port}", instance_id="i-1"
            )
            return
        (folder / "state").mkdir()
        self._config = folder / "peer.conf"
        self._config.write_text(
            peer.configuration.format(state=folder / "state", pattern=pattern, port=port)
        )

    def start(self) -> None:
        """Start it on its state."""
        if self.ours is not None:
            self.ours.start()
            return
        assert self._peer is not None
        program = self._peer.find()
        assert program is not None
        with (self._folder / "words").open("ab") as words:
            self._process = subprocess.Popen(
                [program, *self._peer.arguments(self._config, self._folder / "state")],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                cwd=self._folder,
            )

    def kill(self) -> None:
        """SIGKILL."""
        if self.ours is not None:
            self.ours.kill()
        else:
            self._end(signal.SIGKILL, 20)
        (self._folder / "state" / "pid").unlink(missing_ok=True)  # rsyslogd will not start over it

    def stop(self) -> None:
        """SIGTERM, and some time to drain."""
        if self.ours is not None:
            self.ours.terminate_or_kill(70)
        else:
            self._end(signal.SIGTERM, 40)

    def close(self) -> None:
        """None is left."""
        if self.ours is not None:
            self.ours.__exit__()
        elif self._process is not None and self._process.poll() is None:
            self.kill()

    def _end(self, number: signal.Signals, timeout_seconds: float) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
